//! Servers and workers that die.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use illumine_store::queue::QueueWorker;
use illumine_store::{Store, StoreConfig};
use illumine_types::JobState;
use tokio::time::sleep;

use crate::harness::{ACCESS_KEY, SECRET_KEY, Servers, quick};
use crate::help::*;

const REDIS: &str = "ILLUMINE_TEST_WORKER_REDIS";
const S3: &str = "ILLUMINE_TEST_WORKER_S3";

/// Not a test by itself: the process that `a_killed_worker…` kills.
#[tokio::test]
#[ignore = "run by another test"]
async fn worker_process() {
    let (Ok(redis_url), Ok(s3_endpoint)) = (std::env::var(REDIS), std::env::var(S3)) else {
        return;
    };
    let config = StoreConfig {
        redis_url,
        s3_endpoint,
        s3_bucket: "illumine".into(),
        s3_region: "local".into(),
        s3_access_key: ACCESS_KEY.into(),
        s3_secret_key: SECRET_KEY.into(),
    };
    let store = Store::connect_with(&config, quick()).await.unwrap();
    QueueWorker::builder(store, GENERATION, 2)
        .run(|_| std::future::pending(), std::future::pending())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_killed_workers_jobs_are_taken_over_once() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let config = servers.config();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "faults::worker_process", "--ignored"])
        .env(REDIS, config.redis_url)
        .env(S3, config.s3_endpoint)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ids = [submit(&store, "a").await, submit(&store, "b").await];
    for id in &ids {
        reaches(&store, id, JobState::Running, SOON).await;
    }
    let lost = store.jobs().job(&ids[0]).await.unwrap().worker.unwrap();
    assert_eq!(lost.pid, process.id());
    let (worker, notes) = noting(&store, 1);
    // While it lives, its jobs are its own, however long they take.
    sleep(quick().lease * 3).await;
    assert!(notes.all().is_empty());
    process.kill().unwrap();
    process.wait().unwrap();
    let killed = Instant::now();
    for id in &ids {
        let job = reaches(&store, id, JobState::Succeeded, SOON).await;
        assert_eq!(job.attempt, 2);
        assert_ne!(job.worker.unwrap().id, lost.id);
        let events = followed(&store, id).await;
        assert_eq!(
            names(&events),
            ["queued", "started", "retrying", "started", "completed"]
        );
    }
    assert!(killed.elapsed() < Duration::from_secs(30));
    sleep(quick().lease).await;
    assert_eq!(notes.all().len(), 2);
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_given_up() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let id = submit(&store, "poison").await;
    for attempt in 1..=2 {
        // A worker on a runtime that is dropped without a word.
        let config = servers.config();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move {
            let store = Store::connect_with(&config, quick()).await.unwrap();
            QueueWorker::builder(store, GENERATION, 1)
                .max_attempts(2)
                .run(|_| std::future::pending(), std::future::pending())
                .await
        });
        let until = Instant::now() + SOON;
        while store.jobs().job(&id).await.unwrap().attempt < attempt {
            assert!(Instant::now() < until);
            sleep(Duration::from_millis(20)).await;
        }
        runtime.shutdown_background();
    }
    let builder = QueueWorker::builder(store.clone(), GENERATION, 1).max_attempts(2);
    let worker = work(builder, |_| async { Ok(()) });
    let job = reaches(&store, &id, JobState::Failed, SOON).await;
    assert_eq!(
        (job.attempt, job.error.unwrap().code.as_str()),
        (2, "worker_lost")
    );
    let dead = store.queue().dead_letters(1).await.unwrap();
    assert_eq!(dead[0].id, id);
    // Redis decided this; S3 hears of it.
    let until = Instant::now() + SOON;
    loop {
        let status = store
            .blobs()
            .get(&format!("jobs/{id}/status.json"))
            .await
            .unwrap();
        if String::from_utf8_lossy(&status).contains("\"failed\"") {
            break;
        }
        assert!(Instant::now() < until);
        sleep(Duration::from_millis(50)).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn redis_killed_and_restarted_loses_and_repeats_nothing() {
    let mut servers = Servers::start().await;
    let store = servers.store().await;
    let runs = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&runs);
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, 2),
        move |context| {
            let counter = Arc::clone(&counter);
            async move {
                counter.fetch_add(1, Ordering::SeqCst);
                if context.request["prompt"] == "long" {
                    // Longer than the outage and a lease together.
                    sleep(Duration::from_secs(6)).await;
                }
                Ok(())
            }
        },
    );
    let long = submit(&store, "long").await;
    reaches(&store, &long, JobState::Running, SOON).await;
    store
        .queue()
        .pause(illumine_types::JobKind::Generation)
        .await
        .unwrap();
    let mut ids = Vec::new();
    for n in 0..100 {
        ids.push(submit(&store, &n.to_string()).await);
    }
    sleep(Duration::from_millis(1200)).await; // the AOF is written every second
    servers.redis.kill();
    sleep(Duration::from_secs(2)).await;
    servers.redis.start_again();
    store
        .queue()
        .resume(illumine_types::JobKind::Generation)
        .await
        .unwrap();
    for id in ids.iter().chain([&long]) {
        let job = reaches(&store, id, JobState::Succeeded, SOON).await;
        assert_eq!(job.attempt, 1);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 101);
    worker.stop().await;
}

#[tokio::test]
async fn while_s3_is_down_nothing_is_called_done() {
    let mut servers = Servers::start().await;
    let store = servers.store().await;
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, 2),
        |context| async move {
            sleep(Duration::from_millis(1000)).await;
            let image = context
                .store
                .blobs()
                .put_image_for(&context.id, context.id.as_str(), "image/png", 1, 1)
                .await?;
            let document = crate::blobs::document(&context.id, &[&image], 1);
            context.store.documents().save(&document).await?;
            Ok(())
        },
    );
    let before = submit(&store, "before").await;
    reaches(&store, &before, JobState::Running, SOON).await;
    servers.s3.stop();
    assert!(!store.health().await.s3.ok);
    let during = tokio::spawn({
        let store = store.clone();
        async move { submit(&store, "during").await }
    });
    for _ in 0..40 {
        sleep(Duration::from_millis(100)).await;
        let job = store.jobs().job(&before).await.unwrap();
        assert_eq!(job.status, JobState::Running);
    }
    assert!(!during.is_finished());
    servers.s3.start_again();
    let during = during.await.unwrap();
    for id in [&before, &during] {
        let job = reaches(&store, id, JobState::Succeeded, SOON).await;
        assert_eq!(job.attempt, 1);
        assert!(servers.s3.has(&format!("documents/{id}/document.json")));
        assert!(servers.s3.has(&format!("jobs/{id}/status.json")));
    }
    worker.stop().await;
}
