//! Push-to-start time and accepted submissions a second, on real servers that
//! this program starts.
//!
//! `cargo run --release -p illumine-store --example bench_queue [submissions] [clients]`
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/harness/mod.rs"]
#[allow(dead_code)]
mod harness;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use illumine_store::jobs::NewJob;
use illumine_store::queue::QueueWorker;
use illumine_store::{Store, Timings};
use illumine_types::{JobKind, Priority};
use serde_json::json;

fn job(n: usize) -> NewJob {
    NewJob {
        kind: JobKind::Generation,
        owner: None,
        priority: Priority::Normal,
        title: format!("job {n}"),
        request: json!({"prompt": format!("An illustrated report number {n}"), "options": {"seed": n}}),
        idempotency_key: None,
        inputs: Vec::new(),
    }
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted[((last as f64) * share).round() as usize]
}

fn show(name: &str, mut times: Vec<Duration>) {
    times.sort();
    println!(
        "{name}: p50 {:.2} ms, p99 {:.2} ms, worst {:.2} ms ({} samples)",
        quantile(&times, 0.5).as_secs_f64() * 1e3,
        quantile(&times, 0.99).as_secs_f64() * 1e3,
        quantile(&times, 1.0).as_secs_f64() * 1e3,
        times.len()
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|word| word.parse::<usize>().unwrap());
    let submissions = arguments.next().unwrap_or(5_000);
    let clients = arguments.next().unwrap_or(32);
    let servers = harness::Servers::start().await;
    let store = Store::connect_with(&servers.config(), Timings::default())
        .await
        .unwrap();
    push_to_start(&store).await;
    accept(&store, submissions, clients).await;
}

/// From the moment the queue has the job (its `queued` event) to the handler's
/// first line; and the whole of submitting and starting, S3 included.
async fn push_to_start(store: &Store) {
    let started = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&started);
    let worker = QueueWorker::builder(store.clone(), &[JobKind::Generation], 4);
    let stop = tokio_util::sync::CancellationToken::new();
    let signal = stop.clone();
    let running = tokio::spawn(worker.run(
        move |context| {
            notes
                .lock()
                .unwrap()
                .push((context.id.clone(), Instant::now()));
            async { Ok(()) }
        },
        async move { signal.cancelled().await },
    ));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (mut whole, mut push) = (Vec::new(), Vec::new());
    for n in 0..300 {
        let before = Instant::now();
        let id = store.jobs().submit(job(n)).await.unwrap().job.id;
        let at = loop {
            let found = started
                .lock()
                .unwrap()
                .iter()
                .find(|(seen, _)| *seen == id)
                .map(|(_, at)| *at);
            match found {
                Some(at) => break at,
                None => tokio::time::sleep(Duration::from_micros(200)).await,
            }
        };
        whole.push(at - before);
        let mut events = store.events().follow(&id, None).await.unwrap();
        let queued = events.next().await.unwrap().unwrap();
        let begun = events.next().await.unwrap().unwrap();
        push.push((begun.at - queued.at).to_std().unwrap_or_default());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    show("submit to handler, S3 put included", whole);
    show(
        "queued to started, by the server's clock (1 ms steps)",
        push,
    );
    stop.cancel();
    running.await.unwrap().unwrap();
}

async fn accept(store: &Store, submissions: usize, clients: usize) {
    let start = Instant::now();
    let times: Vec<Duration> = stream::iter(0..submissions)
        .map(|n| async move {
            let before = Instant::now();
            store.jobs().submit(job(n)).await.unwrap();
            before.elapsed()
        })
        .buffer_unordered(clients)
        .collect()
        .await;
    let rate = submissions as f64 / start.elapsed().as_secs_f64();
    println!("accepted submissions: {rate:.0} a second from {clients} clients");
    show("one submission", times);
}
