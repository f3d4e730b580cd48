//! Jobs: what is asked, and how far it is.

use serde::{Deserialize, Serialize};

use crate::id::{ApiKeyId, JobId};
use crate::problem::Problem;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// A document from a prompt.
    Generation,
    /// One picture of a finished document, drawn again.
    Redraw,
    Batch,
    TrainingRun,
    Evaluation,
    /// What an answer is worth.
    Score,
}

impl JobKind {
    pub const ALL: [Self; 6] = [
        Self::Generation,
        Self::Redraw,
        Self::Batch,
        Self::TrainingRun,
        Self::Evaluation,
        Self::Score,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::Redraw => "redraw",
            Self::Batch => "batch",
            Self::TrainingRun => "training_run",
            Self::Evaluation => "evaluation",
            Self::Score => "score",
        }
    }

    /// What ids of this kind begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Generation => "gen",
            Self::Redraw => "drw",
            Self::Batch => "bat",
            Self::TrainingRun => "run",
            Self::Evaluation => "evl",
            Self::Score => "scr",
        }
    }

    #[must_use]
    pub fn from_prefix(prefix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.prefix() == prefix)
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    /// An attempt failed for a passing reason; another will start.
    Retrying,
    Succeeded,
    Failed,
    Cancelled,
}

impl JobState {
    pub const ALL: [Self; 6] = [
        Self::Queued,
        Self::Running,
        Self::Retrying,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Nothing more will happen unless someone asks for it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// Which jobs go first. High before normal before low, none starves.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

impl Priority {
    /// In the order in which they are served.
    pub const SERVED: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// The process that runs a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerRef {
    /// Unique per process start.
    pub id: String,
    pub host: String,
    pub pid: u32,
}

/// A job as anyone may see it (`GET /api/v1/generations/{id}`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Job {
    pub id: JobId,
    pub kind: JobKind,
    pub status: JobState,
    /// Grows with every change of this record, never falls.
    pub sequence: u64,
    /// First words of the request, for lists.
    pub title: String,
    /// Who asked; `null` when sign-in is off.
    #[serde(default)]
    pub owner: Option<ApiKeyId>,
    pub priority: Priority,
    /// Attempts started, 0 while the job has never run.
    pub attempt: u32,
    /// Place in the queue, 0 is next; only while queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Seconds until it is expected to start; only while queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerRef>,
    /// Done share in 0..=1, as far as it is known.
    #[serde(default)]
    pub progress: f32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// A picture to show in lists, relative URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
    /// Tools that drew something, for lists and filters.
    #[serde(default)]
    pub tools_used: Vec<crate::tool::ToolKind>,
    pub created_at: chrono::DateTime<chrono::Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<chrono::DateTime<chrono::Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<chrono::DateTime<chrono::Utc>>,
}
