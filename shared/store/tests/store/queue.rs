use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use illumine_store::jobs::{JobUpdate, NewJob};
use illumine_store::queue::{JobFailure, QueueWorker};
use illumine_types::{ApiKeyId, JobKind, JobState, Priority};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::Servers;
use crate::help::*;

#[tokio::test]
async fn two_workers_do_each_job_once() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let other = servers.store().await;
    let mut expected = HashSet::new();
    for n in 0..150 {
        submit(&store, &n.to_string()).await;
        expected.insert(n.to_string());
    }
    let (first, done_first) = noting(&store, 4);
    let (second, done_second) = noting(&other, 4);
    for n in 150..300 {
        submit(&store, &n.to_string()).await;
        expected.insert(n.to_string());
    }
    let both = async || [done_first.all(), done_second.all()].concat();
    let until = Instant::now() + SOON;
    while both().await.len() < 300 && Instant::now() < until {
        sleep(Duration::from_millis(20)).await;
    }
    first.stop().await;
    second.stop().await;
    let all = both().await;
    assert_eq!(all.len(), 300);
    assert_eq!(all.iter().cloned().collect::<HashSet<_>>(), expected);
    assert!(!done_first.all().is_empty() && !done_second.all().is_empty());
    // Nothing is left behind: no entry, no consumer, no registration.
    let lengths = store.queue().lengths().await.unwrap();
    assert_eq!((lengths[0].waiting_total(), lengths[0].running), (0, 0));
    let queue = servers
        .redis
        .command(&["XLEN", "il:queue:generation:normal"])
        .await;
    assert_eq!(queue, redis::Value::Int(0));
    assert!(store.queue().workers().await.unwrap().is_empty());
}

#[tokio::test]
async fn high_goes_before_low_and_low_does_not_starve() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let of = |priority: Priority, title: &str| NewJob {
        priority,
        ..new_job(title)
    };
    for n in 0..3 {
        store
            .jobs()
            .submit(of(Priority::Low, &format!("low {n}")))
            .await
            .unwrap();
    }
    for n in 0..80 {
        store
            .jobs()
            .submit(of(Priority::High, &format!("high {n}")))
            .await
            .unwrap();
    }
    let (worker, notes) = noting(&store, 1);
    notes.reach(83).await;
    worker.stop().await;
    let order = notes.all();
    assert!(
        order[..31].iter().all(|title| title.starts_with("high")),
        "{order:?}"
    );
    let lows: Vec<usize> = (0..83).filter(|n| order[*n].starts_with("low")).collect();
    assert!(lows[0] < 40, "starved: {lows:?}");
    assert!(lows[1] < 80, "starved: {lows:?}");
}

#[tokio::test]
async fn owners_take_turns() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let of = |owner: &str| NewJob {
        owner: Some(ApiKeyId(owner.into())),
        ..new_job(owner)
    };
    for _ in 0..20 {
        store.jobs().submit(of("key_busy")).await.unwrap();
    }
    for _ in 0..3 {
        store.jobs().submit(of("key_calm")).await.unwrap();
    }
    let (worker, notes) = noting(&store, 1);
    notes.reach(23).await;
    worker.stop().await;
    let order = notes.all();
    let calm = order[..6]
        .iter()
        .filter(|owner| *owner == "key_calm")
        .count();
    assert_eq!(calm, 3, "{order:?}");
}

