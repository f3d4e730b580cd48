//! What is kept of a run's jobs on Ray, so that any worker goes on from it:
//! `runs/{id}/ray.json`.

use illumine_store::queue::JobFailure;
use illumine_store::{Store, StoreError};
use illumine_types::training::run_key;
use illumine_types::{ApiKeyId, JobId, Problem};
use serde::{Deserialize, Serialize};

const FILE: &str = "ray.json";

/// The newest of the run's jobs, and how far its log was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// From 1; 0 before the first. A run that is resumed after its job ended has
    /// another: Ray takes an id once.
    pub submission: u32,
    /// Ray has the job.
    pub submitted: bool,
    /// Its end was dealt with.
    pub ended: bool,
    /// Bytes of its log whose lines were told.
    pub log_bytes: usize,
    /// The last step it told of.
    pub step: u64,
    /// The key that it asks for rewards with, while it lives.
    pub key: Option<ApiKeyId>,
}

impl Kept {
    /// # Errors
    /// If S3 is away, or the file cannot be read.
    pub async fn load(store: &Store, run: &JobId) -> Result<Self, JobFailure> {
        let bytes = match store.blobs().get(&run_key(run, FILE)).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        serde_json::from_slice(&bytes).map_err(|error| {
            JobFailure::permanent(Problem::new(
                "training_failed",
                "The run broke off",
                format!("what is kept of the run's jobs on Ray ({FILE}) cannot be read: {error}"),
            ))
        })
    }

    /// # Errors
    /// If S3 is away.
    pub async fn save(&self, store: &Store, run: &JobId) -> Result<(), JobFailure> {
        // Numbers and names alone: it cannot fail.
        let body = serde_json::to_vec(self).unwrap_or_default();
        let key = run_key(run, FILE);
        Ok(store.blobs().put(&key, &body, "application/json").await?)
    }

    /// The job to follow: the one under way, or a new one.
    #[must_use]
    pub fn current(self) -> Self {
        match self.submission == 0 || self.ended {
            true => Self {
                submission: self.submission + 1,
                key: self.key,
                step: self.step,
                ..Self::default()
            },
            false => self,
        }
    }

    /// The job's id on Ray.
    #[must_use]
    pub fn id(&self, run: &JobId) -> String {
        format!("illumine-{run}-{}", self.submission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_under_way_is_found_again_and_an_ended_one_is_followed_by_another() {
        let run = JobId::parse("run_01J9ZD1N7H0000000000000000").unwrap();
        let first = Kept::default().current();
        assert_eq!(first.id(&run), "illumine-run_01J9ZD1N7H0000000000000000-1");
        let under_way = Kept {
            submitted: true,
            log_bytes: 9,
            ..first
        };
        assert_eq!(under_way.clone().current(), under_way);
        let ended = Kept {
            ended: true,
            step: 4,
            ..under_way
        };
        let next = ended.current();
        assert_eq!(
            (next.submission, next.submitted, next.ended),
            (2, false, false)
        );
        assert_eq!((next.log_bytes, next.step), (0, 4));
    }
}
