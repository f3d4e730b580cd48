//! Accepted submissions a second, over loopback HTTP.
//!
//! ```text
//! cargo run --release -p illumine-backend --example bench_submissions [URL KEY]
//! ```
//!
//! Without an address it starts a server with a Redis and an S3 of its own in
//! a temporary folder; all share this machine with the clients. Two phases:
//! 500 requests a second sent on time whatever comes back, then as fast as the
//! connections allow. A request counts when its answer is 202.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark stops where it fails"
)]

use std::time::{Duration, Instant};

use illumine_backend::server;
use illumine_config::{Config, Secret};
use illumine_testkit::{S3_ACCESS_KEY, S3_BUCKET, S3_SECRET_KEY, Servers};
use reqwest::Client;
use serde_json::json;
use tokio::task::JoinSet;

const PACED_PER_SECOND: u32 = 500;
const SECONDS: u32 = 10;
const CONNECTIONS: usize = 32;

#[derive(Clone)]
struct Target {
    client: Client,
    url: String,
    key: String,
}

impl Target {
    /// Submits once; answers how long it took, or nothing if it was refused.
    async fn submit(&self, number: usize) -> Option<Duration> {
        let started = Instant::now();
        let request = self
            .client
            .post(&self.url)
            .bearer_auth(&self.key)
            .json(&json!({ "prompt": format!("A report on subject {number}, with a chart") }));
        let response = request.send().await.ok()?;
        let is_accepted = response.status() == 202;
        response.bytes().await.ok()?;
        is_accepted.then(|| started.elapsed())
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (base, key, _servers) = match arguments.as_slice() {
        [url, key] => (url.trim_end_matches('/').to_owned(), key.clone(), None),
        _ => {
            let (base, key, servers) = own_server().await;
            (base, key, Some(servers))
        }
    };
    let target = Target {
        client: Client::new(),
        url: format!("{base}/api/v1/generations"),
        key,
    };
    for number in 0..200 {
        target
            .submit(number)
            .await
            .expect("the server accepts submissions");
    }
    paced(&target).await;
    saturated(&target).await;
}

async fn own_server() -> (String, String, Servers) {
    let servers = Servers::start().await.expect("redis-server is installed");
    let mut config = Config {
        data_dir: servers.folder().join("state"),
        listen: "127.0.0.1:0".parse().unwrap(),
        redis_url: servers.redis_url(),
        ..Config::default()
    };
    config.s3.endpoint = servers.s3_endpoint();
    config.s3.bucket = S3_BUCKET.into();
    config.s3.access_key = Secret::new(S3_ACCESS_KEY);
    config.s3.secret_key = Secret::new(S3_SECRET_KEY);
    let listening = server::start(&config).await.expect("the server starts");
    let base = format!("http://{}", listening.address);
    tokio::spawn(listening.server);
    let key = std::fs::read_to_string(config.data_dir.join("admin-key")).unwrap();
    (base, key.trim().to_owned(), servers)
}

async fn paced(target: &Target) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PACED_PER_SECOND);
    let mut sent = JoinSet::new();
    let started = Instant::now();
    for number in 0..(PACED_PER_SECOND * SECONDS) as usize {
        ticks.tick().await;
        let target = target.clone();
        sent.spawn(async move { target.submit(number).await });
    }
    let answers = sent.join_all().await;
    report(
        &format!("{PACED_PER_SECOND}/s sent"),
        answers,
        started.elapsed(),
    );
}

async fn saturated(target: &Target) {
    let started = Instant::now();
    let end = started + Duration::from_secs(SECONDS.into());
    let mut clients = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let target = target.clone();
        clients.spawn(async move {
            let mut answers = Vec::new();
            while Instant::now() < end {
                answers.push(target.submit(connection * 1_000_000 + answers.len()).await);
            }
            answers
        });
    }
    let answers = clients.join_all().await.concat();
    report(
        &format!("{CONNECTIONS} connections"),
        answers,
        started.elapsed(),
    );
}

fn report(name: &str, answers: Vec<Option<Duration>>, elapsed: Duration) {
    let all = answers.len();
    let mut accepted: Vec<Duration> = answers.into_iter().flatten().collect();
    accepted.sort_unstable();
    let at = |share: f64| {
        let index = (accepted.len() as f64 * share) as usize;
        let latency = accepted.get(index.min(accepted.len().saturating_sub(1)));
        latency.copied().unwrap_or_default().as_secs_f64() * 1000.0
    };
    println!(
        "{name}: {:.0} accepted/s of {all} sent, p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        accepted.len() as f64 / elapsed.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
    );
}
