//! The one error of this crate.

use illumine_types::JobId;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Redis cannot be reached or did not answer in time.
    #[error("the Redis server cannot be reached: {0}")]
    RedisUnavailable(String),
    /// Redis refused a command.
    #[error("Redis refused a command: {0}")]
    Redis(String),
    /// S3 cannot be reached, did not answer in time or is overloaded.
    #[error("the S3 server cannot be reached: {0}")]
    S3Unavailable(String),
    /// S3 refused a request (access, bucket, …).
    #[error("the S3 server refused `{key}`: status {status} {detail}")]
    S3Refused {
        key: String,
        status: u16,
        detail: String,
    },
    /// A file of this machine cannot be read or written.
    #[error("this machine's disk failed: {0}")]
    Disk(String),
    /// What was asked for does not exist.
    #[error("there is no {what} `{id}`")]
    NotFound { what: &'static str, id: String },
    /// What is stored cannot be read as what it should be.
    #[error("`{key}` holds something unreadable: {detail}")]
    Corrupt { key: String, detail: String },
    /// The idempotency key was used before, with another request.
    #[error("this idempotency key was used for another request (job {existing})")]
    IdempotencyConflict { existing: JobId },
    /// The job's state does not allow this.
    #[error("job {id} is {state}: {reason}")]
    WrongState {
        id: JobId,
        state: &'static str,
        reason: &'static str,
    },
    /// Another attempt, perhaps on another worker, has taken over.
    #[error("attempt {attempt} of job {id} is no longer the current one")]
    StaleAttempt { id: JobId, attempt: u32 },
    /// A document with another version is stored.
    #[error("document {id} is at version {stored}, expected {expected}")]
    VersionConflict {
        id: JobId,
        stored: u32,
        expected: u32,
    },
    /// A cursor that no list of ours gave out.
    #[error("the cursor is not one that this list gave out")]
    BadCursor,
    /// An event id that no stream of ours gave out.
    #[error("`{0}` is not an event id: expected `milliseconds-counter`")]
    BadEventId(String),
    /// A value that cannot be stored.
    #[error("{field} is not acceptable: {reason}")]
    Invalid { field: &'static str, reason: String },
    /// Connection settings that cannot be used.
    #[error("the store's settings are not usable: {0}")]
    Config(String),
    /// The handler or the worker behind it broke.
    #[error("the queue worker stopped: {0}")]
    Worker(String),
}

impl StoreError {
    /// Stable code, for problem details and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::RedisUnavailable(_) => "redis_unavailable",
            Self::Redis(_) => "redis_error",
            Self::S3Unavailable(_) => "s3_unavailable",
            Self::S3Refused { .. } => "s3_refused",
            Self::Disk(_) => "local_disk",
            Self::NotFound { .. } => "not_found",
            Self::Corrupt { .. } => "stored_object_unreadable",
            Self::IdempotencyConflict { .. } => "idempotency_conflict",
            Self::WrongState { .. } => "wrong_state",
            Self::StaleAttempt { .. } => "stale_attempt",
            Self::VersionConflict { .. } => "version_conflict",
            Self::BadCursor => "bad_cursor",
            Self::BadEventId(_) => "bad_event_id",
            Self::Invalid { .. } => "invalid_value",
            Self::Config(_) => "store_misconfigured",
            Self::Worker(_) => "worker_stopped",
        }
    }

    /// Whether the same call may succeed later, unchanged.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::RedisUnavailable(_) | Self::S3Unavailable(_))
    }

    pub(crate) fn corrupt(key: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            key: key.into(),
            detail: error.to_string(),
        }
    }
}

impl From<redis::RedisError> for StoreError {
    fn from(error: redis::RedisError) -> Self {
        use redis::{ErrorKind, ServerErrorKind};
        let passing = error.is_io_error()
            || error.is_timeout()
            || error.is_connection_dropped()
            || error.is_connection_refusal()
            || matches!(
                error.kind(),
                ErrorKind::Server(
                    ServerErrorKind::BusyLoading
                        | ServerErrorKind::TryAgain
                        | ServerErrorKind::MasterDown
                        | ServerErrorKind::ReadOnly
                )
            );
        if passing {
            Self::RedisUnavailable(error.to_string())
        } else {
            Self::Redis(error.to_string())
        }
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;
