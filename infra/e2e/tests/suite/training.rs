//! Training runs: from a request to a policy that writes documents, through a killed
//! worker.

use std::time::{Duration, Instant};

use illumine_e2e::System;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(170);
/// Depend on the clock or the process.
const UNSTEADY: [&str; 4] = ["tokens_per_s", "rollout_s", "update_s", "memory_bytes"];

/// A short run of the demo policy; the same seed, the same run.
fn short_run(name: &str) -> Value {
    json!({
        "name": name,
        "settings": {
            "steps": 4, "prompts_per_step": 2, "samples": 3, "max_answer_tokens": 150,
            "learning_rate": 1e-4, "warmup_steps": 1, "checkpoint_every": 1, "samples_every": 2,
            "validate_every": 2, "validation_prompts": 2, "most_excluded": 1.0,
        },
        "reward": {"count": 0.5, "tools": 0.2, "format": 0.3},
    })
}

async fn start(system: &System, body: &Value) -> String {
    let (status, answer) = system.post("/api/v1/training-runs", body).await.unwrap();
    assert_eq!(status, 202, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

async fn run(system: &System, id: &str) -> Value {
    let path = format!("/api/v1/training-runs/{id}");
    system.get(&path).await.unwrap()
}

/// Waits until `reached` holds of the run.
async fn wait(system: &System, id: &str, reached: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let now = run(system, id).await;
        if reached(&now) {
            return now;
        }
        assert!(begun.elapsed() < LIMIT, "{now}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn points(system: &System, id: &str) -> Vec<Value> {
    let path = format!("/api/v1/training-runs/{id}/metrics");
    let answer = system.get(&path).await.unwrap();
    let mut points = answer["points"].as_array().unwrap().clone();
    for point in &mut points {
        for name in UNSTEADY {
            point.as_object_mut().unwrap().remove(name);
        }
    }
    points
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_run_ends_as_if_nothing_had_happened() {
    let system = System::start(&[]).await.unwrap();
    let mut first = system.worker("first").await.unwrap();
    let whole = start(&system, &short_run("whole")).await;
    let ended = wait(&system, &whole, |run| run["job"]["status"] == "succeeded").await;
    assert_eq!(ended["summary"]["step"], 4, "{ended}");

    let broken = start(&system, &short_run("broken")).await;
    wait(&system, &broken, |run| {
        run["summary"]["step"].as_u64() >= Some(2)
    })
    .await;
    first.kill().unwrap();
    let _second = system.worker("second").await.unwrap();
    let ended = wait(&system, &broken, |run| run["job"]["status"] == "succeeded").await;
    assert!(ended["job"]["attempt"].as_u64() >= Some(2), "{ended}");

    let (expected, found) = (
        points(&system, &whole).await,
        points(&system, &broken).await,
    );
    assert_eq!(expected.len(), 5, "{expected:?}");
    assert_eq!(found, expected);
    assert!(expected[0]["validation_reward"].is_number(), "{expected:?}");
    assert!(expected[2]["validation_reward"].is_number(), "{expected:?}");

    assert_eq!(
        steps_kept(&system, &broken).await,
        steps_kept(&system, &whole).await
    );

    // What was judged can be looked at.
    let path = format!("/api/v1/training-runs/{broken}/samples?step=4");
    let samples = system.get(&path).await.unwrap();
    assert_eq!(samples["items"].as_array().unwrap().len(), 6, "{samples}");
    assert_eq!(samples["steps"], json!([2, 4]));
    for item in samples["items"].as_array().unwrap() {
        assert!(item["document"]["blocks"].is_array(), "{item}");
        assert!(item["score"]["verdict"]["status"].is_string(), "{item}");
    }

    // Its checkpoint writes documents when it is chosen, and no longer when it is not.
    let path = format!("/api/v1/training-runs/{broken}/checkpoints/4/use");
    let (status, choice) = system.post(&path, &json!({})).await.unwrap();
    assert_eq!(status, 200, "{choice}");
    let document = written(&system).await;
    assert_eq!(
        document["policy"],
        format!("{broken}/step-000004"),
        "{document}"
    );
    system.delete("/api/v1/policy").await.unwrap();
    assert_eq!(written(&system).await["policy"], "burn:demo");
}

/// Steps of the checkpoints that are kept, newest first.
async fn steps_kept(system: &System, id: &str) -> Vec<u64> {
    let path = format!("/api/v1/training-runs/{id}/checkpoints");
    let kept = system.get(&path).await.unwrap();
    let items = kept["items"].as_array().unwrap().iter();
    items.map(|item| item["step"].as_u64().unwrap()).collect()
}

/// A document by the policy of the installation.
async fn written(system: &System) -> Value {
    let body = json!({"prompt": "Write about boats", "options": {"max_tokens": 60}});
    let (status, answer) = system.post("/api/v1/generations", &body).await.unwrap();
    assert_eq!(status, 202, "{answer}");
    let id = answer["id"].as_str().unwrap();
    let job = system.wait(id, &["succeeded", "failed"], LIMIT).await;
    assert_eq!(job.unwrap()["status"], "succeeded");
    let path = format!("/api/v1/documents/{id}");
    system.get(&path).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stops_after_its_step_and_goes_on_when_asked() {
    let system = System::start(&[]).await.unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let mut body = short_run("stopped");
    body["settings"]["steps"] = json!(500);
    body["settings"]["checkpoint_every"] = json!(100);
    let id = start(&system, &body).await;
    wait(&system, &id, |run| {
        run["summary"]["step"].as_u64() >= Some(1)
    })
    .await;
    let path = format!("/api/v1/training-runs/{id}/stop");
    system.post(&path, &json!({})).await.unwrap();
    let stopped = wait(&system, &id, |run| run["job"]["status"] == "cancelled").await;
    let step = stopped["summary"]["step"].as_u64().unwrap();
    let path = format!("/api/v1/training-runs/{id}/checkpoints");
    let kept = system.get(&path).await.unwrap();
    assert_eq!(kept["items"][0]["step"].as_u64(), Some(step), "{kept}");

    let path = format!("/api/v1/training-runs/{id}/resume");
    let (status, answer) = system.post(&path, &json!({})).await.unwrap();
    assert_eq!(status, 202, "{answer}");
    wait(&system, &id, |run| {
        run["summary"]["step"].as_u64() > Some(step)
    })
    .await;
    let path = format!("/api/v1/training-runs/{id}/stop");
    system.post(&path, &json!({})).await.unwrap();
    wait(&system, &id, |run| run["job"]["status"] == "cancelled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_start_says_which_field_is_to_blame() {
    let system = System::start(&[]).await.unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let cases = [
        ("model", json!("/nowhere/model"), "/nowhere/model"),
        (
            "dataset",
            json!(["/nowhere/rows.jsonl"]),
            "/nowhere/rows.jsonl",
        ),
    ];
    for (field, value, words) in cases {
        let mut body = short_run(field);
        body[field] = value;
        let id = start(&system, &body).await;
        let failed = wait(&system, &id, |run| run["job"]["status"] == "failed").await;
        let error = &failed["job"]["error"];
        assert_eq!(error["field"], field, "{failed}");
        assert!(error["detail"].as_str().unwrap().contains(words), "{error}");
    }
}
