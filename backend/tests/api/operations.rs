//! Health, metrics, capabilities, queues, and the interface's description.

use std::time::Duration;

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{App, header, json, masked};

async fn until_ready(app: &App) -> Value {
    for _ in 0..200 {
        let response = app.bare(Method::GET, "/readyz").send().await.unwrap();
        if response.status() == 200 {
            return json(response).await;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_means_stores_and_a_worker() {
    let mut app = App::start().await;
    let response = app.bare(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(response.status(), 503);
    let told = json(response).await;
    assert_json_snapshot!("readiness_without_worker", masked(&told, &["latency_ms"]));
    let worker = app.worker(|_| async { Ok(()) });
    until_ready(&app).await;
    worker.stop();
    app.servers.stop_redis().unwrap();
    let told = json(app.bare(Method::GET, "/readyz").send().await.unwrap()).await;
    assert_eq!(
        (
            &told["ready"],
            &told["redis"]["ready"],
            &told["s3"]["ready"]
        ),
        (&json!(false), &json!(false), &json!(true))
    );
    assert!(!told.to_string().contains("redis.sock"), "{told}");
    assert_eq!(
        app.bare(Method::GET, "/healthz")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn capabilities_are_the_sum_of_workers() {
    let app = App::open().await;
    let nobody = json(app.get("/api/v1/capabilities").await).await;
    assert_json_snapshot!("capabilities_without_worker", nobody);
    let worker = app.worker(|_| async { Ok(()) });
    until_ready(&app).await;
    assert_json_snapshot!(
        "capabilities",
        json(app.get("/api/v1/capabilities").await).await
    );
    assert_json_snapshot!("models", json(app.get("/api/v1/models").await).await);
    let workers = json(app.get("/api/v1/workers").await).await;
    let masked = masked(&workers, &["worker", "started_at", "seen_at"]);
    assert_json_snapshot!("workers", masked);
    let body = json!({ "prompt": "owls", "options": { "policy": "burn:demo" } });
    assert_eq!(app.post("/api/v1/generations", body).await.status(), 202);
    worker.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_waits() {
    let app = App::open().await;
    let paused = app
        .post("/api/v1/queue/generation/pause", Value::Null)
        .await;
    assert_eq!(json(paused).await["paused"], true);
    app.submit("owls").await;
    assert_json_snapshot!("queue", json(app.get("/api/v1/queue").await).await);
    let resumed = app
        .post("/api/v1/queue/generation/resume", Value::Null)
        .await;
    assert_eq!(json(resumed).await["paused"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_by_route() {
    let app = App::start().await;
    app.submit("owls").await;
    app.get("/api/v1/generations/gen_01J9ZD1N7H0000000000000000")
        .await;
    app.get("/nowhere.js").await;
    let text = app
        .bare(Method::GET, "/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for line in [
        r#"illumine_http_requests_total{method="POST",route="/api/v1/generations",status="202"} 1"#,
        r#"illumine_http_requests_total{method="GET",route="/api/v1/generations/{id}",status="404"} 1"#,
        r#"illumine_http_request_seconds_count{method="POST",route="/api/v1/generations"} 1"#,
        r#"illumine_queue_jobs{kind="generation",state="waiting"} 1"#,
        r#"illumine_up{part="redis"} 1"#,
        "illumine_workers 0",
        "illumine_event_streams 0",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_marked_and_guarded() {
    let app = App::start().await;
    for path in [
        "/healthz",
        "/api/v1/generations",
        "/api/v1/nothing",
        "/openapi.json",
    ] {
        let response = app.get(path).await;
        assert_eq!(header(&response, "x-request-id").len(), 26, "{path}");
        assert_eq!(
            header(&response, "x-content-type-options"),
            "nosniff",
            "{path}"
        );
        assert_eq!(header(&response, "x-frame-options"), "DENY", "{path}");
        assert!(
            !header(&response, "content-security-policy").is_empty(),
            "{path}"
        );
    }
    let given = app
        .bare(Method::GET, "/healthz")
        .header("x-request-id", "abc-1");
    assert_eq!(
        header(&given.send().await.unwrap(), "x-request-id"),
        "abc-1"
    );
    let odd = app
        .bare(Method::GET, "/healthz")
        .header("x-request-id", "a b\"c");
    assert_eq!(header(&odd.send().await.unwrap(), "x-request-id").len(), 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_complete_and_every_route_in_it_exists() {
    let app = App::open().await;
    let description = json(app.get("/openapi.json").await).await;
    assert_json_snapshot!("openapi", description);
    for (path, operations) in description["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = path
                .replace("{id}", "gen_01J9ZD1N7H0000000000000000")
                .replace("{index}", "0")
                .replace("{step}", "10")
                .replace("{file}", "config.json")
                .replace("{key}", "x")
                .replace("{kind}", "generation");
            let response = app.request(method.clone(), &path).send().await.unwrap();
            let is_problem = header(&response, "content-type") == "application/problem+json";
            if is_problem {
                let code = json(response).await["code"].clone();
                assert!(
                    code != "unknown_route" && code != "method_not_allowed",
                    "{method} {path}: {code}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_page_needs_nothing_from_elsewhere() {
    let app = App::start().await;
    let moved = app.bare(Method::GET, "/docs").send().await.unwrap();
    assert_eq!(header(&moved, "location"), "/docs/");
    let page = app.bare(Method::GET, "/docs/").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(header(&page, "content-security-policy").starts_with("default-src 'self'"));
    let html = page.text().await.unwrap();
    assert!(
        html.contains("swagger-ui") && !html.contains("https://"),
        "{html}"
    );
    let script = app
        .bare(Method::GET, "/docs/swagger-initializer.js")
        .send()
        .await
        .unwrap();
    assert!(script.text().await.unwrap().contains("/openapi.json"));
}
