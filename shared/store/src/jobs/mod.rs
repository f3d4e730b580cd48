//! Jobs: submitting, reading, listing, changing.
//!
//! A job's record is a Redis hash that only scripts change, so that each change
//! is atomic with its index entries and its event. `sequence` counts changes
//! and never falls. Final states change by [`Jobs::retry`] alone.

mod change;
mod list;
mod record;
pub(crate) mod status;
mod submit;

use chrono::{DateTime, Utc};
use illumine_types::{ApiKeyId, BlobKey, Job, JobId, JobKind, JobState, Priority, ToolKind};

pub(crate) use record::parse_priority;
pub(crate) use submit::{Envelope, IDEMPOTENCY_TTL_S};

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
    /// Another attempt would go on from here: failures before this count no more.
    pub settled: bool,
}

impl Jobs {
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn job(&self, id: &JobId) -> Result<Job> {
        let mut jobs = self.read(std::slice::from_ref(id)).await?;
        jobs.pop().flatten().ok_or_else(|| no_job(id))
    }

    /// The request as submitted.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn request(&self, id: &JobId) -> Result<serde_json::Value> {
        Ok(self.envelope(id).await?.request)
    }
}

pub(crate) fn no_job(id: &JobId) -> StoreError {
    StoreError::NotFound {
        what: "job",
        id: id.to_string(),
    }
}
