//! Answers that teach form and no choice: to a prompt of a
//! [dataset's](illumine_datasets::generator) training side, a brief document with pictures of
//! any kind and number, whatever was asked for.
//!
//! A policy that has seen these writes a title of the prompt's topic and valid calls of every
//! tool, and knows nothing of which call a prompt wants. That is where reinforcement learning
//! begins: it can reward only what a policy does now and then by itself.

use illumine_datasets::generator::briefing;

use super::document::{caption, opening, tag, title};
use super::picture::{EFFECTS, Picture};
use super::request::{GENRES, Request, mixture, plain};
use super::{Example, Rng};

/// Percent of answers without a picture.
const BARE: usize = 12;
/// Percent of answers to a prompt with a picture that change it.
const CHANGED: usize = 60;

/// Example number `index` of `seed`.
pub fn example(seed: u64, index: u64) -> Example {
    let briefing = briefing(seed, index);
    let mut rng = Rng::new(seed ^ CHOICES, index);
    let request = Request {
        // A program quotes it with this.
        topic: briefing.topic.replace('\'', "’"),
        genre: rng.pick(GENRES),
        inputs: briefing.pictures,
        pictures: pictures(&mut rng, briefing.pictures),
        explicit: true,
    };
    Example {
        prompt: briefing.prompt,
        inputs: briefing.pictures,
        answer: write(&mut rng, &request),
        partial: false,
    }
}

/// Keeps the answers' stream apart from that of prompts.
const CHOICES: u64 = 0xF0_7200_0000_0000;

fn pictures(rng: &mut Rng, inputs: usize) -> Vec<Picture> {
    if rng.chance(BARE) {
        return Vec::new();
    }
    if inputs == 0 {
        return mixture(rng);
    }
    let count = 1 + rng.below(3);
    (0..count)
        .map(|_| match rng.chance(CHANGED) {
            true => Picture::Edit {
                parent: rng.below(inputs),
                effect: rng.pick(EFFECTS),
            },
            false => plain(rng),
        })
        .collect()
}

/// Title, plan, and a heading with a tag for each picture.
fn write(rng: &mut Rng, request: &Request) -> String {
    let mut parts = vec![
        format!("# {} {}", title(request.genre), request.topic),
        opening(rng, request),
    ];
    for (index, &picture) in request.pictures.iter().enumerate() {
        parts.push(format!("## {}", caption(request, index)));
        parts.push(tag(rng, request, picture));
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn answers_have_every_tool_and_any_number_of_pictures() {
        let mut sources = BTreeSet::new();
        let mut counts = BTreeSet::new();
        for index in 0..300 {
            let example = example(3, index);
            let tags = example.answer.matches("<imgen>").count();
            counts.insert(tags);
            for source in ["search", "diffusion", "code", "edit"] {
                if example
                    .answer
                    .contains(&format!("\"source\": \"{source}\""))
                {
                    sources.insert(source);
                }
            }
        }
        assert_eq!(sources.len(), 4);
        assert_eq!(counts, (0..=4).collect());
    }

    #[test]
    fn an_edit_has_a_picture_before_it() {
        for index in 0..300 {
            let example = example(5, index);
            let tags = example.answer.split("<imgen>").skip(1);
            for (before, tag) in (example.inputs..).zip(tags) {
                if let Some((_, rest)) = tag.split_once("\"img_index\": ") {
                    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                    assert!(
                        digits.parse::<usize>().unwrap() < before,
                        "{}",
                        example.answer
                    );
                }
            }
        }
    }
}
