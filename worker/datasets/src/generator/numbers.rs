//! Ways to say how many pictures: before them, after them, or by their order.

use super::pictures::noun;
use super::plan::Wanted;
use crate::rng::Rng;

/// After a lone picture that was asked for without a number.
pub(super) const ONLY_THAT: &[&str] = &[
    "One picture will do.",
    "A single image is enough.",
    "Just the one image, please.",
    "That picture and no other.",
    "1 image is all I can print.",
];

/// A picture before and after a change.
pub(super) fn pair(rng: &mut Rng, first: Wanted, change: &str) -> String {
    let first = noun(rng, first);
    let phrase = rng.pick(&[
        "Two pictures belong side by side: {first}, and next to it the same picture {change}.",
        "A before-and-after pair is what I have in mind: {first}, then that picture {change}.",
        "Include {first}, and right below it a twin of that picture {change}.",
        "Readers should be able to compare {first} with the same picture {change}.",
        "Show {first}, then let that picture come back {change}.",
    ]);
    let phrase = phrase.unwrap_or_default();
    phrase
        .replace("{first}", &first)
        .replace("{change}", change)
}

/// Pictures in the order of the text, two to four.
pub(super) fn sequence(rng: &mut Rng, nouns: &[String]) -> String {
    match nouns {
        [a, b] => {
            let frame = rng.pick(&[
                "Begin with {a} and end on {b}.",
                "Place {a} near the top and {b} further down.",
                "First comes {a}, later {b}.",
                "Put {a} on the first page, {b} on the second.",
            ]);
            let frame = frame.unwrap_or_default();
            frame.replace("{a}", a).replace("{b}", b)
        }
        [a, b, c] => {
            let frame = rng.pick(&[
                "Open with {a}, go on to {b}, and close with {c}.",
                "The first section shows {a}, the second {b}, and the third {c}.",
                "Let the reader see first {a}, next {b}, and finally {c}.",
                "There are three chapters, each with its picture: {a}; {b}; {c}.",
            ]);
            let frame = frame.unwrap_or_default();
            let frame = frame.replace("{a}", a).replace("{b}", b);
            frame.replace("{c}", c)
        }
        _ => {
            let frame = rng.pick(&[
                "Each of its four parts has one picture, in this order: {}.",
                "Along the way the reader comes upon the following, one after the other: {}.",
                "From top to bottom it should show this: {}.",
                "Four stops, four pictures: {}.",
            ]);
            frame.unwrap_or_default().replace("{}", &nouns.join("; "))
        }
    }
}

/// The number of pictures, before what they show.
pub(super) fn lead(rng: &mut Rng, count: usize) -> String {
    const ONE: &[&str] = &[
        "It needs exactly one picture:",
        "One image is all it should have:",
        "Give it a single picture:",
        "Add 1 picture and no more:",
        "There is room for just one image:",
        "A lone picture should go with it:",
    ];
    const MANY: &[&str] = &[
        "It needs exactly {w} pictures:",
        "Give it {w} images:",
        "There is room for {d} pictures:",
        "{W} pictures should go with it:",
        "Add {w} images, no more and no fewer:",
        "I have planned {d} images:",
        "The layout has {w} picture frames to fill:",
        "{W} images, in this order:",
        "Please place {w} pictures along the way:",
        "A set of {w} pictures should go with it:",
    ];
    numbered(rng, if count == 1 { ONE } else { MANY }, count)
}

/// The number of pictures, after what they show.
pub(super) fn total(rng: &mut Rng, count: usize) -> String {
    const MANY: &[&str] = &[
        "One picture for each of these, please.",
        "That makes {w} pictures in all.",
        "Give each of these one picture of its own.",
        "{W} pictures altogether, no more and no fewer.",
        "I expect {w} images in the finished piece.",
        "So there will be {d} images in total.",
        "Exactly {w} pictures, then.",
    ];
    numbered(rng, if count == 1 { ONLY_THAT } else { MANY }, count)
}

/// A phrase with its number as a word, `{w}` or `{W}`, or as a digit, `{d}`.
pub(super) fn numbered(rng: &mut Rng, phrases: &[&str], count: usize) -> String {
    let (word, opening) = match count {
        1 => ("one", "One"),
        2 => ("two", "Two"),
        3 => ("three", "Three"),
        _ => ("four", "Four"),
    };
    let phrase = rng.pick(phrases).unwrap_or_default();
    let phrase = phrase.replace("{w}", word).replace("{W}", opening);
    phrase.replace("{d}", &count.to_string())
}

/// One of `phrases` as it is.
pub(super) fn one_of(rng: &mut Rng, phrases: &[&str]) -> String {
    rng.pick(phrases).unwrap_or_default().to_owned()
}
