//! Prompts that bring a picture along and want it changed.

use illumine_types::ToolKind;

use super::forms;
use super::numbers::{numbered, one_of};
use super::pictures::{listing, noun};
use super::plan::Wanted;
use super::scene::Scene;
use super::topic::Shape;
use crate::rng::Rng;
use crate::row::ImageNum;

const INTRODUCTIONS: &[&str] = &[
    "The attached picture shows {}.",
    "I have attached a drawing of {}.",
    "Here is a simple picture of {}.",
    "My daughter has drawn {}; you find the drawing attached.",
    "With this message comes a picture of {}.",
    "This is the emblem of our club: {}.",
    "You will see that I am sending you a picture of {}.",
    "Our kindergarten has a poster of {}, attached here.",
];

const TEXTS: &[&str] = &[
    "a bedtime story about this {}",
    "a short letter from the owner of the {}",
    "a diary entry in the voice of the {}",
    "a little weather lesson built around the {}",
    "a page that offers the {} as a set of posters",
    "a short art lesson on how the mood of the {} can change",
    "a greeting card text around the {}",
    "a children's magazine page about the {}",
    "a beginner's introduction to colour and light that uses the {}",
    "a flyer for our drawing club with the {} as its theme",
    "a riddle whose answer is the {}",
    "a tiny picture-book chapter in which the {} wakes up",
    "an auction description of the {}",
    "a speech in praise of the {}",
];

const CHANGES: &[&str] = &[
    "with the sky turned to night",
    "in falling snow",
    "in heavy rain",
    "in black and white",
    "as a watercolour",
    "with a rainbow behind it",
    "wrapped in fog",
    "at sunrise",
    "as a mosaic of small tiles",
    "with a small bird beside it",
    "as a stained-glass window",
    "painted bright orange",
    "in the colours of autumn",
    "as a pencil sketch",
    "with stars all around it",
    "as a knitted pattern",
    "mirrored in still water",
    "by candlelight",
];

const VOTES: &[&str] = &[
    "the votes that four drawings received from our members (12, 9, 17 and 5)",
    "the hours each of us spent drawing (2, 3.5, 1 and 4)",
    "the ages of the children who took part (4, 6, 7, 7 and 9)",
    "the sheets of paper used on five afternoons (31, 24, 40, 28 and 35)",
    "the points that the jury gave in three rounds (14, 19 and 23)",
];

/// A prompt and what its answer is judged by.
pub(super) struct Request {
    pub(super) prompt: String,
    pub(super) tools: Vec<ToolKind>,
    pub(super) image_num: ImageNum,
}

/// A request about the picture of `scene`.
pub(super) fn write(rng: &mut Rng, scene: &Scene) -> Request {
    let mut changes = CHANGES.to_vec();
    rng.shuffle(&mut changes);
    changes.truncate(1 + rng.below(3));
    let document = one_of(rng, TEXTS).replace("{}", scene.thing.noun());
    let (request, end) = forms::request(rng, &document);
    let subject = format!("a {}", scene.words);
    let mut sentences = vec![
        one_of(rng, INTRODUCTIONS).replace("{}", &subject),
        format!("{request}{end}"),
    ];
    let mut tools = vec![ToolKind::Edit];
    let image_num = if rng.chance(15) {
        sentences.push(freely(rng, &changes));
        ImageNum::AtLeastOne
    } else {
        sentences.push(versions(rng, &changes));
        let mut count = changes.len();
        if let Some(wanted) = company(rng, scene) {
            let more = one_of(
                rng,
                &[
                    "Add {}.",
                    "Further down belongs {}.",
                    "At the very end should come {}.",
                ],
            );
            sentences.push(more.replace("{}", &noun(rng, wanted)));
            tools.push(wanted.tool());
            count += 1;
        }
        ImageNum::Exactly(u8::try_from(count).unwrap_or(u8::MAX))
    };
    if rng.chance(40) {
        sentences.push(forms::wish(rng).to_owned());
    }
    tools.sort_unstable();
    Request {
        prompt: sentences.join(" "),
        tools,
        image_num,
    }
}

/// Exactly as many new pictures as there are changes.
fn versions(rng: &mut Rng, changes: &[&str]) -> String {
    const ONE: &[&str] = &[
        "In it, show the attached picture {}.",
        "It should contain my picture once, {}.",
        "Instead of the original, use the same picture {}.",
        "What I want to see there is the very same picture {}.",
    ];
    const MANY: &[&str] = &[
        "Show my picture in {w} new versions: {}.",
        "{W} variants of the picture should go with it: {}.",
        "Let the same picture return {w} times: {}.",
        "I need the original changed in {d} ways: {}.",
    ];
    let count = changes.len();
    let phrases = if count == 1 { ONE } else { MANY };
    let items: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
    let list = match &items[..] {
        [first, second] => format!("first {first}, then {second}"),
        _ => listing(&items),
    };
    numbered(rng, phrases, count).replace("{}", &list)
}

/// Some new pictures, no number named.
fn freely(rng: &mut Rng, changes: &[&str]) -> String {
    let first = changes.first().copied().unwrap_or_default();
    let phrases = [
        "Show the picture in as many moods as you like, for instance {}.",
        "Variants of my picture are welcome throughout, say {}; I would like at least one.",
        "Let the picture change as the text goes on, perhaps {}, as often as it suits.",
    ];
    one_of(rng, &phrases).replace("{}", first)
}

/// One more picture that is none of the attached one.
fn company(rng: &mut Rng, scene: &Scene) -> Option<Wanted> {
    let (real, imagined) = scene.thing.company();
    match rng.below(6) {
        0 => Some(Wanted::Real(real)),
        1 => Some(Wanted::Imagined(imagined)),
        2 => rng
            .pick(VOTES)
            .map(|votes| Wanted::Data(Shape::Compare, votes)),
        _ => None,
    }
}
