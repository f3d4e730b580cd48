//! `jobs/{id}/status.json`: the record as S3 keeps it, for [`crate::rebuild`].
//!
//! It is written when an attempt starts and when a job ends. A success is
//! written before Redis calls it one; other ends are decided in Redis and noted
//! in `il:unsaved` until they are written.

use super::Jobs;
use crate::Result;
use illumine_types::{Job, JobId, JobState};

pub(crate) fn status_key(id: &JobId) -> String {
    format!("jobs/{id}/status.json")
}

impl Jobs {
    /// Writes the record to S3 as it is now, and once more if it changed its
    /// state meanwhile.
    pub(crate) async fn save_status(&self, id: &JobId) -> Result<()> {
        let mut job = self.job(id).await?;
        loop {
            self.write_status(&job).await?;
            let now = self.job(id).await?;
            if now.status == job.status && now.attempt == job.attempt {
                break;
            }
            job = now;
        }
        if job.status.is_final() {
            let mut command = redis::cmd("SREM");
            command.arg("il:unsaved").arg(id.as_str());
            self.store.redis().command::<()>(&command).await?;
        }
        Ok(())
    }

    /// Writes a record with another state: what is about to become true.
    pub(crate) async fn save_status_as(&self, id: &JobId, status: JobState) -> Result<()> {
        let mut job = self.job(id).await?;
        job.status = status;
        job.sequence += 1;
        job.finished_at = status.is_final().then(chrono::Utc::now);
        if status != JobState::Failed {
            job.error = None;
        }
        if status == JobState::Succeeded {
            job.progress = 1.0;
        }
        self.write_status(&job).await
    }

    async fn write_status(&self, job: &Job) -> Result<()> {
        let job = Job {
            position: None,
            eta_s: None,
            ..job.clone()
        };
        let key = status_key(&job.id);
        let body = serde_json::to_vec(&job).map_err(|e| crate::StoreError::corrupt(&key, e))?;
        self.store.s3().put(&key, &body, "application/json").await
    }

    /// Writes ends that Redis decided and nobody has written yet.
    pub(crate) async fn save_unsaved(&self) -> Result<()> {
        let mut command = redis::cmd("SRANDMEMBER");
        command.arg("il:unsaved").arg(50);
        let ids: Vec<String> = self.store.redis().once(&command).await?;
        for id in ids {
            let Ok(id) = JobId::parse(&id) else { continue };
            match self.save_status(&id).await {
                Ok(()) | Err(crate::StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
