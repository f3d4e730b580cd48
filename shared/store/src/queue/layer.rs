//! The layer around every handler: reports how an attempt went, exactly once.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use apalis::layers::catch_panic::PanicError;
use apalis::prelude::{BoxDynError, Task};
use futures::FutureExt;
use futures::future::BoxFuture;
use illumine_types::{JobId, JobState, Problem};
use tokio::time::sleep;
use tower::{Layer, Service};

use super::context::{FailureKind, JobFailure};
use super::delivery::{Delivery, Running, Signals};
use crate::conn::{FINISH, jittered};
use crate::{Result, Store, StoreError};

#[derive(Clone, Debug)]
pub(crate) struct AcknowledgeLayer {
    pub store: Store,
    pub running: Arc<Running>,
    pub max_attempts: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Acknowledge<S> {
    inner: S,
    layer: AcknowledgeLayer,
}

impl<S> Layer<S> for AcknowledgeLayer {
    type Service = Acknowledge<S>;

    fn layer(&self, inner: S) -> Acknowledge<S> {
        Acknowledge {
            inner,
            layer: self.clone(),
        }
    }
}

impl<S> Service<Task<Delivery>> for Acknowledge<S>
where
    S: Service<Task<Delivery>, Response = ()>,
    S::Future: Send + 'static,
    S::Error: Into<BoxDynError>,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, std::result::Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Delivery>) -> Self::Future {
        let attempt = Attempt {
            layer: self.layer.clone(),
            id: task.args.id.clone(),
            number: task.args.attempt,
            entry: task.args.entry.clone(),
            signals: task.args.signals.clone(),
        };
        let work = self.inner.call(task);
        async move {
            // S3 learns of the attempt while it runs; the end is written after.
            let (jobs, id) = (attempt.layer.store.jobs(), attempt.id.clone());
            let noted = tokio::spawn(async move { jobs.save_status(&id).await });
            let result = work.await.map_err(|error| failure(error.into()));
            tokio::select! {
                _ = noted => attempt.report(result).await,
                () = attempt.signals.lost.cancelled() => {}
            }
            attempt.layer.running.remove(&attempt.id, &attempt.entry);
            Ok(())
        }
        .boxed()
    }
}

/// What has to be known of an attempt to end it.
struct Attempt {
    layer: AcknowledgeLayer,
    id: JobId,
    number: u32,
    entry: String,
    signals: Signals,
}

impl Attempt {
    /// Reports until it is accepted or the attempt is another's; S3 and Redis may
    /// be away for long meanwhile.
    async fn report(&self, mut result: std::result::Result<(), JobFailure>) {
        loop {
            let reported = tokio::select! {
                reported = self.try_report(&result) => reported,
                () = self.signals.lost.cancelled() => return,
            };
            match reported {
                Ok(()) => return,
                Err(error) => tracing::warn!(job = %self.id, %error, "cannot report yet"),
            }
            if self.signals.release.is_cancelled() && result.is_ok() {
                result = Err(JobFailure::released());
            }
            sleep(jittered(Duration::from_secs(1))).await;
        }
    }

    async fn try_report(&self, result: &std::result::Result<(), JobFailure>) -> Result<()> {
        let jobs = self.layer.store.jobs();
        // A success is in S3 before it is one. A cancelled job is none.
        let success = result.is_ok() && !self.signals.cancel.is_cancelled();
        if success {
            match jobs.save_status_as(&self.id, JobState::Succeeded).await {
                // The record is gone: Redis was emptied. S3 knows the result.
                Err(StoreError::NotFound { .. }) => return Ok(()),
                other => other?,
            }
        }
        let saved = if success {
            JobState::Succeeded.as_str()
        } else {
            ""
        };
        let state = self.finish(result, saved).await?;
        tracing::info!(job = %self.id, attempt = self.number, state, "attempt ended");
        let ended = JobState::parse(&state).is_some_and(JobState::is_final);
        if ended && state != saved {
            // If this fails, the end is in `il:unsaved` and is written later.
            if let Err(error) = jobs.save_status(&self.id).await {
                tracing::warn!(job = %self.id, %error, "the end of a job is not in S3 yet");
            }
        }
        Ok(())
    }

    /// The one change of state in Redis; answers the state, or `stale`.
    async fn finish(
        &self,
        result: &std::result::Result<(), JobFailure>,
        saved: &str,
    ) -> Result<String> {
        let (outcome, error) = match result {
            Ok(()) => ("succeeded", None),
            Err(failure) => (
                match failure.how {
                    FailureKind::Transient => "again",
                    FailureKind::Permanent => "failed",
                    FailureKind::Released => "released",
                },
                Some(&failure.problem),
            ),
        };
        let error = serde_json::to_string(&error).map_err(|e| StoreError::corrupt("error", e))?;
        let timings = self.layer.store.timings();
        let mut script = FINISH.prepare_invoke();
        script
            .arg(self.id.as_str())
            .arg(self.number)
            .arg(&self.entry)
            .arg(outcome)
            .arg(error)
            .arg(jittered(timings.backoff).as_millis().to_string())
            .arg(self.layer.max_attempts)
            .arg(timings.event_retention.as_secs())
            .arg(saved)
            .arg(timings.backoff_limit.as_millis().to_string());
        self.layer.store.redis().script(&script).await
    }
}

/// What an error of the inner service means for the job.
fn failure(error: BoxDynError) -> JobFailure {
    if let Some(failure) = error.downcast_ref::<JobFailure>() {
        return failure.clone();
    }
    if let Some(PanicError(message)) = error.downcast_ref::<PanicError>() {
        return JobFailure::transient(Problem::new(
            "handler_panicked",
            "The job's program broke",
            message.as_str(),
        ));
    }
    JobFailure::transient(Problem::new(
        "internal",
        "The job's program broke",
        error.to_string(),
    ))
}
