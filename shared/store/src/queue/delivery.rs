//! A job in the hands of this worker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use illumine_types::{ApiKeyId, JobId, JobKind, Priority};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::jobs::parse_priority;
use crate::{Result, StoreError};

/// One attempt of a job: what apalis carries from the backend to the handler.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub id: JobId,
    pub kind: JobKind,
    pub priority: Priority,
    pub owner: Option<ApiKeyId>,
    pub attempt: u32,
    /// The stream entry that only this attempt may acknowledge.
    pub entry: String,
    pub created: DateTime<Utc>,
    /// The request if it was small; otherwise it is read from S3.
    pub request: Option<String>,
    pub signals: Signals,
    /// The slot that it takes; free again when the delivery is dropped.
    _slot: OwnedSemaphorePermit,
}

/// What may be said to a running attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    /// Stop: cancelled by someone, or lost. The handler sees this one.
    pub cancel: CancellationToken,
    /// The entry is another attempt's by now: nothing may be reported.
    pub lost: CancellationToken,
    /// The drain time is over: give the job back.
    pub release: CancellationToken,
}

/// What a script hands out: id, kind, priority, owner, attempt, entry, created,
/// request.
pub(crate) type Row = (String, String, String, String, u32, String, i64, String);

impl Delivery {
    pub(crate) fn new(row: Row, slot: OwnedSemaphorePermit) -> Result<Self> {
        let (id, kind, priority, owner, attempt, entry, created, request) = row;
        let corrupt = |what: &str| StoreError::corrupt(format!("il:job:{id}"), what);
        Ok(Self {
            id: JobId::parse(&id).map_err(|_| corrupt("id"))?,
            kind: JobKind::parse(&kind).ok_or_else(|| corrupt("kind"))?,
            priority: parse_priority(&priority).ok_or_else(|| corrupt("priority"))?,
            owner: (!owner.is_empty()).then_some(ApiKeyId(owner)),
            attempt,
            entry,
            created: DateTime::from_timestamp_millis(created).ok_or_else(|| corrupt("created"))?,
            request: (!request.is_empty()).then_some(request),
            signals: Signals::default(),
            _slot: slot,
        })
    }
}

/// The jobs that this worker runs, for its heartbeat.
#[derive(Debug, Default)]
pub(crate) struct Running {
    jobs: Mutex<HashMap<JobId, Held>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub kind: JobKind,
    pub priority: Priority,
    pub entry: String,
    pub signals: Signals,
}

impl Running {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Held>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, delivery: &Delivery) {
        let held = Held {
            kind: delivery.kind,
            priority: delivery.priority,
            entry: delivery.entry.clone(),
            signals: delivery.signals.clone(),
        };
        self.lock().insert(delivery.id.clone(), held);
    }

    /// Forgets an attempt, unless a later one of the same job runs here.
    pub(crate) fn remove(&self, id: &JobId, entry: &str) {
        let mut jobs = self.lock();
        if jobs.get(id).is_some_and(|held| held.entry == entry) {
            jobs.remove(id);
        }
    }

    pub(crate) fn snapshot(&self) -> Vec<(JobId, Held)> {
        let jobs = self.lock();
        jobs.iter()
            .map(|(id, held)| (id.clone(), held.clone()))
            .collect()
    }

    pub(crate) fn cancel(&self, id: &str) {
        let jobs = self.lock();
        if let Some((_, held)) = jobs.iter().find(|(held, _)| held.as_str() == id) {
            held.signals.cancel.cancel();
        }
    }

    pub(crate) fn release_all(&self) {
        for held in self.lock().values() {
            held.signals.release.cancel();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// When Redis last failed us. For a lease after that, silence of other workers
/// may be Redis' fault, and their jobs are left to them.
#[derive(Debug)]
pub(crate) struct Trouble {
    last: Mutex<Option<Instant>>,
}

impl Trouble {
    pub(crate) fn none() -> Arc<Self> {
        Arc::new(Self {
            last: Mutex::new(None),
        })
    }

    pub(crate) fn note(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    pub(crate) fn within(&self, time: Duration) -> bool {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|at| at.elapsed() < time)
    }
}
