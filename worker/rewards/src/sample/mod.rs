//! What is scored: a question and the document that answers it.
//!
//! A sample is made from a finished [`illumine_types::Document`]
//! ([`Sample::from_document`]) or from an answer's raw text and what came of its
//! calls ([`Sample::from_answer`]). Either way thinking is no part of it, and
//! words such as `<image>` are words.

mod answer;
mod document;
mod fault;

use illumine_agent::policy::ChatImage;
use illumine_types::tag::{CLOSE, OPEN};
use illumine_types::tool::ToolStats;
use illumine_types::{ToolCall, ToolKind};
use serde::{Deserialize, Serialize};

use crate::reward::ImageCount;
pub use answer::valid_calls;
pub use fault::{Fault, fault_of};

/// What a row asks of its answer, named as in the data's `extra_info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Requirement {
    pub image_num: ImageCount,
    /// Tools that must be used.
    pub tools: Vec<ToolKind>,
}

/// A question, its answer and what came of the answer's calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Names the sample in scores and errors.
    pub id: String,
    pub question: String,
    /// Pictures of the question, in order.
    pub inputs: Vec<ChatImage>,
    /// Text and pictures in reading order.
    pub parts: Vec<Part>,
    pub requires: Requirement,
    /// Tokens that the policy wrote, thinking included; needed for the penalty
    /// for length.
    pub tokens: Option<u64>,
    /// Why the answer is not the policy's own fault or merit: its server broke
    /// off, or the job was cancelled.
    pub broken: Option<Failure>,
}

/// A piece of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    Tag(Tag),
}

/// A tag and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tag {
    /// Its inside, as written.
    pub raw: String,
    /// Nothing when it is no valid call.
    pub call: Option<ToolCall>,
    pub outcome: Outcome,
}

/// A picture, or why there is none.
pub type Outcome = Result<ChatImage, Failure>;

/// A failure with its stable code, and words for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub reason: String,
}

impl Failure {
    pub fn new(code: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            reason: reason.into(),
        }
    }
}

impl Sample {
    /// All tags, in order.
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        self.parts.iter().filter_map(|part| match part {
            Part::Tag(tag) => Some(tag),
            Part::Text(_) => None,
        })
    }

    /// Pictures that tools made, in order.
    pub fn pictures(&self) -> impl Iterator<Item = &ChatImage> {
        self.tags().filter_map(|tag| tag.outcome.as_ref().ok())
    }

    /// The answer as it was written, without thinking.
    #[must_use]
    pub fn tagged_text(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Tag(tag) => format!("{OPEN}{}{CLOSE}", tag.raw),
            })
            .collect()
    }

    /// Attempts and successes by tool.
    #[must_use]
    pub fn tool_stats(&self) -> ToolStats {
        let mut stats = ToolStats::default();
        for tag in self.tags() {
            match &tag.call {
                Some(call) => {
                    let count = stats.count_mut(call.kind());
                    count.attempted += 1;
                    count.succeeded += u32::from(tag.outcome.is_ok());
                }
                None => stats.invalid += 1,
            }
        }
        stats
    }

    /// The first failure that is not the writer's: the sample says nothing about
    /// the policy then.
    #[must_use]
    pub fn infrastructure_failure(&self) -> Option<&Failure> {
        self.broken.as_ref().or_else(|| {
            self.tags().find_map(|tag| {
                let failure = tag.outcome.as_ref().err()?;
                let fault = fault_of(&failure.code, tag.call.as_ref(), self.inputs.len());
                (fault == Fault::Infrastructure).then_some(failure)
            })
        })
    }
}
