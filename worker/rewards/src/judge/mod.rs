//! Judges: a model that grades a document.
//!
//! [`LlmJudge`] reads question and tagged answer; [`MllmJudge`] reads question,
//! text and the real pictures. Both work over any
//! [`illumine_agent::policy::Policy`], an endpoint or a Burn model.
//!
//! ```text
//! sample ──▶ frame (material between random codes) ──▶ policy ──▶ parse ──▶ scores
//!               ▲                                        │ unclear: asked again,
//!            prompt (llm.md, mllm.md)                    │ other seed
//!                                                        └ failing: tried again, later
//! ```
//!
//! What is judged is untrusted: `frame` keeps it material. A judge that fails is
//! a failure of the infrastructure; no score is made up for it. A policy that
//! serves as a judge must not constrain tags: its answer has none.

mod ask;
mod cache;
mod error;
mod frame;
mod llm;
mod mllm;
mod parse;
mod settings;

use serde::{Deserialize, Serialize};

pub use error::JudgeError;
pub use llm::LlmJudge;
pub use mllm::{MOST_PICTURES, MllmJudge};
pub use settings::JudgeSettings;

/// A judge's scores, and how they came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement<S> {
    pub scores: S,
    /// The judge's whole answer, as it said it; nothing when a rule gave the
    /// scores and nobody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The policy's name.
    pub judge: String,
    /// Answers until one held the scores; 0 when nobody was asked.
    pub asked: u32,
    /// Whether the answer was already known.
    pub cached: bool,
}

/// What the framed message calls its pieces.
const QUESTION: &str = "QUESTION";
const ANSWER: &str = "ANSWER";
