//! The configuration's shape, section by section as in `illumine.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Secret;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// State of an installation: Redis, S3, keys, caches.
    pub data_dir: PathBuf,
    /// The backend's address.
    pub listen: SocketAddr,
    /// The backend's address as other machines reach it; see [`crate::ray`].
    pub public_url: Option<String>,
    /// Whether keys are asked for; off is accepted on loopback only.
    pub auth: bool,
    /// Folder of the built portal.
    pub web_dir: PathBuf,
    /// Logs as JSON, one object a line.
    pub log_json: bool,
    pub redis_url: String,
    pub s3: S3Settings,
    pub policy: PolicySettings,
    pub tools: ToolSettings,
    pub llm_judge: Judge,
    pub mllm_judge: Judge,
    /// Where runs with `engine: ray` are trained; see [`crate::ray`].
    pub ray_address: Option<String>,
    pub mlflow: MlFlow,
    pub worker: WorkerSettings,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    pub access_key: Secret,
    pub secret_key: Secret,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// `burn:<folder or name>[+lora=<folder>][@device]` or `openai:<base url>#<model>`.
    pub spec: String,
    pub api_key: Option<Secret>,
    /// Whether what follows `<imgen>` must be a valid call of a tool: in a
    /// `burn:` policy, and in an `openai:` one whose server says that it can.
    pub constrain_tags: bool,
    /// Markdown that replaces the built-in system prompt.
    pub system_prompt: Option<PathBuf>,
    /// Seconds without a token after which the policy counts as hung.
    pub idle_timeout_s: u64,
    /// Bytes of text after which a document is cut off.
    pub max_output_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSettings {
    /// Search backends in order of preference; empty: all that are set.
    pub search: Vec<String>,
    pub diffusion: Vec<String>,
    pub edit: Vec<String>,
    pub serp_api_key: Option<Secret>,
    pub serp_api_url: String,
    pub searxng_url: Option<String>,
    /// Openverse is asked only when an address is set.
    pub openverse_url: Option<String>,
    pub ark_api_key: Option<Secret>,
    pub ark_base_url: String,
    pub ark_image_model: String,
    pub ark_edit_model: String,
    pub qwen_image_servers: Vec<String>,
    pub qwen_edit_servers: Vec<String>,
    pub openai_images_base_url: String,
    pub openai_images_api_key: Option<Secret>,
    pub openai_images_model: String,
    /// Picture models of the worker itself: `[burn:]<folder>[@device]`; `demo` is the
    /// embedded one, and an empty text none.
    pub diffusion_model: Option<String>,
    pub edit_model: Option<String>,
    /// `host:port` that the URL guard lets through although private.
    pub fetch_allow: Vec<String>,
    /// The team's captioned pictures on disk, where no S3 is at hand.
    pub library_dir: PathBuf,
    /// Interpreter of the code tool.
    pub python: PathBuf,
    /// Sandboxes kept warm.
    pub code_pool: usize,
    pub code_timeout_s: u64,
    pub code_memory_mb: u64,
    /// Seconds for one invented or edited picture.
    pub draw_timeout_s: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judge {
    pub base_url: Option<String>,
    pub model: Option<String>,
    pub api_key: Option<Secret>,
}

/// An MLflow server that training runs send their figures to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlFlow {
    pub tracking_uri: Option<String>,
    pub tracking_token: Option<Secret>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// Worker processes that `up` starts.
    pub processes: usize,
    /// Job kinds served, e.g. `generation`.
    pub queues: Vec<String>,
    pub device: String,
    /// Jobs at a time in one process.
    pub concurrency: usize,
    /// Seconds without a heartbeat after which a worker counts as dead.
    pub lease_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        let data_dir = PathBuf::from(".illumine");
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            auth: true,
            web_dir: data_dir.join("web"),
            log_json: false,
            redis_url: "redis://127.0.0.1:6479/".into(),
            s3: S3Settings {
                endpoint: "http://127.0.0.1:9479".into(),
                bucket: "illumine".into(),
                region: "us-east-1".into(),
                access_key: Secret::new("illumine"),
                secret_key: Secret::new("illumine-local"),
            },
            policy: PolicySettings {
                spec: "burn:demo".into(),
                api_key: None,
                constrain_tags: true,
                system_prompt: None,
                idle_timeout_s: 120,
                max_output_bytes: 2 * 1024 * 1024,
            },
            tools: ToolSettings {
                search: Vec::new(),
                diffusion: Vec::new(),
                edit: Vec::new(),
                serp_api_key: None,
                serp_api_url: "https://serpapi.com/search.json".into(),
                searxng_url: None,
                openverse_url: None,
                ark_api_key: None,
                ark_base_url: "https://ark.cn-beijing.volces.com/api/v3".into(),
                ark_image_model: "doubao-seedream-3-0-t2i-250415".into(),
                ark_edit_model: "doubao-seededit-3-0-i2i-250628".into(),
                qwen_image_servers: Vec::new(),
                qwen_edit_servers: Vec::new(),
                openai_images_base_url: "https://api.openai.com/v1".into(),
                openai_images_api_key: None,
                openai_images_model: "gpt-image-1".into(),
                diffusion_model: Some("demo".into()),
                edit_model: Some("demo".into()),
                fetch_allow: Vec::new(),
                library_dir: data_dir.join("library"),
                python: data_dir.join("python/bin/python"),
                code_pool: 2,
                code_timeout_s: 20,
                code_memory_mb: 1024,
                draw_timeout_s: 180,
            },
            llm_judge: Judge::default(),
            mllm_judge: Judge::default(),
            ray_address: None,
            mlflow: MlFlow::default(),
            worker: WorkerSettings {
                processes: 1,
                queues: ["generation", "redraw", "score", "training_run"]
                    .map(Into::into)
                    .into(),
                device: "flex".into(),
                concurrency: 4,
                lease_s: 8,
            },
            data_dir,
        }
    }
}
