//! What a document is worth: the reward that training learns from.
//!
//! ```text
//! Document ─▶ Sample ─┬─▶ rules: number of pictures, tools, format, length ─┐
//!                     ├─▶ LlmJudge: question + tagged text ─────────────────┼─▶ Score
//!                     └─▶ MllmJudge: question + text + pictures ────────────┘
//! ```
//!
//! # Entry points
//! - [`Sample`]: what is scored, from a document or from an answer's raw text;
//! - [`Scorer`]: a sample, or a batch of them, to [`Score`]s with every part;
//! - [`reward`]: the formulas, as pure functions;
//! - [`judge`]: the two judges over any policy;
//! - [`calibration`]: how far a judge agrees with labels.
//!
//! A failure of a judge or of a tool's service *excludes* a sample
//! ([`Verdict::Excluded`]); what the writer itself did wrong is scored.
//!
//! # Test alone
//! `cargo nextest run -p illumine-rewards`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod calibration;
mod error;
pub mod judge;
pub mod reward;
pub mod sample;
mod score;

pub use error::{Result, RewardError};
pub use judge::{JudgeError, JudgeSettings, Judgement, LlmJudge, MllmJudge};
pub use reward::{ImageCount, LengthLimit, RewardSettings, RewardWeights, ScoreBreakdown};
pub use sample::{Failure, Part, Requirement, Sample, Tag};
pub use score::{Score, Scorer, Verdict};
