//! Training runs: every field, path and query, wrong.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{App, problem};
use crate::training_runs::{ask, submit_run};

const RUNS: &str = "/api/v1/training-runs";

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({ "name": "x" });
    body[name] = value;
    body
}

/// Body, code, field.
fn rows() -> Vec<(Value, &'static str, &'static str)> {
    let missing = "run_01J9ZD1N7H0000000000000000/step-000010";
    let value = "invalid_value";
    vec![
        (json!({}), "missing_field", "name"),
        (json!([]), value, "body"),
        (json!({ "name": "  " }), value, "name"),
        (json!({ "name": "x".repeat(201) }), value, "name"),
        (json!({ "name": 5 }), value, "name"),
        (with("preset", json!("qwen9")), value, "preset"),
        (with("preset", json!(5)), value, "preset"),
        (with("preset", json!("qwen3-4b-grpo")), value, "engine"),
        (with("engine", json!("ray")), value, "engine"),
        (with("engine", json!("spark")), value, "engine"),
        (with("algorithm", json!("ppo")), value, "algorithm"),
        (with("model", json!(" ")), value, "model"),
        (with("model", json!(missing)), value, "model"),
        (with("model", json!("run_1/step-000010")), value, "model"),
        (with("dataset", json!([])), value, "dataset"),
        (with("dataset", json!(["demo", " "])), value, "dataset"),
        (with("dataset", json!("demo")), value, "dataset"),
        (
            with("dataset", json!(["demo", "dat_01J9ZD1N7H0000000000000000"])),
            value,
            "dataset",
        ),
        (with("steps", json!(5)), "unknown_field", "steps"),
        (with("settings", json!([])), value, "settings"),
        (with("settings", json!(null)), value, "settings"),
        (
            with("settings", json!({ "step": 5 })),
            value,
            "settings.step",
        ),
        (
            with("settings", json!({ "samples": 1 })),
            value,
            "settings.samples",
        ),
        (
            with("settings", json!({ "samples": "many" })),
            value,
            "settings.samples",
        ),
        (
            with("settings", json!({ "learning_rate": 1 })),
            value,
            "settings.learning_rate",
        ),
        (
            with("settings", json!({ "aggregation": "median" })),
            value,
            "settings.aggregation",
        ),
        (with("reward", json!({ "llm": -1 })), value, "reward.llm"),
        (
            with("reward", json!({ "beauty": 1 })),
            value,
            "reward.beauty",
        ),
        (
            with("reward", json!({ "count": 0, "tools": 0, "format": 0 })),
            value,
            "reward",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_of_a_run_names_its_field_and_queues_nothing() {
    let app = App::open().await;
    for (body, code, field) in rows() {
        let shown = body.to_string();
        let told = problem(app.post(RUNS, body).await).await;
        assert_eq!(told, (422, code.into(), Some(field.into())), "{shown}");
    }
    let long = "x".repeat(50_000);
    let long = app.post(RUNS, with("settings", json!({ long: 1 }))).await;
    assert!(long.text().await.unwrap().len() < 2_000);
    let huge = app.post(RUNS, json!({ "name": "x".repeat(300_000) })).await;
    assert_eq!(problem(huge).await.0, 413);
    let form = app.request(Method::POST, RUNS).body("name=x");
    assert_eq!(problem(form.send().await.unwrap()).await.0, 415);
    let broken = app
        .request(Method::POST, RUNS)
        .header("content-type", "application/json")
        .body("{");
    let told = problem(broken.send().await.unwrap()).await;
    assert_eq!((told.0, told.1.as_str()), (400, "invalid_json"));
    let key = ask(&app, "x", Some("two words")).await;
    assert_eq!(problem(key).await.1, "invalid_header");
    assert_eq!(app.queued().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_runs() {
    let app = App::open().await;
    let run = submit_run(&app, "x").await;
    let unknown = "run_01J9ZD1N7H0000000000000000";
    let document = app.submit("owls").await;
    // Below a run, by method.
    for (method, below) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::GET, "/metrics"),
        (Method::GET, "/samples"),
        (Method::GET, "/events"),
        (Method::GET, "/checkpoints"),
        (Method::GET, "/checkpoints/10/config.json"),
        (Method::POST, "/checkpoints/10/use"),
        (Method::POST, "/stop"),
        (Method::POST, "/resume"),
    ] {
        for (id, status, code, field) in [
            (unknown, 404, "not_found", None),
            ("42", 400, "invalid_id", Some("id")),
            ("run_..%2F..%2Fetc", 400, "invalid_id", Some("id")),
            (document.as_str(), 400, "invalid_id", Some("id")),
        ] {
            let path = format!("{RUNS}/{id}{below}");
            let response = app.request(method.clone(), &path).send().await.unwrap();
            let told = problem(response).await;
            let expected = (status, code.to_owned(), field.map(str::to_owned));
            assert_eq!(told, expected, "{method} {path}");
        }
    }
    for (path, status, code, field) in [
        ("?limit=0", 400, "invalid_query", Some("limit")),
        ("?status=done", 400, "invalid_query", Some("status")),
        ("?cursor=expired", 400, "invalid_cursor", Some("cursor")),
        ("?kind=generation", 400, "invalid_query", Some("kind")),
        ("/{run}/metrics?from=x", 400, "invalid_query", Some("from")),
        (
            "/{run}/metrics?max_points=0",
            400,
            "invalid_query",
            Some("max_points"),
        ),
        (
            "/{run}/metrics?max_points=5001",
            400,
            "invalid_query",
            Some("max_points"),
        ),
        ("/{run}/samples?step=-1", 400, "invalid_query", Some("step")),
        ("/{run}/samples?step=7", 404, "not_found", None),
        (
            "/{run}/events?last_event_id=x",
            400,
            "invalid_event_id",
            Some("last_event_id"),
        ),
        ("/{run}/checkpoints/x/a", 400, "invalid_id", Some("step")),
        ("/{run}/checkpoints/+1/a", 400, "invalid_id", Some("step")),
        ("/{run}/checkpoints/10/a", 404, "not_found", None),
        ("/{run}/checkpoints/10/use", 405, "method_not_allowed", None),
    ] {
        let path = format!("{RUNS}{}", path.replace("{run}", &run));
        let told = problem(app.get(&path).await).await;
        let expected = (status, code.to_owned(), field.map(str::to_owned));
        assert_eq!(told, expected, "{path}");
    }
    // A run is no document.
    for path in ["generations/{run}", "documents/{run}"] {
        let path = format!("/api/v1/{}", path.replace("{run}", &run));
        assert_eq!(problem(app.get(&path).await).await.1, "invalid_id");
    }
}
