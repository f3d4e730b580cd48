//! The reward as a service: `POST /api/v1/rewards`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::InputImage;
use crate::document::Outcome;
use crate::id::JobId;
use crate::tool::{ToolCall, ToolKind};
use crate::training::RewardFactors;

/// An answer whose worth is asked for: its pictures are drawn by the tools of this
/// installation, then it is scored as in training (arXiv:2509.13642).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RewardRequest {
    pub question: String,
    /// As the policy wrote it, thinking and tags included.
    pub answer: String,
    /// Pictures wanted: −1 none, 0 the writer decides, 99 at least one, else so many.
    #[serde(default)]
    pub image_num: i64,
    /// Tools that must be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolKind>,
    /// Pictures of the question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<InputImage>,
    /// The paper's by default.
    #[serde(default)]
    pub factors: RewardFactors,
    /// Of the tools that draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// What the answer is worth, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RewardAnswer {
    /// Of the job that scored it.
    pub id: JobId,
    pub verdict: RewardVerdict,
    /// Every part of the reward: what was counted, what judges said, and the terms that
    /// were added up.
    pub breakdown: Value,
    /// What came of the answer's tags, in order.
    pub pictures: Vec<RewardPicture>,
}

/// Whether there is a reward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RewardVerdict {
    Scored {
        reward: f64,
    },
    /// A judge or a tool's service failed: the answer says nothing about the policy.
    /// Leave it out of its group; it is no low score.
    Excluded {
        /// The failure's stable code.
        code: String,
        reason: String,
    },
}

/// A tag of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RewardPicture {
    /// `null` when the tag was no valid call.
    pub call: Option<ToolCall>,
    pub outcome: Outcome,
}
