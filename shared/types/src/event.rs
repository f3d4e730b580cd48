//! What happens to a job, in order; replayed over SSE by `Last-Event-ID`.

use serde::{Deserialize, Serialize};

use crate::document::Outcome;
use crate::job::WorkerRef;
use crate::problem::Problem;
use crate::reward::RewardAnswer;
use crate::tool::ToolCall;

/// One event of a job's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Position in the stream (`milliseconds-counter`); the SSE event id.
    pub id: String,
    pub at: chrono::DateTime<chrono::Utc>,
    /// Which attempt of the job this belongs to, from 1; 0 before the first.
    /// A `started` event of a new attempt begins the document afresh.
    pub attempt: u32,
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. `type` is also the SSE event name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// `position` counts the jobs ahead; `eta_s` in seconds, when known.
    Queued {
        position: u64,
        eta_s: Option<f64>,
    },
    Started {
        worker: WorkerRef,
    },
    /// Markdown that continues the current text block.
    Text {
        delta: String,
    },
    /// A tag closed: an image block begins here. An invalid tag has `call: null`
    /// and is followed by its `tool_finished`.
    ToolStarted {
        index: usize,
        call: Option<ToolCall>,
        raw: String,
    },
    /// `fraction` in 0..=1.
    ToolProgress {
        index: usize,
        fraction: f32,
        /// A small picture of where it stands, as a `data:image/jpeg;base64,` URL.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preview: Option<String>,
    },
    ToolFinished {
        index: usize,
        outcome: Outcome,
    },
    Metrics {
        values: serde_json::Map<String, serde_json::Value>,
    },
    /// What a `score` job found, before it completes.
    Scored {
        score: Box<RewardAnswer>,
    },
    Log {
        level: LogLevel,
        message: String,
    },
    /// The attempt failed for a passing reason and will be made again.
    Retrying {
        error: Problem,
        in_s: f64,
    },
    Completed,
    Failed {
        error: Problem,
    },
    Cancelled,
}

impl EventKind {
    /// The SSE event name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Started { .. } => "started",
            Self::Text { .. } => "text",
            Self::ToolStarted { .. } => "tool_started",
            Self::ToolProgress { .. } => "tool_progress",
            Self::ToolFinished { .. } => "tool_finished",
            Self::Metrics { .. } => "metrics",
            Self::Scored { .. } => "scored",
            Self::Log { .. } => "log",
            Self::Retrying { .. } => "retrying",
            Self::Completed => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// No event follows this one, unless the job is asked for again.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed { .. } | Self::Cancelled
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Info,
    Warning,
    Error,
}