#[tokio::test]
async fn passing_failures_are_retried_until_attempts_run_out() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, 1).max_attempts(3),
        move |context| {
            let counter = Arc::clone(&counter);
            async move {
                counter.fetch_add(1, Ordering::SeqCst);
                match context.request["prompt"].as_str().unwrap() {
                    "recovers" if context.attempt == 2 => Ok(()),
                    "refused" => Err(JobFailure::permanent(problem("refused"))),
                    _ => Err(JobFailure::transient(problem("flaky"))),
                }
            }
        },
    );
    let id = submit(&store, "hopeless").await;
    let job = reaches(&store, &id, JobState::Failed, SOON).await;
    assert_eq!((job.attempt, calls.load(Ordering::SeqCst)), (3, 3));
    assert_eq!(job.error.unwrap().code, "flaky");
    let events = followed(&store, &id).await;
    assert_eq!(
        names(&events),
        [
            "queued", "started", "retrying", "started", "retrying", "started", "failed"
        ]
    );
    // Waits grow: 50–100 ms, then 100–200 ms.
    let waited = |n: usize| (events[n + 1].at - events[n].at).num_milliseconds();
    assert!(
        waited(2) >= 50 && waited(4) >= 100,
        "{} {}",
        waited(2),
        waited(4)
    );

    let refused = submit(&store, "refused").await;
    let job = reaches(&store, &refused, JobState::Failed, SOON).await;
    assert_eq!(
        (job.attempt, job.error.unwrap().code.as_str()),
        (1, "refused")
    );
    let recovers = submit(&store, "recovers").await;
    let job = reaches(&store, &recovers, JobState::Succeeded, SOON).await;
    assert_eq!((job.attempt, job.error), (2, None));

    let dead = store.queue().dead_letters(10).await.unwrap();
    let reasons: Vec<_> = dead
        .iter()
        .map(|d| (d.id.clone(), d.attempts, d.error.code.as_str()))
        .collect();
    assert_eq!(reasons, [(refused, 1, "refused"), (id.clone(), 3, "flaky")]);

    // Asked for again, the limit starts afresh.
    store.jobs().retry(&id).await.unwrap();
    let job = reaches(&store, &id, JobState::Failed, SOON).await;
    assert_eq!(job.attempt, 6);
    worker.stop().await;
}

#[tokio::test]
async fn attempts_that_get_somewhere_do_not_use_up_the_limit() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, 1).max_attempts(2),
        |context| async move {
            let settled = context.attempt < 4;
            let update = JobUpdate {
                settled,
                ..JobUpdate::default()
            };
            let jobs = context.store.jobs();
            jobs.update(&context.id, context.attempt, update).await?;
            Err(JobFailure::transient(problem("flaky")))
        },
    );
    let id = submit(&store, "long").await;
    let job = reaches(&store, &id, JobState::Failed, SOON).await;
    // The third got somewhere, so it is the first of two; the fourth did not.
    assert_eq!(job.attempt, 4);
    worker.stop().await;
}

#[tokio::test]
async fn a_panic_fails_the_job_and_not_the_worker() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, 1).max_attempts(2),
        |context| async move {
            assert!(context.request["prompt"] != "bad", "a handler's bug");
            Ok(())
        },
    );
    let bad = submit(&store, "bad").await;
    let job = reaches(&store, &bad, JobState::Failed, SOON).await;
    let error = job.error.unwrap();
    assert_eq!((job.attempt, error.code.as_str()), (2, "handler_panicked"));
    assert!(error.detail.contains("a handler's bug"));
    let good = submit(&store, "good").await;
    reaches(&store, &good, JobState::Succeeded, SOON).await;
    worker.stop().await;
}

#[tokio::test]
async fn running_jobs_hear_that_they_are_cancelled() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, 2),
        |context| async move {
            if context.request["prompt"] == "deaf" {
                std::future::pending::<()>().await;
            }
            context.cancel.cancelled().await;
            // Whatever the handler answers, the job is cancelled.
            Ok(())
        },
    );
    let polite = submit(&store, "polite").await;
    let deaf = submit(&store, "deaf").await;
    reaches(&store, &polite, JobState::Running, SOON).await;
    reaches(&store, &deaf, JobState::Running, SOON).await;
    store.jobs().cancel(&polite).await.unwrap();
    reaches(&store, &polite, JobState::Cancelled, SOON).await;
    store.jobs().cancel(&deaf).await.unwrap();
    reaches(&store, &deaf, JobState::Cancelled, SOON).await;
    assert_eq!(
        names(&followed(&store, &polite).await),
        ["queued", "started", "cancelled"]
    );
    assert!(servers.s3.has(&format!("jobs/{polite}/status.json")));
    worker.stop().await;
}

#[tokio::test]
async fn a_paused_kind_waits() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let (worker, notes) = noting(&store, 1);
    store.queue().pause(JobKind::Generation).await.unwrap();
    let id = submit(&store, "x").await;
    sleep(Duration::from_millis(800)).await;
    assert!(notes.all().is_empty());
    assert!(store.queue().lengths().await.unwrap()[0].paused);
    store.queue().resume(JobKind::Generation).await.unwrap();
    reaches(&store, &id, JobState::Succeeded, SOON).await;
    worker.stop().await;
}

