//! The queue: what waits, what runs, who runs it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use illumine_types::capability::WorkerInfo;
use illumine_types::{JobId, JobKind, Priority, Problem};
use tokio_util::sync::CancellationToken;

use crate::{Result, Store, StoreError};

/// Looking at the queue and steering it.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) store: Store,
}

/// How full one kind's queue is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct QueueLength {
    pub kind: JobKind,
    /// Waiting, by priority.
    pub waiting: BTreeMap<&'static str, u64>,
    pub running: u64,
    /// Waiting for another attempt.
    pub delayed: u64,
    pub paused: bool,
}

/// A job that has failed for good.
#[derive(Clone, Debug, serde::Serialize)]
pub struct DeadLetter {
    pub id: JobId,
    pub attempts: u32,
    pub error: Problem,
    pub at: chrono::DateTime<chrono::Utc>,
}

impl Queue {
    /// One entry a kind.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn lengths(&self) -> Result<Vec<QueueLength>> {
        unbuilt()
    }

    /// Stops handing out jobs of a kind; running ones go on.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn pause(&self, _kind: JobKind) -> Result<()> {
        unbuilt()
    }

    /// # Errors
    /// If Redis is away.
    pub async fn resume(&self, _kind: JobKind) -> Result<()> {
        unbuilt()
    }

    /// Workers with a recent heartbeat.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>> {
        unbuilt()
    }

    /// The newest failed jobs with their reasons.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn dead_letters(&self, _limit: usize) -> Result<Vec<DeadLetter>> {
        unbuilt()
    }
}

fn unbuilt<T>() -> Result<T> {
    Err(StoreError::Config("not built yet".into()))
}

/// What a handler is given.
#[derive(Clone, Debug)]
pub struct JobContext {
    pub store: Store,
    pub id: JobId,
    pub kind: JobKind,
    pub owner: Option<illumine_types::ApiKeyId>,
    pub priority: Priority,
    /// From 1; events carry it.
    pub attempt: u32,
    /// As submitted.
    pub request: serde_json::Value,
    /// From submission to this start.
    pub queued: Duration,
    /// Fires when the job was cancelled, or is another worker's by now. Watch
    /// it between tokens, between tool calls and between denoising steps; store
    /// what there is and return.
    pub cancel: CancellationToken,
    /// Fires when the worker is to stop: long work saves a checkpoint and
    /// returns [`JobFailure::released`]; short work goes on.
    pub draining: CancellationToken,
}

/// Why an attempt did not succeed.
#[derive(Clone, Debug)]
pub struct JobFailure {
    pub problem: Problem,
    pub(crate) how: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Tried again with back-off until attempts run out.
    Transient,
    Permanent,
    /// Given back to the queue, uncounted.
    Released,
}

impl JobFailure {
    /// Will be tried again, after a wait.
    #[must_use]
    pub fn transient(problem: Problem) -> Self {
        Self {
            problem,
            how: FailureKind::Transient,
        }
    }

    /// Will not be tried again.
    #[must_use]
    pub fn permanent(problem: Problem) -> Self {
        Self {
            problem,
            how: FailureKind::Permanent,
        }
    }

    /// Not done, through no fault of the job: goes back to the front of the
    /// queue and the attempt does not count.
    #[must_use]
    pub fn released() -> Self {
        Self {
            problem: Problem::new(
                "released",
                "The worker stopped",
                "the worker stopped before the job was done",
            ),
            how: FailureKind::Released,
        }
    }
}

impl From<StoreError> for JobFailure {
    fn from(error: StoreError) -> Self {
        let problem = Problem::new(error.code(), "The store failed", error.to_string());
        if error.is_transient() {
            Self::transient(problem)
        } else {
            Self::permanent(problem)
        }
    }
}

/// Runs jobs in this process: apalis workers on the Redis queue.
#[derive(Debug)]
pub struct QueueWorker {
    store: Store,
}

/// Settings of a [`QueueWorker`].
#[derive(Debug)]
pub struct QueueWorkerBuilder {
    store: Store,
    info: Option<WorkerInfo>,
    pools: Vec<(Vec<JobKind>, usize)>,
    max_attempts: u32,
    drain: Duration,
}

impl QueueWorker {
    /// A worker that runs at most `concurrency` jobs of these kinds at once.
    #[must_use]
    pub fn builder(store: Store, kinds: &[JobKind], concurrency: usize) -> QueueWorkerBuilder {
        QueueWorkerBuilder {
            store,
            info: None,
            pools: vec![(kinds.to_vec(), concurrency)],
            max_attempts: 3,
            drain: Duration::from_secs(30),
        }
    }

    /// Runs until `shutdown` resolves and running jobs have ended (or were given
    /// back after the drain time). State changes and their events are made here;
    /// the handler must be idempotent by job id.
    ///
    /// # Errors
    /// If the workers cannot start or break down.
    pub async fn run<H, F>(
        self,
        _handler: H,
        _shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()>
    where
        H: Fn(JobContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = std::result::Result<(), JobFailure>> + Send + 'static,
    {
        let _ = &self.store;
        unbuilt()
    }
}

impl QueueWorkerBuilder {
    /// Another set of kinds with its own concurrency.
    #[must_use]
    pub fn pool(mut self, kinds: &[JobKind], concurrency: usize) -> Self {
        self.pools.push((kinds.to_vec(), concurrency));
        self
    }

    /// What the registry shows: device, tools, policies. Worker id, queues,
    /// concurrency, running jobs and times are filled in here.
    #[must_use]
    pub fn info(mut self, info: WorkerInfo) -> Self {
        self.info = Some(info);
        self
    }

    /// Attempts before a job has failed for good; 3 by default.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// How long a stopping worker waits for running jobs; 30 s by default.
    #[must_use]
    pub fn drain(mut self, time: Duration) -> Self {
        self.drain = time;
        self
    }

    #[must_use]
    pub fn build(self) -> QueueWorker {
        QueueWorker { store: self.store }
    }

    /// [`QueueWorker::run`].
    ///
    /// # Errors
    /// As [`QueueWorker::run`].
    pub async fn run<H, F>(
        self,
        handler: H,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()>
    where
        H: Fn(JobContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = std::result::Result<(), JobFailure>> + Send + 'static,
    {
        self.build().run(handler, shutdown).await
    }
}
