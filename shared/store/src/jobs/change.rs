//! Cancelling, retrying, describing and deleting.

use std::time::Duration;

use illumine_types::{Job, JobId, JobKind, JobState};
use tokio::time::{Instant, sleep};

use super::status::status_key;
use super::submit::request_key;
use super::{JobUpdate, Jobs, no_job};
use crate::conn::{CANCEL, DELETE, RETRY, UPDATE};
use crate::documents::document_key;
use crate::{Result, StoreError};

/// How long a deletion waits for a running job to stop.
const STOPPING: Duration = Duration::from_secs(5);

impl Jobs {
    /// Cancels at once what waits; asks the worker to stop what runs. A job that
    /// was asked to stop ends as cancelled, whatever its handler answers.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::WrongState`] if it has ended
    /// otherwise than by cancelling.
    pub async fn cancel(&self, id: &JobId) -> Result<Job> {
        let mut script = CANCEL.prepare_invoke();
        script
            .arg(id.as_str())
            .arg(self.store.timings().event_retention.as_secs());
        match self.state_before(&script, id).await? {
            JobState::Queued | JobState::Retrying => self.save_soon(id).await,
            JobState::Running | JobState::Cancelled => {}
            state => {
                return Err(StoreError::WrongState {
                    id: id.clone(),
                    state: state.as_str(),
                    reason: "it has ended and cannot be cancelled",
                });
            }
        }
        self.job(id).await
    }

    /// Queues a failed or cancelled job again. Attempts go on counting; the
    /// limit on them starts afresh.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::WrongState`].
    pub async fn retry(&self, id: &JobId) -> Result<Job> {
        let job = self.job(id).await?;
        if matches!(job.status, JobState::Failed | JobState::Cancelled) {
            self.save_status_as(id, JobState::Queued).await?;
            let mut script = RETRY.prepare_invoke();
            script.arg(id.as_str());
            let before = self.state_before(&script, id).await?;
            if matches!(before, JobState::Failed | JobState::Cancelled) {
                return self.job(id).await;
            }
        }
        Err(StoreError::WrongState {
            id: id.clone(),
            state: job.status.as_str(),
            reason: "only a failed or cancelled job can be retried",
        })
    }

    /// Removes a job, its document, its events, what it keeps as a training run,
    /// and pictures that no other job uses. A running job is cancelled first and
    /// waited for, for seconds.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::WrongState`] if it runs on.
    pub async fn delete(&self, id: &JobId) -> Result<()> {
        let mut job = self.job(id).await?;
        if !job.status.is_final() {
            match self.cancel(id).await {
                Ok(_) | Err(StoreError::WrongState { .. }) => {}
                Err(error) => return Err(error),
            }
            let until = Instant::now() + STOPPING;
            job = self.job(id).await?;
            while !job.status.is_final() && Instant::now() < until {
                sleep(Duration::from_millis(50)).await;
                job = self.job(id).await?;
            }
        }
        if !job.status.is_final() {
            return Err(StoreError::WrongState {
                id: id.clone(),
                state: job.status.as_str(),
                reason: "it was asked to stop; delete it once it has",
            });
        }
        // The request goes first: without it, a rebuild knows no such job.
        let s3 = self.store.s3();
        for key in [request_key(id), document_key(id), status_key(id)] {
            s3.delete(&key).await?;
        }
        // While the job is known, so that a removal that broke off can be asked
        // for again.
        let is_run = id.kind() == JobKind::TrainingRun;
        if is_run {
            self.store.training().remove(id).await?;
        }
        let mut script = DELETE.prepare_invoke();
        script.arg(id.as_str());
        let answer: Vec<String> = self.store.redis().script(&script).await?;
        for key in answer.iter().skip(1) {
            s3.delete(key).await?;
        }
        // The worker may have written once more on its way out.
        if is_run {
            self.store.training().remove(id).await?;
        }
        s3.delete(&status_key(id)).await
    }

    /// Notes progress and what lists show, for the current attempt.
    ///
    /// # Errors
    /// [`StoreError::StaleAttempt`] if the attempt is not the running one.
    pub async fn update(&self, id: &JobId, attempt: u32, update: JobUpdate) -> Result<()> {
        self.set(id, Some(attempt), update).await
    }

    /// Changes the listed title, thumbnail and tools of a job whatever its state
    /// (a picture was drawn again), and keeps that in S3 if it has ended.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn describe(&self, id: &JobId, update: JobUpdate) -> Result<()> {
        self.set(id, None, update).await?;
        if self.job(id).await?.status.is_final() {
            self.save_status(id).await?;
        }
        Ok(())
    }

    async fn set(&self, id: &JobId, attempt: Option<u32>, update: JobUpdate) -> Result<()> {
        let mut script = UPDATE.prepare_invoke();
        script
            .arg(id.as_str())
            .arg(attempt.map_or_else(String::new, |attempt| attempt.to_string()));
        if let Some(progress) = update.progress {
            script
                .arg("progress")
                .arg(progress.clamp(0.0, 1.0).to_string());
        }
        if let Some(title) = update.title {
            script.arg("title").arg(title);
        }
        if let Some(thumbnail) = update.thumbnail {
            script.arg("thumbnail").arg(thumbnail);
        }
        if let Some(tools) = update.tools_used {
            let tools =
                serde_json::to_string(&tools).map_err(|e| StoreError::corrupt("tools", e))?;
            script.arg("tools").arg(tools);
        }
        if update.settled {
            // This attempt counts as the first.
            script.arg("tries").arg(1);
        }
        let answer: String = self.store.redis().script(&script).await?;
        match (answer.as_str(), attempt) {
            ("ok", _) => Ok(()),
            ("stale", Some(attempt)) => Err(StoreError::StaleAttempt {
                id: id.clone(),
                attempt,
            }),
            _ => Err(no_job(id)),
        }
    }

    /// Runs a script that answers a job's state before the change.
    async fn state_before(
        &self,
        script: &redis::ScriptInvocation<'_>,
        id: &JobId,
    ) -> Result<JobState> {
        let before: String = self.store.redis().script_once(script).await?;
        if before.is_empty() {
            return Err(no_job(id));
        }
        JobState::parse(&before).ok_or_else(|| StoreError::corrupt(format!("il:job:{id}"), before))
    }

    /// Writes an end to S3 without making the caller wait; if it fails, workers
    /// try again (`il:unsaved`).
    async fn save_soon(&self, id: &JobId) {
        let (jobs, id) = (self.clone(), id.clone());
        let saving = tokio::spawn(async move {
            if let Err(error) = jobs.save_status(&id).await {
                tracing::warn!(job = %id, %error, "the end of a job is not in S3 yet");
            }
        });
        let _ = tokio::time::timeout(Duration::from_millis(500), saving).await;
    }
}
