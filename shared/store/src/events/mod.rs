//! What happens to a job, in order, as a Redis stream.

use futures::stream::BoxStream;
use illumine_types::{Event, EventKind, JobId};

use crate::{Result, Store, StoreError};

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

    /// Appends several events in one round trip.
    ///
    /// # Errors
    /// As [`Events::publish`].
    pub async fn publish_all(
        &self,
        _id: &JobId,
        _attempt: u32,
        _events: &[EventKind],
    ) -> Result<Vec<String>> {
        Err(StoreError::Config("not built yet".into()))
    }

    /// What has happened since `after` (from the beginning if `None`), then what
    /// happens, until a final event, which ends the stream.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::BadEventId`].
    pub async fn follow(
        &self,
        _id: &JobId,
        _after: Option<String>,
    ) -> Result<BoxStream<'static, Result<Event>>> {
        Err(StoreError::Config("not built yet".into()))
    }
}
