//! What clients are told when a store is away, and that nothing is lost.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{App, header, problem};

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_one_is_asked_to_come_back() {
    let mut app = App::open().await;
    let before = app.submit("owls").await;
    app.servers.stop_redis().unwrap();
    let response = app.get(&format!("/api/v1/generations/{before}")).await;
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "retry-after"), "5");
    assert_eq!(problem(response).await.1, "unavailable");
    app.servers.restart_redis().await.unwrap();
    for _ in 0..200 {
        if app
            .get(&format!("/api/v1/generations/{before}"))
            .await
            .status()
            == 200
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the server did not recover");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_waits_for_s3_and_is_stored_once() {
    let mut app = App::open().await;
    app.servers.stop_s3();
    let request = app
        .request(Method::POST, "/api/v1/generations")
        .json(&json!({ "prompt": "owls" }));
    let waiting = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(app.queued().await, 0, "queued before it was stored");
    app.servers.restart_s3().unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 202);
    assert_eq!(app.queued().await, 1);
}
