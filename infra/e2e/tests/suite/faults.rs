//! Nothing lost: workers, Redis and S3 die in the middle of work.

use std::time::{Duration, Instant};

use illumine_e2e::{Policy, Script, System};
use illumine_testkit::Servers;

const MINUTE: Duration = Duration::from_secs(60);

fn report(words: usize) -> String {
    let chart = r#"<imgen>{"source": "code", "description": "A line", "params": {"code": "plt.plot([1, 3, 2])"}}</imgen>"#;
    format!(
        "# A report that takes its time\n\n{chart}\n\n{} The end.",
        "word ".repeat(words)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_finishes_a_killed_ones_document_once() {
    let policy = Policy::start(Script::new(&report(1000)).slowly(Duration::from_millis(100)))
        .await
        .unwrap();
    let system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let mut first = system.worker("first").await.unwrap();
    let id = system.submit("Write a report").await.unwrap();
    system.wait(&id, &["running"], MINUTE).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = system.worker("second").await.unwrap();
    first.kill().unwrap();
    let killed = Instant::now();
    policy.say(Script::new(&report(100)));
    let job = system
        .wait(&id, &["succeeded", "failed"], MINUTE)
        .await
        .unwrap();
    let took = killed.elapsed();
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(took < Duration::from_secs(30), "took over after {took:?}");
    assert_eq!(job["attempt"], 2, "{job}");
    assert_eq!(job["worker"]["pid"], second.pid(), "{job}");
    let document = system
        .get(&format!("/api/v1/documents/{id}"))
        .await
        .unwrap();
    assert_eq!(
        document.to_string().matches("The end.").count(),
        1,
        "{document}"
    );
    let events = system.events(&id).await.unwrap();
    assert_eq!(
        events
            .iter()
            .filter(|(name, _)| name == "completed")
            .count(),
        1
    );
    println!("a killed worker's document was finished after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_jobs_outlive_redis() {
    let policy = Policy::start(Script::new("# Short\n\nDone."))
        .await
        .unwrap();
    let mut system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(system.submit(&format!("Report {number}")).await.unwrap());
    }
    system.servers.stop_redis().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    system.servers.restart_redis().await.unwrap();
    let _worker = system.worker("worker").await.unwrap();
    for id in &ids {
        let job = system
            .wait(id, &["succeeded", "failed"], MINUTE)
            .await
            .unwrap();
        assert_eq!(job["status"], "succeeded", "{job}");
    }
    assert_eq!(policy.requests(), 20, "each ran once");
}

#[tokio::test(flavor = "multi_thread")]
async fn rebuild_restores_documents_and_unfinished_jobs() {
    let policy = Policy::start(Script::new("# Kept\n\nDone.")).await.unwrap();
    let system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let mut worker = system.worker("worker").await.unwrap();
    let finished = system.submit("A finished report").await.unwrap();
    system
        .wait(&finished, &["succeeded"], MINUTE)
        .await
        .unwrap();
    worker.kill().unwrap();
    let unfinished = system.submit("An unfinished report").await.unwrap();
    flush(&system.servers).await;

    let mut command = system.command(&["rebuild"]).unwrap();
    let done = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );

    let list = system.get("/api/v1/generations").await.unwrap();
    let ids: Vec<&str> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].as_str().unwrap())
        .collect();
    assert!(
        ids.contains(&finished.as_str()) && ids.contains(&unfinished.as_str()),
        "{list}"
    );
    let document = system
        .get(&format!("/api/v1/documents/{finished}"))
        .await
        .unwrap();
    assert_eq!(document["title"], "Kept");
    let _worker = system.worker("again").await.unwrap();
    let job = system
        .wait(&unfinished, &["succeeded", "failed"], MINUTE)
        .await
        .unwrap();
    assert_eq!(job["status"], "succeeded", "{job}");
}

async fn flush(servers: &Servers) {
    let socket = servers.redis_url().replace("redis+unix://", "");
    let flushed = std::process::Command::new("redis-cli")
        .args(["-s", &socket, "FLUSHALL"])
        .output()
        .unwrap();
    assert!(flushed.status.success(), "{flushed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_called_done_while_s3_is_away() {
    let policy = Policy::start(Script::new(&report(20)).slowly(Duration::from_millis(100)))
        .await
        .unwrap();
    let mut system = System::start(&[("ILLUMINE_POLICY", &policy.spec())])
        .await
        .unwrap();
    let _worker = system.worker("worker").await.unwrap();
    let id = system.submit("Write a report").await.unwrap();
    system.wait(&id, &["running"], MINUTE).await.unwrap();
    system.servers.stop_s3();
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_secs(20) {
        let job = system
            .get(&format!("/api/v1/generations/{id}"))
            .await
            .unwrap();
        assert_ne!(
            job["status"], "succeeded",
            "called done without being stored: {job}"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    system.servers.restart_s3().unwrap();
    let job = system
        .wait(&id, &["succeeded", "failed"], 2 * MINUTE)
        .await
        .unwrap();
    assert_eq!(job["status"], "succeeded", "{job}");
    let document = system
        .get(&format!("/api/v1/documents/{id}"))
        .await
        .unwrap();
    let image = document["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|block| block["type"] == "image")
        .unwrap();
    assert_eq!(image["outcome"]["status"], "ready", "{document}");
}
