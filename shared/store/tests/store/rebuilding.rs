use illumine_store::jobs::{JobFilter, NewJob};
use illumine_store::queue::{JobFailure, QueueWorker};
use illumine_store::rebuild;
use illumine_store::rebuild::RebuildProgress;
use illumine_types::api::Role;
use illumine_types::{ApiKeyId, JobState, Priority};

use crate::harness::Servers;
use crate::help::*;

#[tokio::test]
async fn an_emptied_redis_is_restored() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let key = store.keys().create("admin", Role::Admin).await.unwrap();
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, 1),
        |context| async move {
            if context.request["prompt"] == "fails" {
                return Err(JobFailure::permanent(problem("refused")));
            }
            let image = context
                .store
                .blobs()
                .put_image_for(&context.id, b"pixels", "image/png", 1, 1)
                .await?;
            context
                .store
                .documents()
                .save(&crate::blobs::document(&context.id, &[&image], 1))
                .await?;
            Ok(())
        },
    );
    let asked = NewJob {
        owner: Some(ApiKeyId("key_a".into())),
        priority: Priority::High,
        idempotency_key: Some("once".into()),
        ..new_job("done")
    };
    let done = store.jobs().submit(asked.clone()).await.unwrap().job.id;
    let failed = submit(&store, "fails").await;
    reaches(&store, &done, JobState::Succeeded, SOON).await;
    reaches(&store, &failed, JobState::Failed, SOON).await;
    worker.stop().await;
    let waiting = submit(&store, "waiting").await;
    let cancelled = submit(&store, "cancelled").await;
    store.jobs().cancel(&cancelled).await.unwrap();
    let retried = submit(&store, "retried").await;
    store.jobs().cancel(&retried).await.unwrap();
    store.jobs().retry(&retried).await.unwrap();
    let before = store.jobs().job(&done).await.unwrap();

    servers.redis.command(&["FLUSHALL"]).await;
    assert!(store.jobs().job(&done).await.is_err());
    let last = std::sync::Mutex::new(RebuildProgress::default());
    let total = rebuild(&store, |progress| *last.lock().unwrap() = progress)
        .await
        .unwrap();
    let expected = RebuildProgress {
        jobs: 5,
        restored: 3,
        queued: 2,
        keys: 1,
        ..Default::default()
    };
    assert_eq!(total, expected);
    assert_eq!(*last.lock().unwrap(), expected);
    let again = rebuild(&store, |_| ()).await.unwrap();
    assert_eq!((again.known, again.queued, again.restored), (5, 0, 0));

    let after = store.jobs().job(&done).await.unwrap();
    assert!(after.sequence >= before.sequence);
    assert_eq!(
        (
            after.status,
            after.owner,
            after.priority,
            after.attempt,
            after.title,
            after.created_at
        ),
        (
            before.status,
            before.owner,
            before.priority,
            before.attempt,
            before.title,
            before.created_at
        )
    );
    let job = store.jobs().job(&failed).await.unwrap();
    assert_eq!(
        (job.status, job.error.unwrap().code.as_str()),
        (JobState::Failed, "refused")
    );
    assert_eq!(
        store.jobs().job(&cancelled).await.unwrap().status,
        JobState::Cancelled
    );
    assert_eq!(
        store.keys().authenticate(&key.secret).await.unwrap(),
        Some(key.key)
    );
    let list = store
        .jobs()
        .list(&JobFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(list.items.len(), 5);
    assert_eq!(names(&followed(&store, &done).await), ["completed"]);
    let same = store.jobs().submit(asked).await.unwrap();
    assert_eq!((same.created, &same.job.id), (false, &done));

    let (worker, notes) = noting(&store, 1);
    reaches(&store, &waiting, JobState::Succeeded, SOON).await;
    reaches(&store, &retried, JobState::Succeeded, SOON).await;
    worker.stop().await;
    let mut ran = notes.all();
    ran.sort();
    assert_eq!(ran, ["retried", "waiting"]);

    // References are back too: the picture goes with its last document.
    let image = store.documents().get(&done).await.unwrap();
    let image = image.images().count();
    assert_eq!(image, 1);
    store.jobs().delete(&done).await.unwrap();
    assert!(store.blobs().list_all("images/").await.unwrap().is_empty());
}

#[tokio::test]
async fn redis_emptied_under_a_running_job() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let (worker, notes) = {
        let notes = Notes::default();
        let own = notes.clone();
        let worker = work(
            QueueWorker::builder(store.clone(), GENERATION, 1),
            move |context| {
                let own = own.clone();
                async move {
                    own.add("start");
                    tokio::select! {
                        () = context.cancel.cancelled() => {}
                        () = tokio::time::sleep(std::time::Duration::from_secs(2)) => own.add("end"),
                    }
                    Ok(())
                }
            },
        );
        (worker, notes)
    };
    let id = submit(&store, "x").await;
    notes.reach(1).await;
    servers.redis.command(&["FLUSHALL"]).await;
    // The worker drops what it cannot report any more, and goes on.
    rebuild(&store, |_| ()).await.unwrap();
    let job = reaches(&store, &id, JobState::Succeeded, SOON).await;
    assert_eq!(job.status, JobState::Succeeded);
    assert_eq!(notes.all().iter().filter(|note| *note == "end").count(), 1);
    worker.stop().await;
}
