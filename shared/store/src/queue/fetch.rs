//! Taking jobs from Redis while slots are free.

use std::sync::Arc;
use std::time::Duration;

use illumine_types::JobKind;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::delivery::{Delivery, Row, Running, Trouble};
use crate::conn::{TAKE, jittered};
use crate::hub::Note;
use crate::{Result, Store};

/// Jobs taken in one call.
const AT_ONCE: usize = 16;

pub(crate) struct Fetcher {
    pub store: Store,
    pub worker_id: String,
    /// [`illumine_types::job::WorkerRef`] as JSON.
    pub worker_json: String,
    pub kinds: Vec<JobKind>,
    pub slots: Arc<Semaphore>,
    pub running: Arc<Running>,
    pub trouble: Arc<Trouble>,
    pub stop: CancellationToken,
}

impl Fetcher {
    /// Hands jobs out until told to stop. A reading is never given up half-way:
    /// its jobs would be lost until their lease ends.
    pub(crate) async fn run(self, out: mpsc::Sender<Delivery>) {
        let mut wake = self.store.hub().listen("il:wake").await;
        while let Some(slots) = self.free_slots().await {
            while wake.try_recv().is_ok() {}
            match self.take(slots).await {
                Ok((deliveries, due)) => {
                    let none = deliveries.is_empty();
                    for delivery in deliveries {
                        // The channel is as long as there are slots.
                        if out.send(delivery).await.is_err() {
                            return;
                        }
                    }
                    if none {
                        self.wait(&mut wake, due).await;
                    }
                }
                Err(error) => {
                    self.trouble.note();
                    tracing::warn!(%error, "cannot take jobs, trying again");
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = sleep(jittered(Duration::from_millis(500))) => {}
                    }
                }
            }
        }
    }

    /// One slot or more, as soon as there are any; `None` to stop.
    async fn free_slots(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            slot = Arc::clone(&self.slots).acquire_owned() => slot.ok()?,
        };
        let mut slots = vec![first];
        while slots.len() < AT_ONCE {
            match Arc::clone(&self.slots).try_acquire_owned() {
                Ok(slot) => slots.push(slot),
                Err(_) => break,
            }
        }
        Some(slots)
    }

    /// Jobs for the slots, and when the next delayed one is due.
    async fn take(
        &self,
        slots: Vec<OwnedSemaphorePermit>,
    ) -> Result<(Vec<Delivery>, Option<Duration>)> {
        let mut script = TAKE.prepare_invoke();
        script
            .arg(&self.worker_id)
            .arg(&self.worker_json)
            .arg(slots.len());
        for kind in &self.kinds {
            script.arg(kind.as_str());
        }
        let (rows, due): (Vec<Row>, i64) = self.store.redis().script_once(&script).await?;
        let mut deliveries = Vec::with_capacity(rows.len());
        for (row, slot) in rows.into_iter().zip(slots) {
            match Delivery::new(row, slot) {
                Ok(delivery) => {
                    self.running.add(&delivery);
                    deliveries.push(delivery);
                }
                Err(error) => tracing::error!(%error, "a job cannot be read"),
            }
        }
        Ok((
            deliveries,
            u64::try_from(due).ok().map(Duration::from_millis),
        ))
    }

    /// Until there may be something to take.
    async fn wait(&self, wake: &mut Receiver<Note>, due: Option<Duration>) {
        let poll = jittered(self.store.timings().idle_poll);
        let pause = due
            .map_or(poll, |due| due.min(poll))
            .max(Duration::from_millis(1));
        let woken = async {
            loop {
                match wake.recv().await {
                    Ok(Note::Message(kind)) => {
                        if self.kinds.iter().any(|own| own.as_str() == &*kind) {
                            return;
                        }
                    }
                    Ok(Note::Resync) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => return sleep(pause).await,
                }
            }
        };
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(pause) => {}
            () = woken => {}
        }
    }
}
