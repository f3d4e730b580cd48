//! What is asked: a topic, a genre, the pictures wanted; and the many ways in
//! which people write that down.

use super::picture::{Chart, EFFECTS, Picture};
use super::rng::Rng;
use super::topic::capitalised;

/// What sort of document, by the word that the prompt uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Genre {
    /// "Write a report about …"
    Report,
    /// "Prepare a market research report on …"
    Market,
    /// "Write an article about …"
    Article,
    /// "Create a guide to …"
    Guide,
    /// "Tell me about …"
    Overview,
}

/// One request, before it is put into words.
#[derive(Clone, Debug)]
pub struct Request {
    /// Verbatim in prompt, title and text.
    pub topic: String,
    /// The sort of document.
    pub genre: Genre,
    /// Pictures that come with the prompt.
    pub inputs: usize,
    /// Pictures wanted, in order.
    pub pictures: Vec<Picture>,
    /// Whether the prompt says which pictures it wants.
    pub explicit: bool,
}

pub(super) const GENRES: &[Genre] = &[
    Genre::Report,
    Genre::Report,
    Genre::Market,
    Genre::Article,
    Genre::Guide,
    Genre::Overview,
    Genre::Overview,
];

impl Request {
    /// A request from the whole range of kinds.
    pub fn draw(rng: &mut Rng, topic: String) -> Self {
        let genre = rng.pick(GENRES);
        let (explicit, inputs, pictures) = match rng.below(100) {
            0..14 => (true, 0, Vec::new()),
            14..21 => (false, 0, vec![Picture::Photo, Picture::Chart(Chart::Bar)]),
            21..26 => (true, 1, edit_of_input(rng)),
            _ => (true, 0, mixture(rng)),
        };
        Self {
            topic,
            genre,
            inputs,
            pictures,
            explicit,
        }
    }

    /// The request in words.
    pub fn prompt(&self, rng: &mut Rng) -> String {
        let topic = &self.topic;
        let (wanted, edits): (Vec<Picture>, Vec<Picture>) = self
            .pictures
            .iter()
            .partition(|picture| !matches!(picture, Picture::Edit { .. }));
        let leading = self.genre == Genre::Overview && !wanted.is_empty() && self.explicit;
        let mut prompt = if leading && rng.chance(35) {
            let verb = rng.pick(&["Show me", "Give me", "I want"]);
            let joint = rng.pick(&["of", "about", "on"]);
            format!("{verb} {} {joint} {topic}", listing(rng, &wanted))
        } else {
            let opening = rng.pick(openings(self.genre));
            let start = format!("{opening} {topic}");
            match (self.explicit, wanted.is_empty()) {
                (false, _) => start,
                (true, true) if self.pictures.is_empty() => {
                    format!("{start}{}", rng.pick(NO_PICTURES))
                }
                (true, true) => start,
                (true, false) => {
                    let joint = rng.pick(JOINTS);
                    format!("{start}{joint} {}", listing(rng, &wanted))
                }
            }
        };
        for edit in edits {
            prompt.push_str(&edit_clause(rng, edit, self.inputs, &wanted));
        }
        if rng.chance(20) {
            prompt = uncapitalised(&prompt);
        }
        if rng.chance(60) {
            prompt.push('.');
        }
        prompt
    }
}

fn openings(genre: Genre) -> &'static [&'static str] {
    match genre {
        Genre::Report => &[
            "Write a report about",
            "Write a report on",
            "Write an illustrated report about",
            "Write a short report about",
            "Prepare a report on",
            "I need a report about",
        ],
        Genre::Market => &[
            "Prepare a market research report on",
            "Write a market report about",
            "Make a market study of",
        ],
        Genre::Article => &[
            "Write an article about",
            "Write a short article on",
            "Please write an article about",
        ],
        Genre::Guide => &[
            "Create a guide to",
            "Write an illustrated guide to",
            "Make a beginner's guide to",
        ],
        Genre::Overview => &[
            "Tell me about",
            "Explain",
            "Introduce",
            "Describe",
            "I want to learn about",
            "Write about",
        ],
    }
}

const JOINTS: &[&str] = &[
    " with",
    " with",
    " with",
    ", with",
    ", including",
    " and include",
    " and add",
    ". Include",
    ". Add",
    ". Use",
];

const NO_PICTURES: &[&str] = &[
    ", with no pictures",
    " with no pictures",
    " without pictures",
    ", text only",
    ". No pictures",
    ". No images please",
    " without any images",
];

