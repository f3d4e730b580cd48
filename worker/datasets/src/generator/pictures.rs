//! Words for a picture that let one guess how it must be made and never say so.
//! Phrases avoid verbs that would have to agree with what they are about.

use super::plan::Wanted;
use super::topic::Shape;
use crate::rng::Rng;

const REAL: &[&str] = &[
    "a faithful view of {}",
    "a real photograph of {}",
    "an authentic picture of {}",
    "a true-to-life look at {}",
    "a documentary shot of {}",
    "a genuine picture of {}",
    "an actual photograph of {}",
    "a press photograph of {}",
    "a real-world image of {}",
    "an honest, unposed picture of {}",
];

const TREND: &[&str] = &[
    "a chart of {}",
    "a graph of {}",
    "a curve that follows {}",
    "a line chart of {}",
    "a line drawn to scale for {}",
    "a clean diagram with axes for {}",
];

const COMPARE: &[&str] = &[
    "a bar chart of {}",
    "a graph that compares {}",
    "columns drawn to scale for {}",
    "a chart that sets side by side {}",
    "a bar graph of {}",
    "a neat comparison in bars of {}",
];

const SHARE: &[&str] = &[
    "a pie chart of {}",
    "a ring chart showing {}",
    "a circle cut into slices for {}",
    "a proportional chart of {}",
    "a single stacked bar for {}",
];

const IMAGINED: &[&str] = &[
    "an imagined scene of {}",
    "a dreamlike picture of {}",
    "a whimsical illustration of {}",
    "a fairy-tale image of {}",
    "a painted fantasy of {}",
    "a surreal poster of {}",
    "an invented scene of {}",
    "a fantastical drawing of {}",
    "a storybook illustration of {}",
    "a playful made-up picture of {}",
];

const AGAIN: &[&str] = &[
    "the same picture once more, now {}",
    "that very picture again, only {}",
    "a second version of that picture {}",
    "the same view {}, otherwise unchanged",
    "that picture repeated {}",
];

/// The picture as a noun phrase, to stand in a list.
pub(super) fn noun(rng: &mut Rng, wanted: Wanted) -> String {
    let (phrases, subject) = match wanted {
        Wanted::Real(subject) => (REAL, subject),
        Wanted::Data(Shape::Trend, subject) => (TREND, subject),
        Wanted::Data(Shape::Compare, subject) => (COMPARE, subject),
        Wanted::Data(Shape::Share, subject) => (SHARE, subject),
        Wanted::Imagined(subject) => (IMAGINED, subject),
        Wanted::Again(subject) => (AGAIN, subject),
    };
    fill(rng, phrases, subject)
}

/// The picture as a need of the reader: a sentence.
pub(super) fn need(rng: &mut Rng, wanted: Wanted) -> String {
    const REAL: &[&str] = &[
        "Readers should be able to recognise {} afterwards.",
        "Most people have never set eyes on {}, so let them see the real thing.",
        "No artist's impression of {}, please: show the reality.",
        "Let people see {} exactly as a visitor would.",
        "Nobody will believe me about {} without proof for the eye.",
        "I want everyone to know the true look of {}.",
        "Show {} without any embellishment.",
    ];
    const DATA: &[&str] = &[
        "The figures on {} should be clear at a glance.",
        "Numbers are dull in prose, so draw {} to scale.",
        "People ought to take in {} at one look.",
        "Help the eye with the numbers behind {}.",
        "Nobody reads tables any more, so turn {} into something visual.",
        "I would like to see, not just read, {}.",
    ];
    const IMAGINED: &[&str] = &[
        "Bring to life {}, although no camera could.",
        "I keep imagining {}; let others see it too.",
        "Delight the reader with the sight of {}.",
        "Somewhere there should be {}, entirely made up.",
        "Let {} appear before the reader, however impossible.",
        "Paint {} for us, straight out of a dream.",
    ];
    const AGAIN: &[&str] = &[
        "Afterwards the same picture should return {}.",
        "Then show that picture a second time, {}.",
        "Follow it with a variant of that same picture, {}.",
        "After that, the very same picture, but {}.",
    ];
    let (phrases, subject) = match wanted {
        Wanted::Real(subject) => (REAL, subject),
        Wanted::Data(_, subject) => (DATA, subject),
        Wanted::Imagined(subject) => (IMAGINED, subject),
        Wanted::Again(subject) => (AGAIN, subject),
    };
    fill(rng, phrases, subject)
}

/// What the text should touch on, when nothing is said about pictures: a sentence.
pub(super) fn hint(rng: &mut Rng, wanted: Wanted) -> String {
    const REAL: &[&str] = &[
        "Describe {} for someone who has yet to see it all.",
        "Give some space to {}.",
        "Do not forget to mention {}.",
        "A paragraph on {} is a must.",
    ];
    const DATA: &[&str] = &[
        "Discuss what follows from {}.",
        "Take into account {}.",
        "Explain to the reader {}.",
        "Base the argument on {}.",
    ];
    const IMAGINED: &[&str] = &[
        "Work in {}.",
        "Let {} play a part.",
        "I have been dreaming of {}, so use that.",
        "Somewhere in it should be {}.",
    ];
    let (phrases, subject) = match wanted {
        Wanted::Real(subject) | Wanted::Again(subject) => (REAL, subject),
        Wanted::Data(_, subject) => (DATA, subject),
        Wanted::Imagined(subject) => (IMAGINED, subject),
    };
    fill(rng, phrases, subject)
}

fn fill(rng: &mut Rng, phrases: &[&str], subject: &str) -> String {
    rng.pick(phrases).unwrap_or_default().replace("{}", subject)
}

/// "x", "x and y", "x, y and z"; items with commas of their own are kept apart.
pub(super) fn listing(items: &[String]) -> String {
    let joined = |item: &String| item.contains(',') || item.contains(" and ");
    let loose = items.iter().any(joined);
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first, second] if loose => format!("{first}, as well as {second}"),
        [first, second] => format!("{first} and {second}"),
        [head @ .., last] if loose => format!("{}; and {last}", head.join("; ")),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}
