//! Runs on a real Ray head: to the end, stopped, failing, taken over, out of reach. The
//! head's job is the recipe's own start with a stand-in for verl.

use std::time::{Duration, Instant};

use illumine_e2e::{RayHead, Rewards, System};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(150);
const RUNS: &str = "/api/v1/training-runs";

fn body(name: &str, model: &str, steps: u64) -> Value {
    json!({
        "name": name, "preset": "qwen3-4b-grpo", "model": model,
        "settings": {"steps": steps, "learning_rate": 2e-6, "time_limit_s": 20},
    })
}

async fn start(system: &System, body: &Value) -> String {
    let (status, answer) = system.post(RUNS, body).await.unwrap();
    assert_eq!(status, 202, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

/// Waits until `reached` holds of the run.
async fn wait(system: &System, id: &str, reached: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let now = system.get(&format!("{RUNS}/{id}")).await.unwrap();
        if reached(&now) {
            return now;
        }
        if begun.elapsed() > LIMIT || (now["job"]["status"] == "failed" && !reached(&now)) {
            panic!("{now}\n{}", words(system, id).await.join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn is(status: &'static str) -> impl Fn(&Value) -> bool {
    move |run| run["job"]["status"] == status
}

fn after(step: u64) -> impl Fn(&Value) -> bool {
    move |run| run["summary"]["step"].as_u64() >= Some(step)
}

async fn post(system: &System, id: &str, what: &str) {
    let path = format!("{RUNS}/{id}/{what}");
    let (status, answer) = system.post(&path, &json!({})).await.unwrap();
    assert!(status.is_success(), "{what}: {answer}");
}

async fn points(system: &System, id: &str) -> Vec<Value> {
    let answer = system.get(&format!("{RUNS}/{id}/metrics")).await.unwrap();
    answer["points"].as_array().unwrap().clone()
}

/// What the run's log says.
async fn words(system: &System, id: &str) -> Vec<String> {
    let client = reqwest::Client::new();
    let asked = client
        .get(system.url(&format!("{RUNS}/{id}/events")))
        .bearer_auth(&system.key)
        .timeout(Duration::from_secs(3));
    let mut text = Vec::new();
    let mut answer = asked.send().await.unwrap();
    // The stream of a run that goes on ends with the time limit.
    while let Ok(Some(piece)) = answer.chunk().await {
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8(text).unwrap();
    let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let events = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let logs = events.filter_map(|event| Some(event["message"].as_str()?.to_owned()));
    logs.collect()
}

async fn keys(system: &System) -> Vec<Value> {
    let answer = system.get("/api/v1/keys").await.unwrap();
    let list = answer.get("items").unwrap_or(&answer);
    list.as_array().unwrap().clone()
}

async fn system_for(address: &str, rewards: &Rewards) -> System {
    System::start(&[
        ("RAY_ADDRESS", address),
        ("ILLUMINE_PUBLIC_URL", &rewards.address),
    ])
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_on_a_ray_head() {
    let mut head = RayHead::start().await.unwrap();
    let rewards = Rewards::start().await.unwrap();
    let system = system_for(&head.address, &rewards).await;
    let mut first = system.worker("first").await.unwrap();

    // To the end.
    let whole = start(&system, &body("whole", "test/steady", 4)).await;
    let ended = wait(&system, &whole, is("succeeded")).await;
    assert_eq!(ended["summary"]["step"], 4, "{ended}");
    assert_eq!(
        ended["summary"]["best_reward"], 0.25,
        "of validation: {ended}"
    );
    assert_eq!(ended["job"]["progress"], 1.0);
    let found = points(&system, &whole).await;
    assert_eq!(found.len(), 5, "{found:?}");
    assert_eq!(found[0]["validation_reward"], 0.25);
    for (step, point) in found.iter().enumerate().skip(1) {
        assert_eq!(point["step"], step);
        assert_eq!(point["lr"], 2e-6, "the run's own setting: {point}");
        assert_eq!(point["answer_tokens"], 100.0 + step as f64);
        let left_out = point["left_out"] == 1.0;
        assert!(left_out || point["reward"] == 0.5, "{point}");
    }
    let told = words(&system, &whole).await;
    assert!(
        told.iter().any(|line| line == "starting after step 0"),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|line| line.starts_with("left out: judge_failed")),
        "{told:?}"
    );
    // The key is the job's own, hidden, and gone.
    let asked = rewards.asked();
    let key = asked[0].0.clone();
    assert!(key.starts_with("ilm_") && key != system.key);
    assert!(
        told.iter().any(|line| line == "environment: ilm_***"),
        "{told:?}"
    );
    assert!(!told.iter().any(|line| line.contains(&key)));
    assert!(!system.log("first").contains(&key));
    assert!(asked.iter().all(|(_, question)| {
        question["question"].is_string()
            && question["image_num"].is_i64()
            && question["factors"]["llm"] == 0.5
            && question["tools"].is_array()
    }));
    assert_eq!(keys(&system).await.len(), 1, "the administrator's alone");

    // Failing: Ray's message and the log's last lines.
    let failing = start(&system, &body("failing", "test/failing", 9)).await;
    let failed = wait(&system, &failing, is("failed")).await;
    let error = &failed["job"]["error"];
    assert_eq!(error["code"], "ray_job_failed", "{failed}");
    let detail = error["detail"].as_str().unwrap();
    assert!(detail.contains("CUDA out of memory, so to say"), "{detail}");
    assert_eq!(failed["summary"]["step"], 2, "{failed}");

    // Taken over: the second worker follows the job that the first submitted.
    let long = start(&system, &body("long", "test/steady", 500)).await;
    let before = wait(&system, &long, after(2)).await;
    let asked_before = rewards.asked().len();
    first.kill().unwrap();
    assert_eq!(head.trainers(), 1);
    let second = system.worker("second").await.unwrap();
    let step = before["summary"]["step"].as_u64().unwrap();
    wait(&system, &long, |run| {
        run["job"]["attempt"].as_u64() >= Some(2) && after(step + 12)(run)
    })
    .await;
    assert_eq!(head.trainers(), 1, "no second job");
    let told = words(&system, &long).await;
    let starts = told
        .iter()
        .filter(|line| line.starts_with("starting after"));
    assert_eq!(starts.count(), 1, "{told:?}");
    let found = points(&system, &long).await;
    let steps: Vec<u64> = found
        .iter()
        .map(|point| point["step"].as_u64().unwrap())
        .collect();
    assert_eq!(
        steps,
        (0..=*steps.last().unwrap()).collect::<Vec<_>>(),
        "none is missing"
    );
    let own: Vec<String> = rewards
        .asked()
        .split_off(asked_before)
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert!(
        own.iter().all(|found| *found == own[0] && *found != key),
        "a key a job"
    );

    // Stopped, and resumed where the trainer was.
    post(&system, &long, "stop").await;
    let stopped = wait(&system, &long, is("cancelled")).await;
    assert_eq!(head.trainers(), 0, "Ray's job has ended");
    assert_eq!(keys(&system).await.len(), 1);
    let told = words(&system, &long).await;
    assert!(
        told.iter().any(|line| line.contains("told to stop")),
        "{told:?}"
    );
    let step = stopped["summary"]["step"].as_u64().unwrap();
    post(&system, &long, "resume").await;
    wait(&system, &long, after(step + 2)).await;
    let told = words(&system, &long).await;
    assert!(
        told.iter()
            .any(|line| line == &format!("starting after step {step}")),
        "{told:?}"
    );

    // The head goes: the run waits, and says so.
    head.end().unwrap();
    let waiting = wait(&system, &long, |run| run["summary"]["alarm"].is_string()).await;
    let alarm = waiting["summary"]["alarm"].as_str().unwrap();
    assert!(
        alarm.contains("RAY_ADDRESS") && alarm.contains("does not answer"),
        "{alarm}"
    );
    assert_eq!(waiting["job"]["status"], "running");
    assert!(head.processes().is_empty());
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_not_there_is_told_by_its_setting() {
    let rewards = Rewards::start().await.unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let system = system_for(&address, &rewards).await;
    let _worker = system.worker("worker").await.unwrap();
    let id = start(&system, &body("alone", "test/steady", 4)).await;
    let failed = wait(&system, &id, is("failed")).await;
    let error = &failed["job"]["error"];
    assert_eq!(error["code"], "ray_unreachable", "{failed}");
    let detail = error["detail"].as_str().unwrap();
    assert!(
        detail.contains("RAY_ADDRESS") && detail.contains(&address),
        "{detail}"
    );
    assert_eq!(keys(&system).await.len(), 1, "no key is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_is_no_ray_head() {
    let rewards = Rewards::start().await.unwrap();
    let system = system_for(&rewards.address, &rewards).await;
    let _worker = system.worker("worker").await.unwrap();
    let id = start(&system, &body("other", "test/steady", 4)).await;
    let failed = wait(&system, &id, is("failed")).await;
    let detail = failed["job"]["error"]["detail"].as_str().unwrap();
    assert!(
        detail.contains("RAY_ADDRESS") && detail.contains("no Jobs API"),
        "{detail}"
    );
}

/// What `reward.py` says of an answer, asking at `address`.
async fn scored(address: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../ray");
    let program = "import sys; sys.path.insert(0, sys.argv[1]); import reward
try: print(reward.compute_score('demo', '# x', '', {'question': 'q', 'image_num': 1, 'tools': ['code']}))
except Exception as error: print(type(error).__name__, error)";
    let address = address.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        std::process::Command::new("python3")
            .args(["-B", "-c", program, root])
            .env("ILLUMINE_URL", address)
            .env("ILLUMINE_API_KEY", "ilm_secret-of-the-job")
            .env("ILLUMINE_TIME_LIMIT_S", "2")
            .env("no_proxy", "*")
            .output()
    });
    let ran = ran.await.unwrap().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(!said.contains("secret-of-the-job"), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_reward_raises() {
    let rewards = Rewards::start().await.unwrap();
    let answers = [
        // Busy once, then scored; the sixth question has no verdict.
        scored(&rewards.address).await,
        scored(&format!("{}/nowhere", rewards.address)).await,
    ];
    assert_eq!(answers[0].trim(), "0.75");
    assert!(answers[1].starts_with("Refused HTTP 404"), "{}", answers[1]);
    for _ in 0..3 {
        assert_eq!(scored(&rewards.address).await.trim(), "0.75");
    }
    let without = scored(&rewards.address).await;
    assert!(without.starts_with("Excluded judge_failed"), "{without}");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let begun = Instant::now();
    let outage = scored(&address).await;
    assert!(outage.starts_with(&format!("Outage {address}")), "{outage}");
    assert!(
        begun.elapsed() > Duration::from_secs(1),
        "it was tried again"
    );
}
