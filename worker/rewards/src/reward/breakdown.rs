//! Every part of a score, for people and for metrics.

use serde::{Deserialize, Serialize};

use super::{ImageCount, LlmScores, MllmScores, ToolPart};
use crate::judge::Judgement;

/// A term of the reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TermName {
    Count,
    Mllm,
    Llm,
    Tools,
    Format,
    Length,
}

impl TermName {
    /// As in `weights`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Mllm => "mllm",
            Self::Llm => "llm",
            Self::Tools => "tools",
            Self::Format => "format",
            Self::Length => "length",
        }
    }
}

/// A term as it entered the reward.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermPart {
    pub name: TermName,
    /// With its share of the weights of absent terms.
    pub weight: f64,
    /// For `mllm` N·MLLM.
    pub value: f64,
    /// `weight · value`.
    pub contribution: f64,
}

/// A term that has a weight and does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsentTerm {
    pub name: TermName,
    /// For people.
    pub reason: String,
}

/// A judge's reward and what it said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JudgedPart<S> {
    /// From 0 to 1.
    pub value: f64,
    #[serde(flatten)]
    pub judgement: Judgement<S>,
}

/// What a score is made of. Parts that were not reached, because the sample was
/// excluded before, are absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreBreakdown {
    /// Pictures that the row asks for.
    pub image_num: ImageCount,
    /// Pictures that tools made.
    pub made: u32,
    /// Tags, valid or not.
    pub tags: u32,
    /// Tags that are valid calls.
    pub valid_tags: u32,
    /// N.
    pub count: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm: Option<JudgedPart<LlmScores>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mllm: Option<JudgedPart<MllmScores>>,
    /// Nothing when the row requires no tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolPart>,
    /// F.
    pub format: f64,
    /// L, when a limit is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<f64>,
    /// What the reward is the sum of; empty when the sample is excluded.
    pub terms: Vec<TermPart>,
    /// Terms whose weight the others bear.
    pub absent: Vec<AbsentTerm>,
}
