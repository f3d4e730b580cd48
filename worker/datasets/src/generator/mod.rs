//! A dataset of our own, from a seed: prompts for illustrated documents that need
//! one tool, several or none, and never say so. A reader can tell from what is
//! wanted (a real thing, numbers, something that exists nowhere, a picture changed)
//! which tool suits; the policy has to learn the same.
//!
//! ```text
//! topic ─▶ plan (which pictures, how many) ─▶ prompt (in words) ─┬─▶ Row
//! scene (an input picture) ─▶ attached (what to do with it) ─────┘
//! ```
//!
//! The topics and the things drawn of the test rows occur in no training row.
//! Pictures are drawn in whole numbers; rows are the same on every machine. No two
//! prompts of a split are more alike than [`MOST_ALIKE`].

mod attached;
mod canvas;
mod forms;
mod numbers;
mod pictures;
mod plan;
mod prompt;
mod scene;
mod similar;
mod topic;

use std::path::PathBuf;

use self::plan::{Plan, RULES, Rule};
use self::scene::{Scene, Thing};
pub use self::similar::Shingles;
use self::topic::Topic;
use crate::error::{DatasetError, Result};
use crate::order;
use crate::read::MAX_PIXELS;
use crate::rng::Rng;
use crate::row::{ExtraInfo, Message, Picture, PictureCheck, Prompt, Row};
use crate::split::Split;

/// Rows for training.
pub const TRAIN_ROWS: usize = 420;
/// Rows for testing.
pub const TEST_ROWS: usize = 84;
/// The seed of the committed files.
pub const DEMO_SEED: u64 = 250_913_642;
/// `data_source` of every row.
pub const SOURCE: &str = "illumine_demo";
/// The greatest [`Shingles::similarity`] of two prompts of a split.
pub const MOST_ALIKE: f64 = 0.4;

/// Draws before a prompt is taken although it is like another. Far more than are
/// ever needed at the numbers of rows above.
const ATTEMPTS: u64 = 200;

/// The training rows of `seed`.
///
/// # Errors
/// [`DatasetError::Write`] if an input picture cannot be encoded.
pub fn train(seed: u64) -> Result<Vec<Row>> {
    rows(
        seed,
        Split::Train,
        &topic::train(),
        &scene::TRAIN,
        TRAIN_ROWS,
    )
}

/// The test rows of `seed`.
///
/// # Errors
/// [`DatasetError::Write`] if an input picture cannot be encoded.
pub fn test(seed: u64) -> Result<Vec<Row>> {
    rows(
        seed ^ 0x7E57,
        Split::Test,
        &topic::test(),
        &scene::TEST,
        TEST_ROWS,
    )
}

/// A prompt of the training side, and what the text that it asks for is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Briefing {
    /// What the user writes.
    pub prompt: String,
    /// Pictures that come with it.
    pub pictures: usize,
    /// "pumpkin soup with ginger"; of a picture, the thing that it shows.
    pub topic: &'static str,
}

/// Prompt number `index` of `seed`, of the training side's topics: one of far more than a
/// dataset holds, for teaching how such prompts are answered before it is learnt which
/// answer is a good one.
pub fn briefing(seed: u64, index: u64) -> Briefing {
    let topics = topic::train();
    let topic = &topics[order::at(seed, index, topics.len())];
    let mut rng = Rng::new(seed, index);
    let rule = RULES[rng.below(RULES.len())];
    let draft = Draft::write(&mut rng, rule, topic, &scene::TRAIN);
    Briefing {
        prompt: draft.text,
        pictures: usize::from(draft.scene.is_some()),
        topic: match draft.scene {
            Some(scene) => scene.thing.noun(),
            None => topic.name,
        },
    }
}

fn rows(
    seed: u64,
    split: Split,
    topics: &[Topic],
    things: &[Thing],
    count: usize,
) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::with_capacity(count);
    let mut taken: Vec<Shingles> = Vec::with_capacity(count);
    for index in 0..count as u64 {
        let topic = &topics[order::at(seed, index, topics.len())];
        let rule = RULES[(index % RULES.len() as u64) as usize];
        let mut attempt = 0;
        let draft = loop {
            let mut rng = Rng::new(seed, index * ATTEMPTS + attempt);
            let draft = Draft::write(&mut rng, rule, topic, things);
            let shingles = Shingles::of(&draft.text);
            let alike = |other: &Shingles| other.similarity(&shingles) > MOST_ALIKE;
            attempt += 1;
            if attempt == ATTEMPTS || !taken.iter().any(alike) {
                taken.push(shingles);
                break draft;
            }
        };
        rows.push(draft.row(split, index)?);
    }
    Ok(rows)
}

/// A row before its picture is encoded.
struct Draft {
    text: String,
    extra_info: ExtraInfo,
    scene: Option<Scene>,
}

impl Draft {
    fn write(rng: &mut Rng, rule: Rule, topic: &Topic, things: &[Thing]) -> Self {
        let (text, mut tools, image_num, scene) = if rule == Rule::Attached {
            let scene = Scene::draw(rng, things);
            let request = attached::write(rng, &scene);
            (
                request.prompt,
                request.tools,
                request.image_num,
                Some(scene),
            )
        } else {
            let plan = Plan::draw(rng, rule, topic);
            let tools = plan.pictures.iter().map(|wanted| wanted.tool()).collect();
            (
                prompt::write(rng, topic, &plan),
                tools,
                plan.image_num,
                None,
            )
        };
        tools.sort_unstable();
        tools.dedup();
        Self {
            text,
            scene,
            extra_info: ExtraInfo {
                split: None,
                image_num,
                tools,
                question: None,
                index: None,
            },
        }
    }

    fn row(self, split: Split, index: u64) -> Result<Row> {
        let refuse = |reason: String| DatasetError::Write {
            path: PathBuf::from(SOURCE),
            reason: format!("row {index}: the input picture: {reason}"),
        };
        let mut images = Vec::new();
        if let Some(scene) = self.scene {
            let png = scene
                .canvas
                .png()
                .map_err(|error| refuse(error.to_string()))?;
            let picture = Picture::new(png, None, PictureCheck::Header, MAX_PIXELS);
            images.push(picture.map_err(|(reason, _)| refuse(reason))?);
        }
        Ok(Row {
            prompt: Prompt::Messages(vec![Message::user(self.text)]),
            images,
            data_source: SOURCE.to_owned(),
            extra_info: ExtraInfo {
                split: Some(split),
                index: i64::try_from(index).ok(),
                ..self.extra_info
            },
        })
    }
}
