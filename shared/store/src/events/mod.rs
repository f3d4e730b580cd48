//! What happens to a job, in order, as a Redis stream.

mod follow;
mod id;

use futures::stream::BoxStream;
use illumine_types::{Event, EventKind, JobId};

use crate::conn::PUBLISH;
use crate::{Result, Store, StoreError};

pub(crate) use id::EventId;

/// Events of jobs.
#[derive(Clone, Debug)]
pub struct Events {
    pub(crate) store: Store,
}

impl Events {
    /// Appends one event of the running attempt; answers its id.
    ///
    /// # Errors
    /// [`StoreError::StaleAttempt`] if another attempt has taken over.
    pub async fn publish(&self, id: &JobId, attempt: u32, event: EventKind) -> Result<String> {
        let ids = self.publish_all(id, attempt, &[event]).await?;
        ids.into_iter()
            .next()
            .ok_or_else(|| StoreError::Redis("no event id".into()))
    }

    /// Appends several events in one round trip. Events of one job should be
    /// published one call after the other: only the last call is known to be
    /// repeated when an answer was lost.
    ///
    /// # Errors
    /// As [`Events::publish`].
    pub async fn publish_all(
        &self,
        id: &JobId,
        attempt: u32,
        events: &[EventKind],
    ) -> Result<Vec<String>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut script = PUBLISH.prepare_invoke();
        script
            .arg(id.as_str())
            .arg(attempt)
            .arg(format!("{:016x}", rand::random::<u64>()));
        for event in events {
            let json = serde_json::to_string(event).map_err(|e| StoreError::Invalid {
                field: "event",
                reason: e.to_string(),
            })?;
            script.arg(json);
        }
        let mut answer: Vec<String> = self.store.redis().script(&script).await?;
        if answer.first().is_none_or(|word| word != "ok") {
            return Err(StoreError::StaleAttempt {
                id: id.clone(),
                attempt,
            });
        }
        answer.remove(0);
        Ok(answer)
    }

    /// What has happened since `after` (from the beginning if `None`), then what
    /// happens, until a final event, which ends the stream. While Redis is away
    /// the stream waits; after the store's patience it ends with an error, and
    /// may be followed again from the last event.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::BadEventId`].
    pub async fn follow(
        &self,
        id: &JobId,
        after: Option<String>,
    ) -> Result<BoxStream<'static, Result<Event>>> {
        follow::follow(&self.store, id, after.as_deref()).await
    }
}