#[tokio::test]
async fn workers_are_listed_while_they_live() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, 3).pool(&[JobKind::TrainingRun], 1),
        |context| async move {
            context.cancel.cancelled().await;
            Ok(())
        },
    );
    let id = submit(&store, "x").await;
    reaches(&store, &id, JobState::Running, SOON).await;
    sleep(Duration::from_millis(500)).await;
    let workers = store.queue().workers().await.unwrap();
    assert_eq!(workers.len(), 1);
    assert_eq!(workers[0].concurrency, 4);
    assert_eq!(
        workers[0].queues,
        [JobKind::Generation, JobKind::TrainingRun]
    );
    assert_eq!(workers[0].running, std::slice::from_ref(&id));
    let job = store.jobs().job(&id).await.unwrap();
    assert_eq!(job.worker.as_ref(), Some(&workers[0].worker));

    // Slots are free, so the next job starts at once.
    let next = store.jobs().submit(new_job("y")).await.unwrap().job;
    assert_eq!(next.eta_s, Some(0.0));
    store.jobs().cancel(&id).await.unwrap();
    store.jobs().cancel(&next.id).await.unwrap();
    worker.stop().await;
    assert!(store.queue().workers().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_stopping_worker_finishes_or_gives_back() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let handler = |context: illumine_store::queue::JobContext| async move {
        match context.request["prompt"].as_str().unwrap() {
            "short" => sleep(Duration::from_millis(600)).await,
            "endless" if context.attempt == 1 => std::future::pending().await,
            "checkpoint" if context.attempt == 1 => {
                context.draining.cancelled().await;
                return Err(JobFailure::released());
            }
            _ => {}
        }
        Ok(())
    };
    let builder = QueueWorker::builder(store.clone(), GENERATION, 3);
    let worker = work(builder.drain(Duration::from_secs(4)), handler);
    let short = submit(&store, "short").await;
    let endless = submit(&store, "endless").await;
    let checkpoint = submit(&store, "checkpoint").await;
    for id in [&short, &endless, &checkpoint] {
        reaches(&store, id, JobState::Running, SOON).await;
    }
    worker.begin_stop();
    let late = submit(&store, "late").await;
    worker.stop().await;
    assert_eq!(
        store.jobs().job(&short).await.unwrap().status,
        JobState::Succeeded
    );
    for id in [&endless, &checkpoint, &late] {
        assert_eq!(store.jobs().job(id).await.unwrap().status, JobState::Queued);
    }
    let second = work(
        QueueWorker::builder(store.clone(), GENERATION, 3).max_attempts(1),
        handler,
    );
    for id in [&endless, &checkpoint, &late] {
        reaches(&store, id, JobState::Succeeded, SOON).await;
    }
    second.stop().await;
}

#[tokio::test]
async fn big_requests_and_several_kinds_arrive() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let seen = Notes::default();
    let own = seen.clone();
    let kinds = [JobKind::Generation, JobKind::Evaluation];
    let worker = work(
        QueueWorker::builder(store.clone(), &kinds, 1),
        move |context| {
            let own = own.clone();
            async move {
                let length = context.request["prompt"].as_str().unwrap().len();
                own.add(&format!("{} {length}", context.kind.as_str()));
                Ok(())
            }
        },
    );
    let big = NewJob {
        request: json!({"prompt": "x".repeat(50_000)}),
        ..new_job("big")
    };
    store.jobs().submit(big).await.unwrap();
    let evaluation = NewJob {
        kind: JobKind::Evaluation,
        ..new_job("eval")
    };
    store.jobs().submit(evaluation).await.unwrap();
    let unserved = NewJob {
        kind: JobKind::Batch,
        ..new_job("batch")
    };
    let unserved = store.jobs().submit(unserved).await.unwrap().job.id;
    seen.reach(2).await;
    let mut all = seen.all();
    all.sort();
    assert_eq!(all, ["evaluation 4", "generation 50000"]);
    assert_eq!(
        store.jobs().job(&unserved).await.unwrap().status,
        JobState::Queued
    );
    worker.stop().await;
}
