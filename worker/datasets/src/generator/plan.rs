//! Which pictures a prompt asks for, before it is put into words.

use illumine_types::ToolKind;

use super::topic::{Shape, Topic};
use crate::rng::Rng;
use crate::row::ImageNum;

/// One picture that a prompt asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A real thing: found.
    Real(&'static str),
    /// Numbers: drawn by a program.
    Data(Shape, &'static str),
    /// What exists nowhere: invented.
    Imagined(&'static str),
    /// The picture before it, changed.
    Again(&'static str),
}

impl Wanted {
    /// The tool that suits it.
    pub(super) fn tool(self) -> ToolKind {
        match self {
            Self::Real(_) => ToolKind::Search,
            Self::Data(..) => ToolKind::Code,
            Self::Imagined(_) => ToolKind::Diffusion,
            Self::Again(_) => ToolKind::Edit,
        }
    }
}

/// The pictures and how many of them there must be.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) pictures: Vec<Wanted>,
    pub(super) image_num: ImageNum,
}

/// What one prompt in this many has, in turn; each is its own share of the rows.
pub(super) const RULES: [Rule; 20] = [
    Rule::Exactly(1),
    Rule::NoPicture,
    Rule::Exactly(2),
    Rule::Free,
    Rule::Exactly(3),
    Rule::AtLeastOne,
    Rule::Attached,
    Rule::Exactly(1),
    Rule::Exactly(2),
    Rule::Exactly(4),
    Rule::AtLeastOne,
    Rule::NoPicture,
    Rule::Exactly(2),
    Rule::Exactly(3),
    Rule::Free,
    Rule::Exactly(1),
    Rule::Attached,
    Rule::AtLeastOne,
    Rule::Exactly(4),
    Rule::Exactly(2),
];

/// A kind of prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    NoPicture,
    Free,
    Exactly(u8),
    AtLeastOne,
    /// A picture comes along and is to be changed.
    Attached,
}

/// Changes that suit a picture of anything invented.
const STYLES: &[&str] = &[
    "as a pencil sketch",
    "in black and white",
    "as a paper cut-out",
    "by moonlight",
    "with everything in shades of blue",
    "as a mosaic of small tiles",
    "in the colours of a winter evening",
    "with a gilded frame around it",
];

impl Plan {
    /// A plan for `topic` under `rule`.
    pub(super) fn draw(rng: &mut Rng, rule: Rule, topic: &Topic) -> Self {
        match rule {
            Rule::NoPicture => Self {
                pictures: Vec::new(),
                image_num: ImageNum::NoPicture,
            },
            Rule::Free | Rule::Attached => Self {
                pictures: match rng.below(5) {
                    0 => Vec::new(),
                    1..4 => mixture(rng, topic, 1, false),
                    _ => mixture(rng, topic, 2, false),
                },
                image_num: ImageNum::Free,
            },
            Rule::AtLeastOne => {
                let count = 1 + rng.below(3);
                Self {
                    pictures: mixture(rng, topic, count, false),
                    image_num: ImageNum::AtLeastOne,
                }
            }
            Rule::Exactly(count) => {
                let edits = count > 1 && rng.chance(45);
                Self {
                    pictures: mixture(rng, topic, usize::from(count), edits),
                    image_num: ImageNum::Exactly(count),
                }
            }
        }
    }
}

/// `count` different pictures; with `edits` one of them changes the one before it.
fn mixture(rng: &mut Rng, topic: &Topic, count: usize, edits: bool) -> Vec<Wanted> {
    let mut pool: Vec<Wanted> = Vec::new();
    // The first of each group may be changed later, so it is always in reach.
    pool.extend(topic.real.iter().map(|&real| Wanted::Real(real)));
    pool.extend(
        topic
            .data
            .iter()
            .map(|&(shape, text)| Wanted::Data(shape, text)),
    );
    pool.extend(topic.imagined.iter().map(|&scene| Wanted::Imagined(scene)));
    let kinds = [ToolKind::Search, ToolKind::Code, ToolKind::Diffusion];
    let wanted = if edits { count - 1 } else { count };
    let mut pictures: Vec<Wanted> = Vec::new();
    // One kind alone, or kinds in turn.
    let alone = rng.chance(25).then(|| kinds[rng.below(kinds.len())]);
    while pictures.len() < wanted {
        let kind = alone.unwrap_or(kinds[rng.below(kinds.len())]);
        let left: Vec<Wanted> = pool
            .iter()
            .filter(|picture| picture.tool() == kind && !pictures.contains(picture))
            .copied()
            .collect();
        match left.get(rng.below(left.len())) {
            Some(picture) => pictures.push(*picture),
            // That kind is used up: any other picture will do.
            None => pictures.extend(pool.iter().find(|p| !pictures.contains(p)).copied()),
        }
    }
    if edits {
        change_one(rng, topic, &mut pictures);
    }
    pictures
}

fn change_one(rng: &mut Rng, topic: &Topic, pictures: &mut Vec<Wanted>) {
    let invented = |picture: &Wanted| matches!(picture, Wanted::Imagined(_));
    let change = |rng: &mut Rng, of: &[&'static str]| rng.pick(of).unwrap_or_default();
    if let Some(place) = pictures.iter().position(invented)
        && rng.chance(50)
    {
        pictures.insert(place + 1, Wanted::Again(change(rng, STYLES)));
        return;
    }
    let first = Wanted::Real(topic.real.first().copied().unwrap_or_default());
    let place = match pictures.iter().position(|picture| *picture == first) {
        Some(place) => place,
        None => {
            let place = rng.below(pictures.len());
            pictures[place] = first;
            place
        }
    };
    pictures.insert(place + 1, Wanted::Again(change(rng, &topic.changes)));
}
