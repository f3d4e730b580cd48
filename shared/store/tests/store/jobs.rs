use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt, stream};
use illumine_store::StoreError;
use illumine_store::jobs::{JobFilter, JobUpdate, NewJob};
use illumine_store::queue::QueueWorker;
use illumine_types::{ApiKeyId, JobId, JobKind, JobState, Priority, ToolKind};
use serde_json::json;

use crate::harness::Servers;
use crate::help::*;

#[tokio::test]
async fn a_submitted_job_is_in_both_stores() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let submitted = store.jobs().submit(new_job("A report")).await.unwrap();
    let id = &submitted.job.id;
    assert!(submitted.created);
    assert!(servers.s3.has(&format!("jobs/{id}/request.json")));

    let job = store.jobs().job(id).await.unwrap();
    assert_eq!(job, submitted.job);
    assert_eq!(
        (job.status, job.sequence, job.position),
        (JobState::Queued, 1, Some(0))
    );
    assert_eq!(
        store.jobs().request(id).await.unwrap(),
        json!({"prompt": "A report"})
    );

    let unknown = JobId::generate(JobKind::Generation);
    assert_eq!(
        store.jobs().job(&unknown).await.unwrap_err().code(),
        "not_found"
    );
    assert_eq!(
        store.jobs().request(&unknown).await.unwrap_err().code(),
        "not_found"
    );
}

#[tokio::test]
async fn an_idempotency_key_names_one_job_an_owner() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let asked = |owner: &str, prompt: &str| NewJob {
        owner: Some(ApiKeyId(owner.into())),
        idempotency_key: Some("k".into()),
        request: json!({"prompt": prompt}),
        ..new_job(prompt)
    };
    let jobs = store.jobs();
    let first = jobs.submit(asked("key_a", "x")).await.unwrap();
    let again = jobs.submit(asked("key_a", "x")).await.unwrap();
    assert!(first.created && !again.created);
    assert_eq!(first.job.id, again.job.id);
    let other = jobs.submit(asked("key_b", "x")).await.unwrap();
    assert_ne!(first.job.id, other.job.id);
    let conflict = jobs.submit(asked("key_a", "y")).await.unwrap_err();
    assert!(
        matches!(conflict, StoreError::IdempotencyConflict { existing } if existing == first.job.id)
    );

    // Twenty at once: one job.
    let at_once = NewJob {
        idempotency_key: Some("race".into()),
        ..new_job("race")
    };
    let ids: HashSet<JobId> = stream::iter(0..20)
        .map(|_| async { jobs.submit(at_once.clone()).await.unwrap().job.id })
        .buffer_unordered(20)
        .collect()
        .await;
    assert_eq!(ids.len(), 1);
    let stored = store.blobs().list_all("jobs/").await.unwrap();
    assert_eq!(stored.len(), 3, "losers leave nothing: {stored:?}");
}

#[tokio::test]
async fn lists_are_newest_first_filtered_and_paged() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        let new = NewJob {
            kind: if n % 2 == 0 {
                JobKind::Generation
            } else {
                JobKind::Batch
            },
            owner: (n < 3).then(|| ApiKeyId("key_a".into())),
            ..new_job(&format!("Report {n} on Tides"))
        };
        ids.push(store.jobs().submit(new).await.unwrap().job.id);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let newest_first: Vec<JobId> = ids.iter().rev().cloned().collect();
    let list = async |filter: JobFilter| {
        let page = store.jobs().list(&filter, None, 100).await.unwrap();
        assert_eq!(page.next_cursor, None);
        page.items.into_iter().map(|job| job.id).collect::<Vec<_>>()
    };
    assert_eq!(list(JobFilter::default()).await, newest_first);
    let batches = list(JobFilter {
        kind: Some(JobKind::Batch),
        ..Default::default()
    })
    .await;
    assert_eq!(batches, [&ids[5], &ids[3], &ids[1]].map(Clone::clone));
    let mine = JobFilter {
        owner: Some(ApiKeyId("key_a".into())),
        ..Default::default()
    };
    assert_eq!(list(mine).await.len(), 3);
    let search = JobFilter {
        search: Some("tides 4".into()),
        ..Default::default()
    };
    assert_eq!(list(search).await, [ids[4].clone()]);
    let since = store.jobs().job(&ids[5]).await.unwrap().created_at;
    let recent = JobFilter {
        since: Some(since),
        ..Default::default()
    };
    assert_eq!(list(recent).await, [&ids[6], &ids[5]].map(Clone::clone));

    store.jobs().cancel(&ids[2]).await.unwrap();
    let cancelled = JobFilter {
        status: Some(JobState::Cancelled),
        ..Default::default()
    };
    assert_eq!(list(cancelled).await, [ids[2].clone()]);
    let drawn = JobUpdate {
        tools_used: Some(vec![ToolKind::Code]),
        ..Default::default()
    };
    store.jobs().describe(&ids[2], drawn).await.unwrap();
    let charts = JobFilter {
        tool: Some(ToolKind::Code),
        ..Default::default()
    };
    assert_eq!(list(charts).await, [ids[2].clone()]);

    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store
            .jobs()
            .list(&JobFilter::default(), cursor.as_deref(), 2)
            .await
            .unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.into_iter().map(|job| job.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, newest_first);
    let bad = store
        .jobs()
        .list(&JobFilter::default(), Some("nonsense"), 2)
        .await;
    assert_eq!(bad.unwrap_err().code(), "bad_cursor");
}

