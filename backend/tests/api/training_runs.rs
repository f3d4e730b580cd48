//! Training runs: asking, listing, watching, steering. The tests write what a
//! worker would.

use illumine_store::queue::{JobContext, JobFailure};
use illumine_types::training::{
    DEMO_MODEL, Engine, RunSummary, TrainingConfig, run_key, tensorboard,
};
use illumine_types::{EventKind, JobId, JobKind};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::events::Reader;
use crate::harness::{App, header, json, problem};
use crate::sign_in::member;

const RUNS: &str = "/api/v1/training-runs";

/// Asks for a run of that name.
pub async fn ask(app: &App, name: &str, key: Option<&str>) -> Response {
    let mut request = app.request(Method::POST, RUNS);
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    let body = json!({ "name": name });
    request.json(&body).send().await.unwrap()
}

/// Asks for a run and answers its id.
pub async fn submit_run(app: &App, name: &str) -> String {
    let response = ask(app, name, None).await;
    assert_eq!(response.status(), 202);
    json(response).await["id"].as_str().unwrap().to_owned()
}

/// Writes a file of a run, as its worker does.
pub async fn put(app: &App, run: &str, file: &str, text: impl AsRef<[u8]>) {
    let key = run_key(&JobId::parse(run).unwrap(), file);
    let blobs = app.store().blobs();
    blobs.put(&key, text, "text/plain").await.unwrap();
}

