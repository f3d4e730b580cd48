//! The table of all settings: one row a value.

/// How a variable's text becomes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Comma-separated.
    List,
    Number,
    /// `on`/`off`, `true`/`false`, `1`/`0`.
    Flag,
}

/// One value: its key in `illumine.toml` and its environment variable.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub key: &'static str,
    pub variable: &'static str,
    pub kind: Kind,
    pub secret: bool,
    pub meaning: &'static str,
}

const fn row(
    key: &'static str,
    variable: &'static str,
    kind: Kind,
    meaning: &'static str,
) -> Setting {
    Setting {
        key,
        variable,
        kind,
        secret: false,
        meaning,
    }
}

const fn secret(key: &'static str, variable: &'static str, meaning: &'static str) -> Setting {
    Setting {
        key,
        variable,
        kind: Kind::Text,
        secret: true,
        meaning,
    }
}

use Kind::{Flag, List, Number, Text};

/// Every setting, in the order in which it is shown.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    row("data_dir", "ILLUMINE_DATA_DIR", Text, "state of an installation: Redis, S3, keys, caches"),
    row("listen", "ILLUMINE_LISTEN", Text, "the backend's address"),
    row("public_url", "ILLUMINE_PUBLIC_URL", Text, "the backend's address as other machines reach it: where jobs on Ray ask for rewards"),
    row("auth", "ILLUMINE_AUTH", Flag, "`on`, or `off` on loopback only"),
    row("web_dir", "ILLUMINE_WEB_DIR", Text, "folder of the built portal"),
    row("log_json", "ILLUMINE_LOG_JSON", Flag, "logs as JSON, one object a line; `RUST_LOG` chooses what is logged"),
    row("redis_url", "ILLUMINE_REDIS_URL", Text, "Redis to use"),
    row("s3.endpoint", "ILLUMINE_S3_ENDPOINT", Text, "S3 service to use"),
    row("s3.bucket", "ILLUMINE_S3_BUCKET", Text, "bucket, made when missing"),
    row("s3.region", "ILLUMINE_S3_REGION", Text, "region that requests are signed for"),
    secret("s3.access_key", "ILLUMINE_S3_ACCESS_KEY", "S3 access key"),
    secret("s3.secret_key", "ILLUMINE_S3_SECRET_KEY", "S3 secret key"),
    row("policy.spec", "ILLUMINE_POLICY", Text, "`burn:<folder or name>[+lora=<folder>][@device]` or `openai:<base url>#<model>`"),
    secret("policy.api_key", "ILLUMINE_POLICY_API_KEY", "key of the policy's endpoint"),
    row("policy.constrain_tags", "ILLUMINE_CONSTRAIN_TAGS", Flag, "what follows `<imgen>` must be a valid call: `on` or `off`; other servers than `illumine llm-server` take no notice"),
    row("policy.system_prompt", "ILLUMINE_SYSTEM_PROMPT", Text, "Markdown file that replaces the built-in system prompt"),
    row("policy.idle_timeout_s", "ILLUMINE_POLICY_IDLE_TIMEOUT_S", Number, "seconds without a token after which the policy counts as hung"),
    row("policy.max_output_bytes", "ILLUMINE_MAX_OUTPUT_BYTES", Number, "bytes of text after which a document is cut off"),
    row("tools.search", "ILLUMINE_SEARCH", List, "search backends in order: `serpapi`, `searxng`, `openverse`, `library`"),
    row("tools.diffusion", "ILLUMINE_DIFFUSION", List, "diffusion backends in order: `qwen`, `ark`, `openai`, `burn`"),
    row("tools.edit", "ILLUMINE_EDIT", List, "edit backends in order: `qwen`, `ark`, `openai`, `burn`"),
    secret("tools.serp_api_key", "SERP_API_KEY", "SerpAPI (Google Images)"),
    row("tools.serp_api_url", "SERP_API_URL", Text, "address of SerpAPI"),
    row("tools.searxng_url", "ILLUMINE_SEARXNG_URL", Text, "address of a SearXNG"),
    row("tools.openverse_url", "ILLUMINE_OPENVERSE_URL", Text, "address of Openverse's API, `https://api.openverse.org`"),
    secret("tools.ark_api_key", "ARK_API_KEY", "Seedream and SeedEdit on Ark"),
    row("tools.ark_base_url", "ARK_BASE_URL", Text, "address of Ark"),
    row("tools.ark_image_model", "ARK_IMAGE_MODEL", Text, "Seedream's model name"),
    row("tools.ark_edit_model", "ARK_EDIT_MODEL", Text, "SeedEdit's model name"),
    row("tools.qwen_image_servers", "QWEN_IMAGE_SERVER_URL", List, "Qwen-Image servers"),
    row("tools.qwen_edit_servers", "QWEN_EDIT_SERVER_URL", List, "Qwen-Image-Edit servers"),
    row("tools.openai_images_base_url", "ILLUMINE_OPENAI_IMAGES_BASE_URL", Text, "address of an OpenAI-compatible images API"),
    secret("tools.openai_images_api_key", "ILLUMINE_OPENAI_IMAGES_API_KEY", "its key"),
    row("tools.openai_images_model", "ILLUMINE_OPENAI_IMAGES_MODEL", Text, "its model name"),
    row("tools.diffusion_model", "ILLUMINE_DIFFUSION_MODEL", Text, "Qwen-Image folder that the worker draws with: `<folder>[@device]`, or `demo`"),
    row("tools.edit_model", "ILLUMINE_EDIT_MODEL", Text, "Qwen-Image-Edit folder that the worker edits with, likewise"),
    row("tools.fetch_allow", "ILLUMINE_FETCH_ALLOW", List, "`host:port` that the URL guard lets through although private"),
    row("tools.library_dir", "ILLUMINE_LIBRARY_DIR", Text, "captioned pictures on disk, for `illumine generate` without S3"),
    row("tools.python", "ILLUMINE_PYTHON", Text, "interpreter of the code tool"),
    row("tools.code_pool", "ILLUMINE_CODE_POOL", Number, "sandboxes kept warm"),
    row("tools.code_timeout_s", "ILLUMINE_CODE_TIMEOUT_S", Number, "seconds for one chart"),
    row("tools.code_memory_mb", "ILLUMINE_CODE_MEMORY_MB", Number, "address space of one chart's program"),
    row("tools.draw_timeout_s", "ILLUMINE_DRAW_TIMEOUT_S", Number, "seconds for one invented or edited picture"),
    row("llm_judge.base_url", "LLM_JUDGE_BASE_URL", Text, "OpenAI-compatible server of the LLM judge"),
    row("llm_judge.model", "LLM_JUDGE_MODEL_NAME", Text, "its model name"),
    secret("llm_judge.api_key", "LLM_JUDGE_API_KEY", "its key"),
    row("mllm_judge.base_url", "MLLM_JUDGE_BASE_URL", Text, "OpenAI-compatible server of the MLLM judge"),
    row("mllm_judge.model", "MLLM_JUDGE_MODEL_NAME", Text, "its model name"),
    secret("mllm_judge.api_key", "MLLM_JUDGE_API_KEY", "its key"),
    row("ray_address", "RAY_ADDRESS", Text, "Ray cluster's Jobs API, `http://host:8265`: trains runs with `engine: ray`"),
    row("mlflow.tracking_uri", "MLFLOW_TRACKING_URI", Text, "MLflow server that training runs send their figures to"),
    secret("mlflow.tracking_token", "MLFLOW_TRACKING_TOKEN", "its token"),
    row("worker.processes", "ILLUMINE_WORKERS", Number, "worker processes that `cargo xtask up` starts"),
    row("worker.queues", "ILLUMINE_QUEUES", List, "job kinds that a worker serves"),
    row("worker.device", "ILLUMINE_DEVICE", Text, "`flex`, `libtorch`, `cuda:0` …"),
    row("worker.concurrency", "ILLUMINE_CONCURRENCY", Number, "jobs at a time in one worker"),
    row("worker.lease_s", "ILLUMINE_LEASE_S", Number, "seconds without a heartbeat after which a worker counts as dead"),
];
