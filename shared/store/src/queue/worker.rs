//! Running jobs in this process, with apalis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use apalis::layers::catch_panic::{CatchPanicLayer, PanicError};
use apalis::prelude::{Monitor, ParallelizeExt, WorkerBuilder, WorkerBuilderExt};
use chrono::Utc;
use illumine_types::capability::WorkerInfo;
use illumine_types::job::WorkerRef;
use illumine_types::{JobKind, Problem};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::backend::RedisBackend;
use super::beat::{Heart, hear_cancellations};
use super::context::{JobContext, JobFailure};
use super::delivery::{Delivery, Running, Trouble};
use super::fetch::Fetcher;
use super::layer::AcknowledgeLayer;
use crate::{Result, Store, StoreError};

/// Runs jobs in this process: apalis workers on the Redis queue.
#[derive(Debug)]
pub struct QueueWorker {
    settings: QueueWorkerBuilder,
}

/// Settings of a [`QueueWorker`].
pub struct QueueWorkerBuilder {
    store: Store,
    info: Arc<dyn Fn() -> WorkerInfo + Send + Sync>,
    pools: Vec<(Vec<JobKind>, usize)>,
    max_attempts: u32,
    drain: Duration,
}

impl fmt::Debug for QueueWorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueWorkerBuilder")
            .field("pools", &self.pools)
            .field("max_attempts", &self.max_attempts)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}

impl QueueWorkerBuilder {
    /// Another set of kinds with its own concurrency.
    #[must_use]
    pub fn pool(mut self, kinds: &[JobKind], concurrency: usize) -> Self {
        self.pools.push((kinds.to_vec(), concurrency.max(1)));
        self
    }

    /// What the registry shows: version, device, tools, policies. The worker's
    /// id, queues, concurrency, running jobs and times are filled in here.
    #[must_use]
    pub fn info(self, info: WorkerInfo) -> Self {
        self.info_with(move || info.clone())
    }

