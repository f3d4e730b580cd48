//! `illumine llm-server`: a Burn language model behind OpenAI's HTTP interface.
//!
//! ```text
//! POST /v1/chat/completions ──request──▶ prompt, pictures ──▶ engine ──events──▶ whole answer or SSE
//! GET  /v1/models  /v1/models/{id}  /health  /metrics
//! ```
//!
//! The interface is that of OpenAI's API reference (Chat, Models); what this
//! server does not do it refuses in words, with the parameter's name.

mod answer;
mod auth;
mod chat;
mod error;
mod message;
mod metrics;
mod models;
mod pictures;
mod request;
mod wire;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Router, middleware};
use illumine_guard::Guard;
use illumine_models::engine::Engine;
use illumine_models::sampling::SamplingParams;
use illumine_tools::fetch::PictureFetcher;
use tokio::sync::Semaphore;

pub use self::auth::is_key;
use self::error::ApiError;
pub use self::request::openai_sampling;

/// Bytes of a request.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// What every handler knows.
pub struct Server {
    /// The model's name in requests and answers; its adapters go by their own.
    pub name: String,
    pub engine: Engine,
    /// What requests leave open of sampling: the model's own, where its folder names it.
    pub sampling: SamplingParams,
    /// Asked of every caller when set.
    pub api_key: Option<String>,
    /// Seconds since 1970 at which the model was loaded.
    pub created: i64,
    /// Pictures that requests name by their address.
    fetcher: PictureFetcher,
    /// Requests whose prompts are made at the same time.
    looking: Arc<Semaphore>,
}

impl Server {
    /// Serves `engine`'s model under `name` from now on. `guard` says what
    /// addresses pictures may have.
    pub fn new(name: String, engine: Engine, api_key: Option<String>, guard: Guard) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut fetcher = PictureFetcher::new(guard);
        fetcher.picture_limits = pictures::picture_limits();
        let suggested = engine.model().folder().suggested_sampling;
        Self {
            name,
            sampling: suggested.or(&openai_sampling()),
            engine,
            api_key,
            created: chrono::Utc::now().timestamp(),
            fetcher,
            looking: Arc::new(Semaphore::new(cores)),
        }
    }
}

/// Every route.
pub fn router(server: Server) -> Router {
    let server = Arc::new(server);
    let guarded = Router::new()
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*id}", get(models::get))
        .route("/metrics", get(metrics::show))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&server),
            auth::check,
        ));
    Router::new()
        .route("/health", get(models::health))
        .merge(guarded)
        .fallback(|| async { ApiError::no_route() })
        .method_not_allowed_fallback(|| async { ApiError::no_method() })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(server)
}
