//! Jobs: submitting, reading, listing, changing.

use chrono::{DateTime, Utc};
use illumine_types::api::Page;
use illumine_types::{ApiKeyId, BlobKey, Job, JobId, JobKind, JobState, Priority, ToolKind};

use crate::{Result, Store, StoreError};

/// Jobs of all kinds.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub(crate) store: Store,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct NewJob {
    pub kind: JobKind,
    pub owner: Option<ApiKeyId>,
    pub priority: Priority,
    /// First words of the request, for lists.
    pub title: String,
    /// What the handler will read; never empty of meaning for the kind.
    pub request: serde_json::Value,
    /// Of this owner; the same key with the same request answers the first job.
    pub idempotency_key: Option<String>,
    /// Uploaded pictures that the request names; kept as long as the job.
    pub inputs: Vec<BlobKey>,
}

/// Answer to a submission.
#[derive(Clone, Debug)]
pub struct Submitted {
    pub job: Job,
    /// `false` if the idempotency key named an earlier job, which this is.
    pub created: bool,
}

/// Which jobs a list shows; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    pub kind: Option<JobKind>,
    pub status: Option<JobState>,
    pub owner: Option<ApiKeyId>,
    /// Created at or after.
    pub since: Option<DateTime<Utc>>,
    /// Drew a picture with this tool.
    pub tool: Option<ToolKind>,
    /// Words that the title holds, in any case.
    pub search: Option<String>,
}

/// What a worker may say of a running job, for lists. Only what is set changes.
#[derive(Clone, Debug, Default)]
pub struct JobUpdate {
    /// Done share in 0..=1.
    pub progress: Option<f32>,
    pub title: Option<String>,
    pub thumbnail: Option<String>,
    pub tools_used: Option<Vec<ToolKind>>,
}

fn unbuilt<T>() -> Result<T> {
    Err(StoreError::Config("not built yet".into()))
}

impl Jobs {
    /// Stores the request in S3, then queues the job.
    ///
    /// # Errors
    /// [`StoreError::IdempotencyConflict`]; or a store is away: nothing is queued
    /// then, or the same key must be used to ask again.
    pub async fn submit(&self, _new: NewJob) -> Result<Submitted> {
        unbuilt()
    }

    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn job(&self, _id: &JobId) -> Result<Job> {
        unbuilt()
    }

    /// The request as submitted.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn request(&self, _id: &JobId) -> Result<serde_json::Value> {
        unbuilt()
    }

    /// Newest first. A page may hold fewer than `limit` jobs (1..=200) although
    /// more follow: a search looks at a bounded number of jobs at a time.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`].
    pub async fn list(
        &self,
        _filter: &JobFilter,
        _cursor: Option<&str>,
        _limit: usize,
    ) -> Result<Page<Job>> {
        unbuilt()
    }

    /// Cancels at once what waits; asks the worker to stop what runs.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::WrongState`] if it has ended
    /// otherwise than by cancelling.
    pub async fn cancel(&self, _id: &JobId) -> Result<Job> {
        unbuilt()
    }

    /// Queues a failed or cancelled job again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::WrongState`].
    pub async fn retry(&self, _id: &JobId) -> Result<Job> {
        unbuilt()
    }

    /// Removes a job, its document, its events, and pictures that no other job
    /// uses. A running job is cancelled first and waited for, for seconds.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::WrongState`] if it runs on.
    pub async fn delete(&self, _id: &JobId) -> Result<()> {
        unbuilt()
    }

    /// Notes progress and what lists show, for the current attempt.
    ///
    /// # Errors
    /// [`StoreError::StaleAttempt`] if the attempt is not the running one.
    pub async fn update(&self, _id: &JobId, _attempt: u32, _update: JobUpdate) -> Result<()> {
        unbuilt()
    }

    /// Changes the listed title, thumbnail and tools of a job that has ended
    /// (a picture was drawn again).
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn describe(&self, _id: &JobId, _update: JobUpdate) -> Result<()> {
        unbuilt()
    }
}
