//! The heartbeat: leases, registration, cancel flags, and other workers' jobs.

use std::sync::Arc;
use std::time::Duration;

use illumine_types::capability::WorkerInfo;
use illumine_types::{JobKind, Problem};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::delivery::{Running, Trouble};
use crate::conn::{BEAT, LEAVE, REAP, jittered};
use crate::hub::Note;
use crate::{Result, Store, StoreError};

pub(crate) struct Heart {
    pub store: Store,
    pub info: Arc<dyn Fn() -> WorkerInfo + Send + Sync>,
    pub pools: Vec<(Vec<JobKind>, usize)>,
    pub max_attempts: u32,
    pub running: Arc<Running>,
    pub trouble: Arc<Trouble>,
    pub stop: CancellationToken,
}

impl Heart {
    /// Beats until stopped (which is after the last job).
    pub(crate) async fn run(self) {
        let timings = self.store.timings().clone();
        let mut next_reap = Instant::now();
        loop {
            let pause = match self.beat().await {
                Ok(()) => timings.heartbeat,
                Err(error) => {
                    self.trouble.note();
                    tracing::warn!(%error, "the heartbeat failed, trying again");
                    timings.heartbeat.min(Duration::from_millis(300))
                }
            };
            let quiet = !self.trouble.within(timings.lease + timings.heartbeat);
            if quiet && Instant::now() >= next_reap {
                next_reap = Instant::now() + jittered(timings.heartbeat);
                if let Err(error) = self.look_after_others().await {
                    self.note(&error);
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
        if let Err(error) = self.leave().await {
            tracing::debug!(%error, "could not sign off; the registration will expire");
        }
    }

    fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::RedisUnavailable(_)) {
            self.trouble.note();
        }
        tracing::warn!(%error, "could not look after other workers' jobs");
    }

    async fn beat(&self) -> Result<()> {
        let held = self.running.snapshot();
        let info = (self.info)();
        let json = serde_json::to_string(&info).map_err(|e| StoreError::corrupt("worker", e))?;
        let mut script = BEAT.prepare_invoke();
        script
            .arg(&info.worker.id)
            .arg(json)
            .arg(millis(self.store.timings().lease))
            .arg(
                self.pools
                    .iter()
                    .map(|(kinds, _)| kinds.len())
                    .sum::<usize>(),
            );
        for (kinds, slots) in &self.pools {
            for kind in kinds {
                script.arg(kind.as_str()).arg(*slots);
            }
        }
        for (id, held) in &held {
            script
                .arg(held.kind.as_str())
                .arg(held.priority.as_str())
                .arg(&held.entry)
                .arg(id.as_str());
        }
        let answers: Vec<String> = self.store.redis().script_once(&script).await?;
        for ((id, held), answer) in held.into_iter().zip(answers) {
            match answer.as_str() {
                "cancel" => held.signals.cancel.cancel(),
                "lost" => {
                    // Or it has been acknowledged a moment ago, then no one listens.
                    tracing::debug!(job = %id, "this attempt is no longer the current one");
                    held.signals.lost.cancel();
                    held.signals.cancel.cancel();
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives silent workers' jobs back, and writes ends that are not in S3 yet.
    async fn look_after_others(&self) -> Result<()> {
        let timings = self.store.timings();
        let error = Problem::new(
            "worker_lost",
            "The worker was lost",
            "the worker that ran this job stopped answering",
        );
        let mut script = REAP.prepare_invoke();
        script
            .arg(millis(timings.lease))
            .arg(self.max_attempts)
            .arg(timings.event_retention.as_secs())
            .arg(serde_json::to_string(&error).map_err(|e| StoreError::corrupt("error", e))?);
        for kind in JobKind::ALL {
            script.arg(kind.as_str());
        }
        let reaped: Vec<(String, String)> = self.store.redis().script_once(&script).await?;
        for (job, state) in reaped {
            tracing::warn!(
                job,
                state,
                "took a job from a worker that stopped answering"
            );
        }
        let jobs = self.store.jobs();
        // Not in line with the heartbeat: S3 may be slow.
        tokio::spawn(async move {
            if let Err(error) = jobs.save_unsaved().await {
                tracing::debug!(%error, "some ends of jobs are not in S3 yet");
            }
        });
        Ok(())
    }

    async fn leave(&self) -> Result<()> {
        let mut script = LEAVE.prepare_invoke();
        script.arg((self.info)().worker.id);
        for kind in JobKind::ALL {
            script.arg(kind.as_str());
        }
        self.store
            .redis()
            .script_once::<redis::Value>(&script)
            .await?;
        Ok(())
    }
}

/// Hears cancellations at once; the heartbeat hears them too, if later.
pub(crate) async fn hear_cancellations(
    store: Store,
    running: Arc<Running>,
    stop: CancellationToken,
) {
    let mut notes = store.hub().listen("il:cancel").await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            note = notes.recv() => match note {
                Ok(Note::Message(id)) => running.cancel(&id),
                Ok(Note::Resync) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
