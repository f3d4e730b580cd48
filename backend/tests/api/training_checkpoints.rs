//! Checkpoints of training runs: listing, downloading, writing by them.

use illumine_types::JobId;
use illumine_types::training::{PolicyChoice, TrainingConfig};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{App, header, json, problem};
use crate::training_runs::{get, put, submit_run};

const RUNS: &str = "/api/v1/training-runs";

/// A checkpoint as a worker leaves it: its files, then what names them.
async fn checkpoint(app: &App, run: &str, step: u64) -> Value {
    let folder = format!("checkpoints/step-{step:06}");
    put(app, run, &format!("{folder}/config.json"), "{}").await;
    put(app, run, &format!("{folder}/model.safetensors"), "weights").await;
    put(app, run, &format!("{folder}/notes.txt"), "not to be given").await;
    let files = json!([
        { "name": "config.json", "bytes": 2 },
        { "name": "model.safetensors", "bytes": 7 },
        { "name": "gone.bin", "bytes": 1 },
    ]);
    let told = json!({
        "step": step, "reward": 0.5, "best": true, "in_use": false, "files": files,
        "created_at": "2026-11-26T12:00:00Z",
    });
    put(
        app,
        run,
        &format!("{folder}/checkpoint.json"),
        told.to_string(),
    )
    .await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_checkpoints_are_listed_newest_first() {
    let app = App::open().await;
    let run = submit_run(&app, "owls").await;
    let path = format!("/{run}/checkpoints");
    let none = json!({ "items": [], "next_cursor": null });
    assert_eq!(get(&app, &path).await, none);
    let tenth = checkpoint(&app, &run, 10).await;
    let mut hundredth = checkpoint(&app, &run, 100).await;
    // It was when it was written; of two alike the first is.
    hundredth["best"] = json!(false);
    put(&app, &run, "checkpoints/step-000200/config.json", "{}").await;
    assert_eq!(
        get(&app, &path).await,
        json!({ "items": [hundredth, tenth], "next_cursor": null })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_checkpoint_are_given_and_no_others() {
    let app = App::open().await;
    let run = submit_run(&app, "owls").await;
    checkpoint(&app, &run, 10).await;
    checkpoint(&app, &run, 20).await;
    put(&app, &run, "checkpoints/step-000030/config.json", "{}").await;
    let path = format!("{RUNS}/{run}/checkpoints");
    for (file, mime, body) in [
        (
            "10/model.safetensors",
            "application/octet-stream",
            "weights",
        ),
        ("10/config.json", "application/json", "{}"),
    ] {
        let response = app.get(&format!("{path}/{file}")).await;
        assert_eq!(response.status(), 200, "{file}");
        assert_eq!(header(&response, "content-type"), mime);
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "content-length"), body.len().to_string());
        let name = file.split('/').next_back().unwrap();
        assert_eq!(
            header(&response, "content-disposition"),
            format!("attachment; filename=\"{name}\"")
        );
        assert_eq!(response.text().await.unwrap(), body);
    }
    for file in [
        "10/checkpoint.json",
        "10/notes.txt",
        "10/gone.bin",
        "10/..%2Fstep-000020%2Fconfig.json",
        "10/..%2F..%2Fsummary.json",
        "10/.%2Fconfig.json",
        "10/config.json%00",
        "30/config.json",
        "40/config.json",
    ] {
        let told = problem(app.get(&format!("{path}/{file}")).await).await;
        assert_eq!((told.0, told.1.as_str()), (404, "not_found"), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_used_until_another_is_or_none() {
    let app = App::open().await;
    let run = submit_run(&app, "owls").await;
    let other = submit_run(&app, "bats").await;
    for run in [&run, &other] {
        checkpoint(&app, run, 10).await;
        checkpoint(&app, run, 20).await;
        put(&app, run, "checkpoints/step-000030/config.json", "{}").await;
    }
    let chosen = async || json(app.get("/api/v1/policy").await).await["choice"].clone();
    let choose = async |step: u64| {
        let path = format!("{RUNS}/{run}/checkpoints/{step}/use");
        app.post(&path, Value::Null).await
    };
    let used = async |run: &str| {
        let page = get(&app, &format!("/{run}/checkpoints")).await;
        let items = page["items"].as_array().unwrap().clone();
        let used = items.into_iter().filter(|item| item["in_use"] == true);
        used.map(|item| item["step"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(chosen().await, Value::Null);
    assert_eq!(problem(choose(30).await).await.1, "not_found");
    assert_eq!(chosen().await, Value::Null);
    for step in [10, 20] {
        let answer = choose(step).await;
        assert_eq!(answer.status(), 200);
        let choice = json!({ "run": run, "step": step });
        assert_eq!(json(answer).await, choice);
        assert_eq!(chosen().await, choice);
        assert_eq!(used(&run).await, [step]);
        assert!(used(&other).await.is_empty());
    }
    let stored = app.store().training().choice().await.unwrap().unwrap();
    assert_eq!((stored.run.as_str(), stored.step), (run.as_str(), 20));

    // A run that writes is not removed; another is.
    let remove = async |run: &str| {
        let request = app.request(Method::DELETE, &format!("{RUNS}/{run}"));
        request.send().await.unwrap()
    };
    assert_eq!(problem(remove(&run).await).await.1, "wrong_state");
    assert_eq!(used(&run).await, [20]);
    assert_eq!(remove(&other).await.status(), 204);
    for _ in 0..2 {
        let cleared = app.request(Method::DELETE, "/api/v1/policy");
        assert_eq!(cleared.send().await.unwrap().status(), 204);
        assert_eq!(chosen().await, Value::Null);
    }
    assert!(used(&run).await.is_empty());
    assert_eq!(remove(&run).await.status(), 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_and_runs_may_name_a_checkpoint() {
    let app = App::open().await;
    let run = submit_run(&app, "owls").await;
    checkpoint(&app, &run, 20).await;
    put(&app, &run, "checkpoints/step-000030/config.json", "{}").await;
    let name = |step| {
        let run = JobId::parse(&run).unwrap();
        PolicyChoice { run, step }.name()
    };
    let document = async |policy: String| {
        let body = json!({ "prompt": "owls", "options": { "policy": policy } });
        app.post("/api/v1/generations", body).await
    };
    assert_eq!(document(name(20)).await.status(), 202);
    let told = problem(document(name(30)).await).await;
    let field = Some("options.policy".to_owned());
    assert_eq!(told, (422, "invalid_value".into(), field));

    let next = async |model: String| {
        let body = json!({ "name": "next", "model": model });
        app.post(RUNS, body).await
    };
    let accepted = json(next(format!(" {} ", name(20))).await).await;
    let id = JobId::parse(accepted["id"].as_str().unwrap()).unwrap();
    let stored = app.store().jobs().request(&id).await.unwrap();
    let stored: TrainingConfig = serde_json::from_value(stored).unwrap();
    assert_eq!(stored.model, name(20));
    let told = problem(next(name(30)).await).await;
    assert_eq!(told, (422, "invalid_value".into(), Some("model".into())));
    // A folder that only looks a little like it is a worker's matter.
    assert_eq!(next("run_models/mine".into()).await.status(), 202);
}
