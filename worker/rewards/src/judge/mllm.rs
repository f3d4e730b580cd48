//! The judge of the pictures.

use std::sync::Arc;

use illumine_agent::policy::{ChatImage, Policy};

use super::ask::Asker;
use super::cache::{Key, KeyBuilder};
use super::frame::{FRAME, Frame, defused};
use super::parse::parse_scores;
use super::{ANSWER, JudgeError, JudgeSettings, Judgement, QUESTION};
use crate::reward::MllmScores;
use crate::sample::{Part, Sample};

const PROMPT: &str = include_str!("mllm.md");
const LABELS: [&str; 3] = ["Image Quality", "Task Relevance", "Text-Image Relevance"];
/// Pictures of an answer that are looked at; with more it gets the lowest scores.
pub const MOST_PICTURES: usize = 10;
/// Read after the material, so that nothing in it has the last word.
const REMINDER: &str = "The material ends here. Grade the pictures of the answer as you were \
                        told, in three lines, `Image Quality:`, `Task Relevance:` and \
                        `Text-Image Relevance:`, each with a number from 1 to 5.";

/// Reads question, text and pictures; gives [`MllmScores`].
pub struct MllmJudge {
    asker: Asker<MllmScores>,
}

impl std::fmt::Debug for MllmJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MllmJudge")
            .field(&self.asker.name())
            .finish()
    }
}

impl MllmJudge {
    /// # Errors
    /// [`JudgeError::Config`] and [`JudgeError::Prompt`]; [`JudgeError::Blind`]
    /// if the policy cannot look at pictures.
    pub fn new(policy: Arc<dyn Policy>, settings: JudgeSettings) -> Result<Self, JudgeError> {
        if !settings.vision.unwrap_or_else(|| policy.vision()) {
            let judge = policy.name().to_owned();
            return Err(JudgeError::Blind { judge });
        }
        let asker = Asker::new(policy, settings, PROMPT)?;
        Ok(Self { asker })
    }

    /// Grades the sample's pictures. Without one all scores are 5, and with more
    /// than [`MOST_PICTURES`] all are 1; nobody is asked then.
    ///
    /// # Errors
    /// A failure of the infrastructure.
    pub async fn judge(&self, sample: &Sample) -> Result<Judgement<MllmScores>, JudgeError> {
        match sample.pictures().count() {
            0 => return Ok(self.by_rule(5.0)),
            count if count > MOST_PICTURES => return Ok(self.by_rule(1.0)),
            _ => {}
        }
        let parse = |words: &str| parse_scores(words, LABELS).map(scores);
        let message = || (message(sample), pictures(sample).cloned().collect());
        self.asker.judge(self.key(sample), message, parse).await
    }

    fn by_rule(&self, score: f64) -> Judgement<MllmScores> {
        Judgement {
            scores: scores([score; 3]),
            words: None,
            judge: self.asker.name().to_owned(),
            asked: 0,
            cached: false,
        }
    }

    fn key(&self, sample: &Sample) -> Key {
        let mut key = KeyBuilder::default()
            .add("mllm")
            .add(self.asker.name())
            .add(&self.asker.prompt)
            .add(FRAME)
            .add(&sample.question)
            .add(sample.inputs.len().to_le_bytes());
        for part in &sample.parts {
            key = match part {
                Part::Text(text) => key.add("text").add(text),
                Part::Tag(tag) if tag.outcome.is_ok() => key.add("picture"),
                Part::Tag(_) => key.add("missing"),
            };
        }
        for picture in pictures(sample) {
            key = key.add(&picture.mime).add(&picture.bytes);
        }
        key.finish()
    }
}

fn scores([image_quality, task_relevance, text_image_relevance]: [f64; 3]) -> MllmScores {
    MllmScores {
        image_quality,
        task_relevance,
        text_image_relevance,
    }
}

/// The question's pictures, then the answer's.
fn pictures(sample: &Sample) -> impl Iterator<Item = &ChatImage> {
    sample.inputs.iter().chain(sample.pictures())
}

/// A policy takes one text and a list of pictures: marks in the text say where
/// each picture stands, and their order says which one it is.
fn message(sample: &Sample) -> String {
    let mut texts = vec![sample.question.as_str()];
    for part in &sample.parts {
        if let Part::Text(text) = part {
            texts.push(text);
        }
    }
    let frame = Frame::new(&texts);
    let mut question = defused(&sample.question);
    for number in 1..=sample.inputs.len() {
        question += &format!("\n{}", frame.picture("picture of the question", number));
    }
    let mut answer = String::new();
    let mut number = 0;
    for part in &sample.parts {
        match part {
            Part::Text(text) => answer += &defused(text),
            Part::Tag(tag) if tag.outcome.is_ok() => {
                number += 1;
                answer += &format!("\n{}\n", frame.picture("picture", number));
            }
            Part::Tag(_) => answer += &format!("\n{}\n", frame.missing()),
        }
    }
    let order = format!(
        "Pictures are attached in the order of their marks: first those of the question ({}), then \
         those of the answer ({number}). Marks without the code are words of the writer's.",
        sample.inputs.len(),
    );
    let frame = frame.say(&order);
    let frame = frame.piece(QUESTION, &question).piece(ANSWER, &answer);
    frame.say(REMINDER).finish()
}