#[tokio::test]
async fn states_change_as_they_may() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let jobs = store.jobs();
    let id = submit(&store, "one").await;

    let cancelled = jobs.cancel(&id).await.unwrap();
    assert_eq!(cancelled.status, JobState::Cancelled);
    assert!(cancelled.finished_at.is_some() && cancelled.sequence > 1);
    assert_eq!(jobs.cancel(&id).await.unwrap().status, JobState::Cancelled);
    assert!(servers.s3.has(&format!("jobs/{id}/status.json")));

    let queued = jobs.retry(&id).await.unwrap();
    assert_eq!(
        (queued.status, queued.finished_at),
        (JobState::Queued, None)
    );
    assert!(queued.sequence > cancelled.sequence);
    assert_eq!(jobs.retry(&id).await.unwrap_err().code(), "wrong_state");

    let (worker, notes) = noting(&store, 1);
    let done = reaches(&store, &id, JobState::Succeeded, SOON).await;
    assert_eq!((done.attempt, done.progress), (1, 1.0));
    assert!(done.sequence > queued.sequence);
    assert_eq!(jobs.cancel(&id).await.unwrap_err().code(), "wrong_state");
    assert_eq!(jobs.retry(&id).await.unwrap_err().code(), "wrong_state");
    let stale = jobs
        .update(
            &id,
            1,
            JobUpdate {
                progress: Some(0.5),
                ..Default::default()
            },
        )
        .await;
    assert_eq!(stale.unwrap_err().code(), "stale_attempt");
    assert_eq!(notes.all(), ["one"]);
    worker.stop().await;
}

#[tokio::test]
async fn position_counts_those_that_go_first() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let of = |owner: &str, priority| NewJob {
        owner: Some(ApiKeyId(owner.into())),
        priority,
        ..new_job("p")
    };
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(
            store
                .jobs()
                .submit(of("key_a", Priority::Normal))
                .await
                .unwrap()
                .job
                .id,
        );
    }
    // Owners take turns: before b's first job goes one of a's.
    let b = store
        .jobs()
        .submit(of("key_b", Priority::Normal))
        .await
        .unwrap()
        .job;
    assert_eq!(b.position, Some(1));
    let high = store
        .jobs()
        .submit(of("key_b", Priority::High))
        .await
        .unwrap()
        .job;
    assert_eq!(high.position, Some(0));
    let position = async |id: &JobId| store.jobs().job(id).await.unwrap().position;
    assert_eq!(position(&b.id).await, Some(2));
    assert_eq!(position(&ids[2]).await, Some(4));
    store.jobs().cancel(&ids[0]).await.unwrap();
    assert_eq!(position(&ids[2]).await, Some(3));
}

#[tokio::test]
async fn a_deleted_job_leaves_nothing_but_what_others_use() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let input = store
        .blobs()
        .put_input(b"input", "image/png", 1, 1)
        .await
        .unwrap();
    let with_input = |title| NewJob {
        inputs: vec![input.id.clone()],
        ..new_job(title)
    };
    let first = store
        .jobs()
        .submit(with_input("first"))
        .await
        .unwrap()
        .job
        .id;
    let second = store
        .jobs()
        .submit(with_input("second"))
        .await
        .unwrap()
        .job
        .id;
    let blobs = store.blobs();
    let shared = blobs
        .put_image_for(&first, b"shared", "image/png", 1, 1)
        .await
        .unwrap();
    blobs
        .put_image_for(&second, b"shared", "image/png", 1, 1)
        .await
        .unwrap();
    let own = blobs
        .put_image_for(&first, b"own", "image/png", 1, 1)
        .await
        .unwrap();
    store
        .documents()
        .put(&crate::blobs::document(&first, &[&shared, &own], 1))
        .await
        .unwrap();

    store.jobs().delete(&first).await.unwrap();
    assert_eq!(
        store.jobs().job(&first).await.unwrap_err().code(),
        "not_found"
    );
    assert_eq!(
        store.documents().get(&first).await.unwrap_err().code(),
        "not_found"
    );
    assert_eq!(
        store.jobs().delete(&first).await.unwrap_err().code(),
        "not_found"
    );
    assert!(store.events().follow(&first, None).await.is_err());
    let left = store
        .jobs()
        .list(&JobFilter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(left.items.len(), 1);
    assert!(!servers.s3.has(&format!("images/{}", own.id)));
    assert!(servers.s3.has(&format!("images/{}", shared.id)));
    assert!(servers.s3.has(&format!("inputs/{}", input.id)));
    assert!(
        blobs
            .list_all(&format!("jobs/{first}"))
            .await
            .unwrap()
            .is_empty()
    );

    store.jobs().delete(&second).await.unwrap();
    assert!(!servers.s3.has(&format!("images/{}", shared.id)));
    assert!(!servers.s3.has(&format!("inputs/{}", input.id)));
    assert!(blobs.list_all("jobs/").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_running_job_is_stopped_and_deleted() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let worker = work(
        QueueWorker::builder(store.clone(), GENERATION, 1),
        |context| async move {
            context.cancel.cancelled().await;
            Ok(())
        },
    );
    let id = submit(&store, "long").await;
    reaches(&store, &id, JobState::Running, SOON).await;
    store.jobs().delete(&id).await.unwrap();
    assert!(store.jobs().job(&id).await.is_err());
    worker.stop().await;
    assert!(store.blobs().list_all("jobs/").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_submissions_at_once_are_all_kept() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let ids: HashSet<JobId> = stream::iter(0..2000)
        .map(|n| {
            let store = store.clone();
            async move { submit(&store, &format!("job {n}")).await }
        })
        .buffer_unordered(2000)
        .collect()
        .await;
    assert_eq!(ids.len(), 2000);
    let lengths = store.queue().lengths().await.unwrap();
    assert_eq!(lengths[0].waiting["normal"], 2000);
    assert_eq!(store.blobs().list_all("jobs/").await.unwrap().len(), 2000);
}
