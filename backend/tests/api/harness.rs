//! A server on a port of its own, and a client that speaks to it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use illumine_backend::server::{self, Listening};
use illumine_backend::state::State;
use illumine_config::{Config, Secret};
use illumine_store::Store;
use illumine_store::queue::{JobContext, JobFailure, QueueWorker};
use illumine_testkit::{S3_ACCESS_KEY, S3_BUCKET, S3_SECRET_KEY, Servers};
use illumine_types::capability::{PolicyCapability, ToolCapability, WorkerInfo};
use illumine_types::job::WorkerRef;
use illumine_types::{JobKind, ToolKind};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::sync::oneshot;

pub struct App {
    pub servers: Servers,
    pub config: Config,
    pub state: State,
    pub client: Client,
    pub base: String,
    /// The first administrator's key; empty when sign-in is off.
    pub admin: String,
}

impl App {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// Without sign-in.
    pub async fn open() -> Self {
        Self::with(|config| config.auth = false).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let servers = Servers::start().await.unwrap();
        let mut config = Config {
            data_dir: servers.folder().join("state"),
            web_dir: servers.folder().join("web"),
            listen: "127.0.0.1:0".parse().unwrap(),
            redis_url: servers.redis_url(),
            ..Config::default()
        };
        config.s3.endpoint = servers.s3_endpoint();
        config.s3.bucket = S3_BUCKET.into();
        config.s3.access_key = Secret::new(S3_ACCESS_KEY);
        config.s3.secret_key = Secret::new(S3_SECRET_KEY);
        change(&mut config);
        let Listening {
            server,
            address,
            state,
        } = server::start(&config).await.unwrap();
        tokio::spawn(server);
        let admin = std::fs::read_to_string(config.data_dir.join("admin-key")).unwrap_or_default();
        Self {
            client: Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_gzip()
                .build()
                .unwrap(),
            base: format!("http://{address}"),
            admin: admin.trim().to_owned(),
            servers,
            config,
            state,
        }
    }

    pub fn store(&self) -> &Store {
        &self.state.store
    }

    pub fn web_dir(&self) -> PathBuf {
        self.config.web_dir.clone()
    }

    /// A request without a key.
    pub fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// A request with the administrator's key, if there is one.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.bare(method, path);
        if self.admin.is_empty() {
            request
        } else {
            request.bearer_auth(&self.admin)
        }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: Value) -> Response {
        self.request(Method::POST, path)
            .json(&body)
            .send()
            .await
            .unwrap()
    }

    /// Submits a prompt and answers the job's id.
    pub async fn submit(&self, prompt: &str) -> String {
        let response = self
            .post(
                "/api/v1/generations",
                serde_json::json!({ "prompt": prompt }),
            )
            .await;
        assert_eq!(response.status(), 202);
        json(response).await["id"].as_str().unwrap().to_owned()
    }

    /// Jobs in the queue, of any kind and state.
    pub async fn queued(&self) -> u64 {
        let lengths = self.store().queue().lengths().await.unwrap();
        lengths
            .iter()
            .map(|length| length.waiting.values().sum::<u64>() + length.running + length.delayed)
            .sum()
    }

    /// A worker in this process that runs `handler` for every document.
    pub fn worker<H, F>(&self, handler: H) -> Worker
    where
        H: Fn(JobContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<(), JobFailure>> + Send + 'static,
    {
        self.worker_for(&[JobKind::Generation, JobKind::Redraw], handler)
    }

    /// A worker in this process that runs `handler` for every job of these kinds.
    pub fn worker_for<H, F>(&self, kinds: &[JobKind], handler: H) -> Worker
    where
        H: Fn(JobContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<(), JobFailure>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let worker = QueueWorker::builder(self.store().clone(), kinds, 2).info(worker_info());
        tokio::spawn(worker.run(handler, async move {
            let _ = stopped.await;
        }));
        Worker { stop }
    }
}

/// Takes jobs until it is told to stop.
pub struct Worker {
    stop: oneshot::Sender<()>,
}

impl Worker {
    /// It takes no more jobs from now on.
    pub fn stop(self) {
        let _ = self.stop.send(());
    }
}

pub fn worker_info() -> WorkerInfo {
    let tool = |tool, available: bool| ToolCapability {
        tool,
        available,
        backends: vec!["library".into()],
        reason: (!available).then(|| "no server is configured".into()),
        remedy: (!available).then(|| "QWEN_IMAGE_SERVER_URL".into()),
    };
    WorkerInfo {
        worker: WorkerRef {
            id: "filled in".into(),
            host: "here".into(),
            pid: 1,
        },
        version: "0.1.0".into(),
        device: "flex".into(),
        queues: vec![],
        concurrency: 0,
        running: vec![],
        tools: vec![
            tool(ToolKind::Search, true),
            tool(ToolKind::Diffusion, false),
        ],
        policies: vec![PolicyCapability {
            name: "burn:demo".into(),
            summary: "the embedded demo".into(),
            vision: false,
            default: true,
        }],
        started_at: chrono::Utc::now(),
        seen_at: chrono::Utc::now(),
    }
}

pub async fn json(response: Response) -> Value {
    let text = response.text().await.unwrap();
    let value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
    masked(&value, &[])
}

/// Status, code and field of a problem.
pub async fn problem(response: Response) -> (u16, String, Option<String>) {
    let status = response.status().as_u16();
    let mime = response.headers().get("content-type").cloned();
    let body = json(response).await;
    assert_eq!(mime.unwrap(), "application/problem+json", "{body}");
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    assert!(
        text("title").is_some() && text("detail").is_some(),
        "{body}"
    );
    let code = text("code").unwrap();
    assert_eq!(
        text("type").unwrap(),
        format!("urn:illumine:problem:{code}")
    );
    (status, code, text("field"))
}

pub fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
        .unwrap_or_default()
}

/// The value with what differs from run to run replaced, wherever it stands,
/// and its fields in order of their names.
pub fn masked(value: &Value, names: &[&str]) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| masked(item, names)).collect(),
        Value::Object(fields) => {
            let mut shown = BTreeMap::new();
            for (name, value) in fields {
                let is_masked = names.contains(&name.as_str()) && !value.is_null();
                let value = if is_masked {
                    format!("[{name}]").into()
                } else {
                    masked(value, names)
                };
                shown.insert(name.clone(), value);
            }
            shown.into_iter().collect()
        }
        plain => plain.clone(),
    }
}

/// A PNG of one colour.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    let picture = image::RgbImage::from_pixel(width, height, image::Rgb([200, 30, 90]));
    let mut bytes = Vec::new();
    let mut cursor = std::io::Cursor::new(&mut bytes);
    picture
        .write_to(&mut cursor, image::ImageFormat::Png)
        .unwrap();
    bytes
}

/// A PNG of few bytes whose header claims this many pixels.
pub fn claimed_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = png(1, 1);
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 {
                (sum >> 1) ^ 0xedb8_8320
            } else {
                sum >> 1
            }
        })
    })
}
