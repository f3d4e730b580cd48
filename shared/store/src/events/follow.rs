//! Replaying a job's events and waiting for new ones.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use illumine_types::{Event, EventKind, Job, JobId, JobState};
use redis::streams::StreamRangeReply;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

use super::EventId;
use crate::hub::Note;
use crate::{Result, Store, StoreError};

/// Entries read at once in a replay.
const BATCH: usize = 500;
/// A follower looks for itself so often, in case a message was lost unnoticed.
const LOOK: Duration = Duration::from_secs(15);

pub(super) async fn follow(
    store: &Store,
    id: &JobId,
    after: Option<&str>,
) -> Result<BoxStream<'static, Result<Event>>> {
    let last = after.map(EventId::parse).transpose()?.unwrap_or_default();
    // Listening first, then reading, leaves no gap between the two.
    let notes = store.hub().listen(&format!("il:event:{id}")).await;
    store.jobs().job(id).await?;
    let follower = Follower {
        store: store.clone(),
        id: id.clone(),
        last,
        ready: VecDeque::new(),
        notes,
        read: false,
        ended: false,
    };
    Ok(stream::unfold(follower, |mut follower| async move {
        follower.next().await.map(|item| (item, follower))
    })
    .boxed())
}

struct Follower {
    store: Store,
    id: JobId,
    /// Id of the last event given out.
    last: EventId,
    ready: VecDeque<Event>,
    notes: broadcast::Receiver<Note>,
    /// All that was stored when we last looked has been read.
    read: bool,
    ended: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            let step = if self.read {
                self.wait().await
            } else {
                self.replay().await
            };
            if let Err(error) = step {
                self.ended = true;
                return Some(Err(error));
            }
        }
    }

    /// Reads what is stored; at its end, finds out whether more can come.
    async fn replay(&mut self) -> Result<()> {
        // The state before the events: a final state's event is then among them.
        let job = match self.store.jobs().job(&self.id).await {
            Ok(job) => job,
            Err(StoreError::NotFound { .. }) => {
                self.ended = true;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut command = redis::cmd("XRANGE");
        command
            .arg(format!("il:events:{}", self.id))
            .arg(format!("({}", self.last))
            .arg("+")
            .arg("COUNT")
            .arg(BATCH);
        let reply: StreamRangeReply = self.store.redis().command(&command).await?;
        let count = reply.ids.len();
        for entry in reply.ids {
            let (Some(attempt), Some(kind)) = (entry.get::<u32>("a"), entry.get::<String>("k"))
            else {
                return Err(StoreError::corrupt(
                    format!("il:events:{}", self.id),
                    entry.id,
                ));
            };
            self.accept(&entry.id, attempt, &kind)?;
        }
        if count == BATCH {
            return Ok(());
        }
        self.read = true;
        let final_seen = self.ready.back().is_some_and(|event| event.kind.is_final());
        if job.status.is_final() {
            self.ended = true;
            if !final_seen {
                self.ready.extend(
                    final_event(&job)
                        .filter(|event| EventId::parse(&event.id).is_ok_and(|id| id > self.last)),
                );
            }
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<()> {
        match timeout(LOOK, self.notes.recv()).await {
            Ok(Ok(Note::Message(text))) => {
                let mut parts = text.splitn(3, ' ');
                match (parts.next(), parts.next().map(str::parse), parts.next()) {
                    (Some(id), Some(Ok(attempt)), Some(json)) => {
                        let before = self.ready.len();
                        self.accept(id, attempt, json)?;
                        let last = self.ready.back();
                        if self.ready.len() > before && last.is_some_and(|e| e.kind.is_final()) {
                            self.ended = true;
                        }
                    }
                    // The job was removed.
                    _ => self.read = false,
                }
            }
            Ok(Ok(Note::Resync) | Err(RecvError::Lagged(_))) | Err(_) => self.read = false,
            Ok(Err(RecvError::Closed)) => {
                self.notes = self
                    .store
                    .hub()
                    .listen(&format!("il:event:{}", self.id))
                    .await;
                self.read = false;
            }
        }
        Ok(())
    }

    /// Makes an entry ready unless it was given out before.
    fn accept(&mut self, id: &str, attempt: u32, json: &str) -> Result<()> {
        let id = EventId::parse(id)?;
        if id <= self.last {
            return Ok(());
        }
        let kind: EventKind = serde_json::from_str(json)
            .map_err(|e| StoreError::corrupt(format!("il:events:{}", self.id), e))?;
        self.last = id;
        self.ready.push_back(Event {
            id: id.to_string(),
            at: id.time(),
            attempt,
            kind,
        });
        Ok(())
    }
}

/// The final event as the record tells it, for a job whose stream has expired.
fn final_event(job: &Job) -> Option<Event> {
    let kind = match job.status {
        JobState::Succeeded => EventKind::Completed,
        JobState::Cancelled => EventKind::Cancelled,
        JobState::Failed => EventKind::Failed {
            error: job.error.clone().unwrap_or_else(|| {
                illumine_types::Problem::new("failed", "The job failed", "no reason was kept")
            }),
        },
        _ => return None,
    };
    let at = job.finished_at.unwrap_or(job.created_at);
    Some(Event {
        id: format!("{}-0", at.timestamp_millis()),
        at,
        attempt: job.attempt,
        kind,
    })
}
