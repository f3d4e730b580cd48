//! What a handler gets and answers.

use std::time::Duration;

use illumine_types::{ApiKeyId, JobId, JobKind, Priority, Problem};
use tokio_util::sync::CancellationToken;

use crate::{Store, StoreError};

/// What a handler is given.
#[derive(Clone, Debug)]
pub struct JobContext {
    pub store: Store,
    pub id: JobId,
    pub kind: JobKind,
    pub owner: Option<ApiKeyId>,
    pub priority: Priority,
    /// From 1; events carry it.
    pub attempt: u32,
    /// As submitted.
    pub request: serde_json::Value,
    /// From submission to this start.
    pub queued: Duration,
    /// Fires when the job was cancelled, or is another worker's by now. Watch
    /// it between tokens, between tool calls and between denoising steps; store
    /// what there is and return.
    pub cancel: CancellationToken,
    /// Fires when the worker is to stop: long work saves a checkpoint and
    /// returns [`JobFailure::released`]; short work goes on.
    pub draining: CancellationToken,
}

/// Why an attempt did not succeed.
#[derive(Clone, Debug)]
pub struct JobFailure {
    pub problem: Problem,
    pub(crate) how: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Tried again with back-off until attempts run out.
    Transient,
    Permanent,
    /// Given back to the queue, uncounted.
    Released,
}

impl JobFailure {
    /// Will be tried again, after a wait.
    #[must_use]
    pub fn transient(problem: Problem) -> Self {
        Self {
            problem,
            how: FailureKind::Transient,
        }
    }

    /// Will not be tried again.
    #[must_use]
    pub fn permanent(problem: Problem) -> Self {
        Self {
            problem,
            how: FailureKind::Permanent,
        }
    }

    /// Whether it is one of [`Self::released`].
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.how == FailureKind::Released
    }

    /// Not done, through no fault of the job: goes back to the front of the
    /// queue and the attempt does not count.
    #[must_use]
    pub fn released() -> Self {
        Self {
            problem: Problem::new(
                "released",
                "The worker stopped",
                "the worker stopped before the job was done",
            ),
            how: FailureKind::Released,
        }
    }
}

impl std::fmt::Display for JobFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for JobFailure {}

impl From<StoreError> for JobFailure {
    fn from(error: StoreError) -> Self {
        let problem = Problem::new(error.code(), "The store failed", error.to_string());
        if error.is_transient() {
            Self::transient(problem)
        } else {
            Self::permanent(problem)
        }
    }
}