/// A GET that succeeds, as JSON.
pub async fn get(app: &App, path: &str) -> Value {
    let response = app.get(&format!("{RUNS}{path}")).await;
    assert_eq!(response.status(), 200, "{path}");
    json(response).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_run_is_queued_whole() {
    let app = App::start().await;
    let body = json!({
        "name": " Owls first ", "algorithm": "gspo",
        "settings": { "steps": 3, "dual_clip": null }, "reward": { "llm": 0.1 },
    });
    let response = app.post(RUNS, body).await;
    assert_eq!(response.status(), 202);
    assert_eq!(header(&response, "idempotency-replayed"), "false");
    let location = header(&response, "location").to_owned();
    let accepted = json(response).await;
    let id = accepted["id"].as_str().unwrap();
    assert_eq!(location, format!("{RUNS}/{id}"));
    let links = json!({
        "self": location, "events": format!("{location}/events"),
        "metrics": format!("{location}/metrics"), "stop": format!("{location}/stop"),
    });
    assert_eq!(
        accepted,
        json!({ "id": id, "status": "queued", "links": links })
    );

    let run = JobId::parse(id).unwrap();
    let stored = app.store().jobs().request(&run).await.unwrap();
    let stored: TrainingConfig = serde_json::from_value(stored).unwrap();
    assert_eq!(stored.name, "Owls first");
    assert_eq!(
        (stored.engine, stored.model.as_str()),
        (Engine::Burn, DEMO_MODEL)
    );
    assert_eq!(
        (stored.settings.steps, stored.settings.dual_clip),
        (3, None)
    );
    assert_eq!((stored.reward.llm, stored.reward.tools), (0.1, 0.3));

    let run = json(app.get(&location).await).await;
    assert_eq!(run["config"], serde_json::to_value(&stored).unwrap());
    assert_eq!(run["job"]["title"], "Owls first");
    assert_eq!(run["job"]["kind"], "training_run");
    assert!(run["job"]["owner"].is_string());
    assert_eq!(run["summary"], json!(RunSummary::default()));
    assert_eq!(app.queued().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_to_ray_where_a_cluster_is_configured() {
    let body = json!({ "name": "far", "preset": "qwen3-4b-grpo" });
    let app = App::open().await;
    let refused = json(app.post(RUNS, body.clone()).await).await;
    assert_eq!(refused["field"], "engine");
    assert!(
        refused["detail"].as_str().unwrap().contains("RAY_ADDRESS"),
        "{refused}"
    );

    let app = App::with(|config| {
        config.auth = false;
        config.ray_address = Some("https://ray.example:8265".into());
    })
    .await;
    let refused = json(app.post(RUNS, body.clone()).await).await;
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("ILLUMINE_PUBLIC_URL"), "{refused}");

    let app = App::with(|config| {
        config.auth = false;
        config.ray_address = Some("https://ray.example:8265".into());
        config.public_url = Some("https://docs.example".into());
    })
    .await;
    // What verl cannot follow is told before anything is queued.
    for (name, value, field) in [
        ("preset", json!("demo"), "model"),
        ("settings", json!({ "patience": 3 }), "settings.patience"),
        (
            "settings",
            json!({ "minibatches": 7 }),
            "settings.minibatches",
        ),
    ] {
        let mut body = body.clone();
        body["engine"] = json!("ray");
        body[name] = value;
        let told = problem(app.post(RUNS, body).await).await;
        let expected = (422, "invalid_value".to_owned(), Some(field.to_owned()));
        assert_eq!(told, expected);
    }
    assert_eq!(app.queued().await, 0);
    assert_eq!(app.post(RUNS, body).await.status(), 202);
    assert_eq!(app.queued().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_twice_with_one_key_makes_one_run() {
    let app = App::open().await;
    let first = json(ask(&app, "owls", Some("k-1")).await).await;
    let again = ask(&app, "owls", Some("k-1")).await;
    assert_eq!(again.status(), 202);
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    assert_eq!(json(again).await["id"], first["id"]);
    let other = problem(ask(&app, "bats", Some("k-1")).await).await;
    assert_eq!((other.0, other.1.as_str()), (409, "idempotency_conflict"));
    assert_eq!(app.queued().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_have_no_part_in_training() {
    let app = App::start().await;
    let run = submit_run(&app, "owls").await;
    let key = member(&app, "ann").await;
    for (method, path) in [
        (Method::GET, "training-runs"),
        (Method::POST, "training-runs"),
        (Method::GET, "training-runs/{run}"),
        (Method::DELETE, "training-runs/{run}"),
        (Method::GET, "training-runs/{run}/metrics"),
        (Method::GET, "training-runs/{run}/tensorboard"),
        (Method::GET, "training-runs/{run}/samples"),
        (Method::GET, "training-runs/{run}/events"),
        (Method::GET, "training-runs/{run}/checkpoints"),
        (Method::GET, "training-runs/{run}/checkpoints/10/a.json"),
        (Method::POST, "training-runs/{run}/checkpoints/10/use"),
        (Method::POST, "training-runs/{run}/stop"),
        (Method::POST, "training-runs/{run}/resume"),
        (Method::GET, "policy"),
        (Method::DELETE, "policy"),
    ] {
        let path = format!("/api/v1/{}", path.replace("{run}", &run));
        let request = app.bare(method.clone(), &path);
        let stranger = request.send().await.unwrap();
        assert_eq!(stranger.status(), 401, "{method} {path}");
        let request = app.bare(method.clone(), &path).bearer_auth(&key);
        let body = json!({ "name": "mine" });
        let told = problem(request.json(&body).send().await.unwrap()).await;
        assert_eq!(told, (403, "forbidden".into(), None), "{method} {path}");
    }
    assert_eq!(app.queued().await, 1);
    assert_eq!(
        get(&app, &format!("/{run}")).await["job"]["status"],
        "queued"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_tell_how_far_each_run_is() {
    let app = App::open().await;
    app.submit("no run").await;
    let mut runs = Vec::new();
    for name in ["a", "b", "c", "d"] {
        runs.push(submit_run(&app, name).await);
    }
    let summary = json!({
        "step": 7, "reward": 0.25, "best_reward": 0.5, "best_step": 4,
        "curve": [0.1, 0.5], "alarm": "a judge is away",
    });
    put(&app, &runs[1], "summary.json", summary.to_string()).await;
    put(&app, &runs[2], "summary.json", "{").await;
    // As another version might have asked.
    let request = format!("jobs/{}/request.json", runs[3]);
    let blobs = app.store().blobs();
    let text = blobs.get(&request).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let text = text.replace("\"burn\"", "\"later\"");
    blobs.put(&request, text, "application/json").await.unwrap();

    let mut seen = Vec::new();
    let mut path = "?limit=1".to_owned();
    loop {
        let page = get(&app, &path).await;
        seen.extend(page["items"].as_array().unwrap().clone());
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("?limit=1&cursor={cursor}");
    }
    // Ids sort by time.
    let mut newest: Vec<&str> = runs[..3].iter().map(String::as_str).collect();
    newest.sort_unstable_by(|a, b| b.cmp(a));
    let ids: Vec<&str> = seen
        .iter()
        .map(|run| run["job"]["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, newest);
    let (told, silent): (Vec<_>, Vec<_>) = seen
        .into_iter()
        .partition(|run| run["config"]["name"] == "b");
    assert_eq!(told[0]["summary"], summary);
    for run in silent {
        assert_eq!(run["summary"], json!(RunSummary::default()));
    }
    assert_eq!(get(&app, &format!("/{}", runs[1])).await, told[0]);
    let unreadable = app.get(&format!("{RUNS}/{}", runs[3])).await;
    assert_eq!(problem(unreadable).await.1, "internal");

    app.post(&format!("{RUNS}/{}/stop", runs[0]), Value::Null)
        .await;
    let stopped = get(&app, "?status=cancelled").await;
    assert_eq!(stopped["items"].as_array().unwrap().len(), 1);
    assert_eq!(stopped["items"][0]["job"]["id"], runs[0].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn scalars_are_given_to_tensorboard() {
    let app = App::open().await;
    let run = submit_run(&app, "owls").await;
    let lines = "{\"step\":1,\"reward\":0.5}\n";
    put(&app, &run, "metrics.jsonl", lines).await;
    let response = app.get(&format!("{RUNS}/{run}/tensorboard")).await;
    assert_eq!(response.status(), 200);
    let disposition = header(&response, "content-disposition").to_owned();
    assert!(
        disposition.contains("events.out.tfevents."),
        "{disposition}"
    );
    let job = app
        .store()
        .jobs()
        .job(&JobId::parse(&run).unwrap())
        .await
        .unwrap();
    let begun = job.created_at.timestamp_millis() as f64 / 1000.0;
    assert_eq!(
        response.bytes().await.unwrap(),
        tensorboard::file(lines, begun)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_cut_to_what_is_asked_for() {
    let app = App::open().await;
    let run = submit_run(&app, "owls").await;
    let path = format!("/{run}/metrics");
    assert_eq!(get(&app, &path).await, json!({ "points": [] }));
    // It was resumed after step 2, and is writing step 6.
    let lines = [
        r#"{"step":1,"reward":0.1,"loss":1.0}"#,
        r#"{"step":2,"reward":0.2,"loss":2.0,"validation_reward":0.9}"#,
        r#"{"step":3,"reward":-1.0,"loss":-1.0}"#,
        "",
        r#"{"step":3,"reward":0.3,"loss":3.0}"#,
        r#"{"step":4,"reward":0.4,"loss":null}"#,
        r#"{"reward":0.4}"#,
        r#"{"step":5,"reward":0.5,"loss":5.0}"#,
        r#"{"step":6,"rew"#,
    ];
    put(&app, &run, "metrics.jsonl", lines.join("\n")).await;
    let ask = async |query: &str| get(&app, &format!("{path}?{query}")).await["points"].clone();
    let all = ask("").await;
    assert_eq!(all.as_array().unwrap().len(), 5);
    assert_eq!(
        all[1],
        json!({"step": 2, "reward": 0.2, "loss": 2.0, "validation_reward": 0.9})
    );
    assert_eq!(all[2], json!({"step": 3, "reward": 0.3, "loss": 3.0}));
    assert_eq!(
        ask("keys=reward&from=4").await,
        json!([{"step": 4, "reward": 0.4}, {"step": 5, "reward": 0.5}])
    );
    assert_eq!(
        ask("keys=loss,reward&from=2&max_points=2").await,
        json!([{"step": 2, "reward": 0.2, "loss": 2.0}, {"step": 5, "reward": 0.5, "loss": 5.0}])
    );
    assert_eq!(
        ask("keys=validation_reward").await,
        json!([{"step": 2, "validation_reward": 0.9}])
    );
    assert_eq!(ask("keys=beauty").await, json!([]));
    let thin = ask("keys=step&max_points=3").await;
    assert_eq!(thin, json!([{"step": 1}, {"step": 3}, {"step": 5}]));
    assert_eq!(
        ask("keys=reward&max_points=1").await,
        json!([{"step": 5, "reward": 0.5}])
    );
    let many: Vec<String> = (1..=1500).map(|n| format!("{{\"step\":{n}}}")).collect();
    put(&app, &run, "metrics.jsonl", many.join("\n")).await;
    let usual = ask("").await;
    let usual = usual.as_array().unwrap();
    assert_eq!(
        (usual.len(), &usual[0]["step"], &usual[999]["step"]),
        (1000, &json!(1), &json!(1500))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_are_those_of_a_step() {
    let app = App::open().await;
    let run = submit_run(&app, "owls").await;
    let path = format!("/{run}/samples");
    let none = json!({ "step": null, "steps": [], "items": [] });
    assert_eq!(get(&app, &path).await, none);
    let sample = |prompt: &str| {
        json!({
            "prompt": prompt, "sample": 0, "document": null, "failure": "cut off",
            "score": { "verdict": { "status": "excluded", "code": "timeout" } },
        })
    };
    let lines = |prompts: &[&str]| {
        let lines = prompts.iter().map(|prompt| sample(prompt).to_string());
        lines.collect::<Vec<_>>().join("\n")
    };
    put(
        &app,
        &run,
        "samples/step-000010.jsonl",
        lines(&["owls", "bats"]),
    )
    .await;
    put(&app, &run, "samples/step-000020.jsonl", lines(&["cats"])).await;
    assert_eq!(
        get(&app, &path).await,
        json!({ "step": 20, "steps": [10, 20], "items": [sample("cats")] })
    );
    assert_eq!(
        get(&app, &format!("{path}?step=10")).await,
        json!({ "step": 10, "steps": [10, 20], "items": [sample("owls"), sample("bats")] })
    );
    let missing = app.get(&format!("{RUNS}{path}?step=15")).await;
    assert_eq!(missing.status(), 404);
    let told = json(missing).await;
    assert_eq!(told["code"], "not_found");
    assert!(told["detail"].as_str().unwrap().contains("step `15`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_stopped_resumed_and_removed() {
    let app = App::open().await;
    let run = submit_run(&app, "owls").await;
    let this = format!("{RUNS}/{run}");
    let post = async |what: &str| app.post(&format!("{this}/{what}"), Value::Null).await;
    assert_eq!(problem(post("resume").await).await.1, "wrong_state");
    let stopped = post("stop").await;
    assert_eq!(stopped.status(), 200);
    assert_eq!(json(stopped).await["status"], "cancelled");
    let resumed = post("resume").await;
    assert_eq!(resumed.status(), 202);
    let resumed = json(resumed).await;
    assert_eq!(
        (
            &resumed["id"],
            &resumed["status"],
            &resumed["links"]["self"]
        ),
        (&json!(run), &json!("queued"), &json!(this))
    );

    put(&app, &run, "metrics.jsonl", "{}").await;
    put(&app, &run, "checkpoints/step-000010/a", "x").await;
    let other = submit_run(&app, "bats").await;
    put(&app, &other, "metrics.jsonl", "{}").await;
    let removed = app.request(Method::DELETE, &this).send().await.unwrap();
    assert_eq!(removed.status(), 204);
    assert_eq!(app.get(&this).await.status(), 404);
    let left = app.store().blobs().list_all("runs/").await.unwrap();
    let left: Vec<String> = left.into_iter().map(|blob| blob.key).collect();
    assert_eq!(left, [format!("runs/{other}/metrics.jsonl")]);
}

async fn train_a_step(context: JobContext) -> Result<(), JobFailure> {
    let values = json!({ "step": 1, "reward": 0.5 });
    let values = values.as_object().unwrap().clone();
    let event = EventKind::Metrics { values };
    let events = context.store.events();
    events.publish(&context.id, context.attempt, event).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_to_its_end() {
    let app = App::open().await;
    let run = submit_run(&app, "owls").await;
    let path = format!("{RUNS}/{run}/events");
    let mut reader = Reader::at(&app, &path, None).await;
    assert_eq!(reader.next().await.unwrap().name, "queued");
    let worker = app.worker_for(&[JobKind::TrainingRun], train_a_step);
    let frames = reader.rest().await;
    let names: Vec<&str> = frames.iter().map(|frame| frame.name.as_str()).collect();
    assert_eq!(names, ["started", "metrics", "completed"]);
    assert_eq!(frames[1].data["values"]["reward"], 0.5);
    worker.stop();

    let rest = Reader::at(&app, &path, Some(&frames[1].id)).await;
    assert_eq!(rest.rest().await.len(), 1);
    let after = format!("{path}?last_event_id={}", frames[2].id);
    assert_eq!(app.get(&after).await.status(), 204);
    assert_eq!(
        get(&app, &format!("/{run}")).await["job"]["status"],
        "succeeded"
    );
    let ended = app.post(&format!("{RUNS}/{run}/stop"), Value::Null).await;
    assert_eq!(problem(ended).await, (409, "wrong_state".into(), None));
}
