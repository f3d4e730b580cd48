//! Short words for what most tests do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use illumine_store::jobs::NewJob;
use illumine_store::queue::{JobContext, JobFailure, QueueWorker, QueueWorkerBuilder};
use illumine_store::{Result, Store};
use illumine_types::{Event, Job, JobId, JobKind, JobState, Priority, Problem};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

pub const GENERATION: &[JobKind] = &[JobKind::Generation];

pub fn new_job(title: &str) -> NewJob {
    NewJob {
        kind: JobKind::Generation,
        owner: None,
        priority: Priority::Normal,
        title: title.into(),
        request: json!({"prompt": title}),
        idempotency_key: None,
        inputs: Vec::new(),
    }
}

pub async fn submit(store: &Store, title: &str) -> JobId {
    store.jobs().submit(new_job(title)).await.unwrap().job.id
}

pub fn problem(code: &str) -> Problem {
    Problem::new(code, "A test's problem", "made by a test")
}

/// Waits until a job is in a state; fails loudly if it does not get there.
pub async fn reaches(store: &Store, id: &JobId, state: JobState, limit: Duration) -> Job {
    let until = Instant::now() + limit;
    loop {
        let job = store.jobs().job(id).await.unwrap();
        if job.status == state {
            return job;
        }
        assert!(
            Instant::now() < until,
            "{id} is {:?}: {:?}",
            job.status,
            job.error
        );
        sleep(Duration::from_millis(20)).await;
    }
}

/// Long, for a machine that does much else; passing tests do not wait for it.
pub const SOON: Duration = Duration::from_secs(90);

pub struct RunningWorker {
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

impl RunningWorker {
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    pub fn begin_stop(&self) {
        self.stop.cancel();
    }
}

pub fn work<H, F>(builder: QueueWorkerBuilder, handler: H) -> RunningWorker
where
    H: Fn(JobContext) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = std::result::Result<(), JobFailure>> + Send + 'static,
{
    let stop = CancellationToken::new();
    let signal = stop.clone();
    let task = tokio::spawn(async move {
        builder
            .run(handler, async move { signal.cancelled().await })
            .await
    });
    RunningWorker { stop, task }
}

/// A worker that notes the titles it was given, in order.
pub fn noting(store: &Store, concurrency: usize) -> (RunningWorker, Notes) {
    let notes = Notes::default();
    let own = notes.clone();
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, concurrency),
        move |context| {
            let notes = own.clone();
            async move {
                notes.add(context.request["prompt"].as_str().unwrap());
                Ok(())
            }
        },
    );
    (worker, notes)
}

#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn add(&self, text: &str) {
        self.0.lock().unwrap().push(text.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub async fn reach(&self, count: usize) {
        let until = Instant::now() + SOON;
        while self.all().len() < count {
            assert!(Instant::now() < until, "only {:?}", self.all().len());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// All events until the final one.
pub async fn followed(store: &Store, id: &JobId) -> Vec<Event> {
    let stream = store.events().follow(id, None).await.unwrap();
    stream.map(|event| event.unwrap()).collect().await
}

pub fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.name()).collect()
}