pub(super) fn mixture(rng: &mut Rng) -> Vec<Picture> {
    let count = match rng.below(100) {
        0..32 => 1,
        32..72 => 2,
        72..93 => 3,
        _ => 4,
    };
    let edits = usize::from(count > 1 && rng.chance(40));
    let mut pictures: Vec<Picture> = (0..count - edits).map(|_| plain(rng)).collect();
    // "Two photos" stand together, as one item of the list.
    pictures.sort_by_key(|picture| picture.noun());
    let mut kinds: Vec<Picture> = Vec::new();
    for &picture in &pictures {
        if !kinds.contains(&picture) {
            kinds.push(picture);
        }
    }
    rng.shuffle(&mut kinds);
    pictures.sort_by_key(|picture| kinds.iter().position(|kind| kind == picture));
    if edits == 1 {
        let editable: Vec<usize> = (0..pictures.len())
            .filter(|&index| matches!(pictures[index], Picture::Photo | Picture::Painting))
            .collect();
        match editable[..] {
            [] => pictures.push(plain(rng)),
            _ => pictures.push(Picture::Edit {
                parent: rng.pick(&editable),
                effect: rng.pick(EFFECTS),
            }),
        }
    }
    deduplicate_edits(pictures)
}

/// An edit names its parent by kind ("the photo"), so it takes the first of
/// that kind.
fn deduplicate_edits(mut pictures: Vec<Picture>) -> Vec<Picture> {
    let Some(Picture::Edit { parent, effect }) = pictures.last().copied() else {
        return group(pictures);
    };
    let first = pictures
        .iter()
        .position(|picture| *picture == pictures[parent])
        .unwrap_or(parent);
    pictures.pop();
    pictures.push(Picture::Edit {
        parent: first,
        effect,
    });
    pictures
}

/// Equal kinds side by side.
fn group(mut pictures: Vec<Picture>) -> Vec<Picture> {
    let order = pictures.clone();
    pictures.sort_by_key(|picture| order.iter().position(|other| other == picture));
    pictures
}

pub(super) fn plain(rng: &mut Rng) -> Picture {
    match rng.below(100) {
        0..36 => Picture::Photo,
        36..62 => Picture::Painting,
        _ => Picture::Chart(rng.pick(&[
            Chart::Bar,
            Chart::Bar,
            Chart::Line,
            Chart::Pie,
            Chart::Scatter,
        ])),
    }
}

fn edit_of_input(rng: &mut Rng) -> Vec<Picture> {
    let mut pictures: Vec<Picture> = (0..rng.below(2)).map(|_| plain(rng)).collect();
    pictures.push(Picture::Edit {
        parent: 0,
        effect: rng.pick(EFFECTS),
    });
    pictures
}

/// "two photos, a painting and a bar chart"
fn listing(rng: &mut Rng, wanted: &[Picture]) -> String {
    let mut runs: Vec<(Picture, usize)> = Vec::new();
    for &picture in wanted {
        match runs.last_mut() {
            Some((last, count)) if *last == picture => *count += 1,
            _ => runs.push((picture, 1)),
        }
    }
    let items: Vec<String> = runs
        .into_iter()
        .map(|(picture, count)| {
            let noun = rng.pick(picture.asked_as());
            let number = match count {
                1 => rng.pick(&[article(noun), article(noun), article(noun), "one"]),
                2 => rng.pick(&["two", "two", "2"]),
                3 => rng.pick(&["three", "three", "3"]),
                _ => rng.pick(&["four", "four", "4"]),
            };
            let plural = if count > 1 { "s" } else { "" };
            format!("{number} {noun}{plural}")
        })
        .collect();
    enumerate(&items)
}

/// "a", or "an" before a vowel.
pub fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

/// "x", "x and y", "x, y and z".
fn enumerate(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

fn edit_clause(rng: &mut Rng, edit: Picture, inputs: usize, wanted: &[Picture]) -> String {
    let Picture::Edit { parent, effect } = edit else {
        return String::new();
    };
    let name = match parent.checked_sub(inputs).and_then(|own| wanted.get(own)) {
        None => rng.pick(&["my picture", "this picture", "the attached picture"]),
        Some(picture) => {
            let editable = |other: &&Picture| !matches!(other, Picture::Chart(_));
            let alone = wanted.iter().filter(editable).count() == 1;
            let named = match picture {
                Picture::Painting => "the painting",
                _ => "the photo",
            };
            if alone {
                rng.pick(&[named, "it"])
            } else {
                named
            }
        }
    };
    let change = effect.instruction.replace("{}", name);
    match rng.below(4) {
        0 => format!(", then {change}"),
        1 => format!(" and then {change}"),
        2 => format!(", and {change}"),
        _ => format!(". {}", capitalised(&format!("then {change}"))),
    }
}

fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    // "I need" keeps its pronoun.
    if text.starts_with("I ") {
        return text.to_owned();
    }
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}