    /// [`QueueWorkerBuilder::info`], asked with every heartbeat.
    #[must_use]
    pub fn info_with(mut self, info: impl Fn() -> WorkerInfo + Send + Sync + 'static) -> Self {
        self.info = Arc::new(info);
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
        QueueWorker { settings: self }
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

impl QueueWorker {
    /// A worker that runs at most `concurrency` jobs of these kinds at once.
    #[must_use]
    pub fn builder(store: Store, kinds: &[JobKind], concurrency: usize) -> QueueWorkerBuilder {
        QueueWorkerBuilder {
            store,
            info: Arc::new(plain_info),
            pools: vec![(kinds.to_vec(), concurrency.max(1))],
            max_attempts: 3,
            drain: Duration::from_secs(30),
        }
    }

    /// Runs until `shutdown` resolves and running jobs have ended (or were given
    /// back after the drain time). State changes and their events are made here;
    /// the handler must be idempotent by job id.
    ///
    /// # Errors
    /// If the workers cannot start or break down, or a handler blocks its thread
    /// and cannot be stopped.
    pub async fn run<H, F>(
        self,
        handler: H,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()>
    where
        H: Fn(JobContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = std::result::Result<(), JobFailure>> + Send + 'static,
    {
        let QueueWorkerBuilder {
            store,
            info,
            pools,
            max_attempts,
            drain,
        } = self.settings;
        let me = worker_ref();
        let running = Arc::new(Running::default());
        let trouble = Trouble::none();
        let draining = CancellationToken::new();
        let stopped = CancellationToken::new();

        let heart = Heart {
            store: store.clone(),
            info: described(info, me.clone(), pools.clone(), Arc::clone(&running)),
            pools: pools.clone(),
            max_attempts,
            running: Arc::clone(&running),
            trouble: Arc::clone(&trouble),
            stop: stopped.clone(),
        };
        let heart = tokio::spawn(heart.run());
        let ears = tokio::spawn(hear_cancellations(
            store.clone(),
            Arc::clone(&running),
            stopped.clone(),
        ));

        let layer = AcknowledgeLayer {
            store: store.clone(),
            running: Arc::clone(&running),
            max_attempts,
        };
        let mut monitor = Monitor::new().should_restart(|_, error| {
            tracing::error!(%error, "a worker broke, starting it again");
            true
        });
        let (mut fetchers, mut exhausted) = (Vec::new(), Vec::new());
        for (number, (kinds, concurrency)) in pools.into_iter().enumerate() {
            let (sender, receiver) = mpsc::channel(concurrency);
            let fetcher = Fetcher {
                store: store.clone(),
                worker_id: me.id.clone(),
                worker_json: serde_json::to_string(&me)
                    .map_err(|e| StoreError::corrupt("worker", e))?,
                kinds,
                slots: Arc::new(Semaphore::new(concurrency)),
                running: Arc::clone(&running),
                trouble: Arc::clone(&trouble),
                stop: draining.clone(),
            };
            fetchers.push(tokio::spawn(fetcher.run(sender)));
            exhausted.push(CancellationToken::new());
            let last = exhausted.last().cloned().unwrap_or_default();
            let backend = RedisBackend::new(receiver, layer.clone(), last);
            let name = format!("{}-{number}", me.id);
            let (handler, store, draining) = (handler.clone(), store.clone(), draining.clone());
            monitor = monitor.register(move |_restarts| {
                let (handler, store, draining) = (handler.clone(), store.clone(), draining.clone());
                WorkerBuilder::new(name.as_str())
                    .backend(backend.clone())
                    .parallelize(tokio::spawn)
                    .concurrency(concurrency)
                    .layer(CatchPanicLayer::with_panic_handler(panic_error))
                    .build(move |delivery: Delivery| {
                        attempt(handler.clone(), store.clone(), delivery, draining.clone())
                    })
            });
        }

        let stop = {
            let (draining, running) = (draining.clone(), Arc::clone(&running));
            tokio::spawn(async move {
                shutdown.await;
                tracing::info!("stopping: no new jobs are taken");
                draining.cancel();
                let until = Instant::now() + drain;
                while !running.is_empty() && Instant::now() < until {
                    sleep(Duration::from_millis(20)).await;
                }
                running.release_all();
            })
        };
        let context = monitor.context();
        let closing = tokio::spawn(async move {
            for backend in exhausted {
                backend.cancelled().await;
            }
            if let Err(error) = context.shutdown() {
                tracing::error!(%error, "apalis cannot shut down");
            }
        });
        let workers = tokio::spawn(monitor.run());
        let abort = workers.abort_handle();
        let result = tokio::select! {
            ended = workers => match ended {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(StoreError::Worker(error.to_string())),
                Err(error) => Err(StoreError::Worker(error.to_string())),
            },
            // The monitor itself does not end when its source does.
            () = idle(&draining, &running) => {
                abort.abort();
                Ok(())
            }
            () = overtime(&draining, drain) => {
                // A handler that blocks its thread cannot be stopped; its lease
                // ends and another worker takes the job.
                abort.abort();
                Err(StoreError::Worker("some jobs did not stop in time".into()))
            }
        };
        stop.abort();
        closing.abort();
        stopped.cancel();
        for task in fetchers {
            task.abort();
        }
        ears.abort();
        let _ = timeout(Duration::from_secs(3), heart).await;
        result
    }
}

/// After the drain time, what is left gets a little time to be given back.
const HAND_BACK: Duration = Duration::from_secs(10);

/// Without a job for so long after the last fetch was told to stop, nothing is
/// on its way from the queue to a handler.
const SETTLED: Duration = Duration::from_millis(500);

/// Resolves once a draining worker has nothing left to do.
async fn idle(draining: &CancellationToken, running: &Running) {
    draining.cancelled().await;
    let mut since = Instant::now();
    while since.elapsed() < SETTLED {
        if !running.is_empty() {
            since = Instant::now();
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn overtime(draining: &CancellationToken, drain: Duration) {
    draining.cancelled().await;
    sleep(drain + HAND_BACK).await;
}

/// One call of the handler, ended early when it has to be.
async fn attempt<H, F>(
    handler: H,
    store: Store,
    delivery: Delivery,
    draining: CancellationToken,
) -> std::result::Result<(), JobFailure>
where
    H: Fn(JobContext) -> F,
    F: Future<Output = std::result::Result<(), JobFailure>>,
{
    let signals = delivery.signals.clone();
    let grace = match delivery.kind {
        JobKind::TrainingRun => store.timings().training_grace,
        _ => store.timings().cancel_grace,
    };
    let work = async {
        let request = match &delivery.request {
            Some(text) => serde_json::from_str(text)
                .map_err(|e| StoreError::corrupt(format!("il:job:{}", delivery.id), e))?,
            None => store.jobs().request(&delivery.id).await?,
        };
        let context = JobContext {
            store: store.clone(),
            id: delivery.id.clone(),
            kind: delivery.kind,
            owner: delivery.owner.clone(),
            priority: delivery.priority,
            attempt: delivery.attempt,
            request,
            queued: (Utc::now() - delivery.created).to_std().unwrap_or_default(),
            cancel: signals.cancel.clone(),
            draining,
        };
        handler(context).await
    };
    let ignored = async {
        signals.cancel.cancelled().await;
        sleep(grace).await;
    };
    tokio::select! {
        result = work => result,
        () = signals.lost.cancelled() => Err(JobFailure::released()),
        () = signals.release.cancelled() => Err(JobFailure::released()),
        () = ignored => Err(JobFailure::permanent(Problem::new(
            "cancelled",
            "The job was cancelled",
            "it was stopped because it did not stop by itself",
        ))),
    }
}

/// Retried, unlike apalis' default, which would give the job up.
fn panic_error(panic: &Box<dyn std::any::Any + Send>) -> PanicError {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    PanicError(message.unwrap_or_else(|| "no message".into()))
}

/// This process and start; no two are the same.
fn worker_ref() -> WorkerRef {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".into());
    WorkerRef {
        id: format!("wrk_{}", ulid::Ulid::new()),
        host,
        pid: std::process::id(),
    }
}

fn plain_info() -> WorkerInfo {
    let now = Utc::now();
    WorkerInfo {
        worker: WorkerRef {
            id: String::new(),
            host: String::new(),
            pid: 0,
        },
        version: env!("CARGO_PKG_VERSION").into(),
        device: "cpu".into(),
        queues: Vec::new(),
        concurrency: 0,
        running: Vec::new(),
        tools: Vec::new(),
        policies: Vec::new(),
        started_at: now,
        seen_at: now,
    }
}

/// The caller's description with what only we know.
fn described(
    info: Arc<dyn Fn() -> WorkerInfo + Send + Sync>,
    me: WorkerRef,
    pools: Vec<(Vec<JobKind>, usize)>,
    running: Arc<Running>,
) -> Arc<dyn Fn() -> WorkerInfo + Send + Sync> {
    let started_at = Utc::now();
    Arc::new(move || {
        let slots: usize = pools.iter().map(|(_, slots)| slots).sum();
        let mut queues: Vec<JobKind> = pools.iter().flat_map(|(kinds, _)| kinds.clone()).collect();
        queues.dedup();
        WorkerInfo {
            worker: me.clone(),
            queues,
            concurrency: u32::try_from(slots).unwrap_or(u32::MAX),
            running: running.snapshot().into_iter().map(|(id, _)| id).collect(),
            started_at,
            seen_at: Utc::now(),
            ..info()
        }
    })
}
