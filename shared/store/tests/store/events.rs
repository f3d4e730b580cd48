use std::time::Duration;

use futures::{StreamExt, future};
use illumine_store::queue::QueueWorker;
use illumine_types::{EventKind, JobState};
use tokio::time::timeout;

use crate::harness::Servers;
use crate::help::*;

fn text(delta: &str) -> EventKind {
    EventKind::Text {
        delta: delta.into(),
    }
}

/// A worker that writes three texts, one after a signal.
fn writer(store: &illumine_store::Store, go: tokio_util::sync::CancellationToken) -> RunningWorker {
    work(
        QueueWorker::builder(store.clone(), GENERATION, 4),
        move |context| {
            let go = go.clone();
            async move {
                let events = context.store.events();
                events
                    .publish(&context.id, context.attempt, text("a"))
                    .await?;
                go.cancelled().await;
                events
                    .publish_all(&context.id, context.attempt, &[text("b"), text("c")])
                    .await?;
                Ok(())
            }
        },
    )
}

#[tokio::test]
async fn followers_see_everything_once_and_in_order() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let go = tokio_util::sync::CancellationToken::new();
    let id = submit(&store, "x").await;
    // Hundreds of followers, from before the start.
    let followers = future::join_all((0..300).map(|_| followed(&store, &id)));
    let reader = tokio::spawn({
        let (store, id, go) = (store.clone(), id.clone(), go.clone());
        async move {
            reaches(&store, &id, JobState::Running, SOON).await;
            go.cancel();
        }
    });
    let worker = writer(&store, go);
    let all = timeout(SOON, followers).await.unwrap();
    reader.await.unwrap();
    let expected = ["queued", "started", "text", "text", "text", "completed"];
    for events in &all {
        assert_eq!(names(events), expected);
        assert_eq!(events, &all[0]);
    }
    assert_eq!(all[0][0].attempt, 0);
    assert!(all[0][1..].iter().all(|event| event.attempt == 1));

    // Afterwards: the whole again, or from any event on.
    assert_eq!(followed(&store, &id).await, all[0]);
    for (n, event) in all[0].iter().enumerate() {
        let stream = store
            .events()
            .follow(&id, Some(event.id.clone()))
            .await
            .unwrap();
        let rest: Vec<_> = stream.map(Result::unwrap).collect().await;
        assert_eq!(rest, all[0][n + 1..]);
    }
    // The subscriptions are on one connection.
    let clients = servers
        .redis
        .command(&["CLIENT", "LIST", "TYPE", "pubsub"])
        .await;
    let redis::Value::BulkString(list) = clients else {
        panic!("{clients:?}")
    };
    assert_eq!(String::from_utf8_lossy(&list).trim().lines().count(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn event_ids_and_jobs_are_checked() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let id = submit(&store, "x").await;
    let bad = store.events().follow(&id, Some("$".into())).await;
    assert_eq!(bad.err().unwrap().code(), "bad_event_id");
    // Only the running attempt may publish.
    let stale = store.events().publish(&id, 1, text("x")).await;
    assert_eq!(stale.unwrap_err().code(), "stale_attempt");
}

#[tokio::test]
async fn an_expired_stream_still_tells_the_end() {
    let servers = Servers::start().await;
    let store = servers.store().await;
    let id = submit(&store, "x").await;
    let (worker, _) = noting(&store, 1);
    reaches(&store, &id, JobState::Succeeded, SOON).await;
    let last = followed(&store, &id).await.pop().unwrap();
    servers
        .redis
        .command(&["DEL", &format!("il:events:{id}")])
        .await;
    assert_eq!(names(&followed(&store, &id).await), ["completed"]);
    // Who has seen the end is not told again.
    let mut again = store.events().follow(&id, Some(last.id)).await.unwrap();
    assert!(timeout(SOON, again.next()).await.unwrap().is_none());
    worker.stop().await;
}

#[tokio::test]
async fn following_goes_on_over_a_restart_of_redis_and_a_retry() {
    let mut servers = Servers::start().await;
    let store = servers.store().await;
    let id = submit(&store, "x").await;
    let mut follower = store.events().follow(&id, None).await.unwrap();
    assert_eq!(
        follower.next().await.unwrap().unwrap().kind.name(),
        "queued"
    );
    tokio::time::sleep(Duration::from_millis(1100)).await; // the AOF is written every second
    servers.redis.kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    servers.redis.start_again();
    let go = tokio_util::sync::CancellationToken::new();
    go.cancel();
    let worker = writer(&store, go);
    let rest: Vec<_> = timeout(SOON, follower.map(|e| e.unwrap().kind.name()).collect())
        .await
        .unwrap();
    assert_eq!(rest, ["started", "text", "text", "text", "completed"]);
    worker.stop().await;

    let second = submit(&store, "y").await;
    store.jobs().cancel(&second).await.unwrap();
    assert_eq!(
        names(&followed(&store, &second).await),
        ["queued", "cancelled"]
    );
    store.jobs().retry(&second).await.unwrap();
    let (worker, _) = noting(&store, 1);
    let all = timeout(SOON, followed(&store, &second)).await.unwrap();
    assert_eq!(
        names(&all),
        ["queued", "cancelled", "queued", "started", "completed"]
    );
    worker.stop().await;
}
