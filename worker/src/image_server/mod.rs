//! `illumine image-server`: a Qwen-Image or Qwen-Image-Edit model over HTTP.
//!
//! ```text
//! POST /generate/  POST /edit/ ──request──▶ studio ──▶ {"status": "success", "images": [base64 PNG]}
//! GET  /health  /info  /metrics  /progress/{request_id}      POST /unload
//! ```
//!
//! The interface is that of LLM-I's `examples/qwen_image_deployment/server.py`, so that
//! either side can be swapped; guidance, count, size and seed are honoured, requests
//! are drawn together where they can, and the others are answered meanwhile. Errors have
//! FastAPI's shape, `{"detail": …}`.

mod draw;
mod error;
mod figures;
mod progress;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use illumine_guard::{Allow, Guard};
use illumine_models::qwen_image::ImageMode;
use illumine_models::qwen_image::studio::Studio;
use illumine_tools::fetch::PictureFetcher;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::error::ApiError;
use crate::llm_server::is_key;

/// Bytes of a request: a picture in base64.
const MAX_BODY: usize = 48 * 1024 * 1024;

/// A large picture takes a core for a while.
const ENCODING: usize = 2;

/// What every handler knows.
pub struct Server {
    pub studio: Studio,
    /// As configured.
    pub model_path: String,
    /// Asked of every caller when set.
    pub api_key: Option<String>,
    /// Checks pictures; nothing is fetched.
    checker: PictureFetcher,
    progress: progress::Board,
    /// Pictures that may wait.
    queue: usize,
    /// Pictures encoded or decoded at the same time.
    encoding: Semaphore,
}

impl Server {
    /// Serves `studio`, in which `queue` pictures may wait.
    pub fn new(studio: Studio, queue: usize, model_path: String, api_key: Option<String>) -> Self {
        Self {
            studio,
            model_path,
            api_key,
            checker: PictureFetcher::new(Guard::new(Allow::default())),
            progress: progress::Board::default(),
            queue,
            encoding: Semaphore::new(ENCODING),
        }
    }

    fn mode(&self) -> &'static str {
        mode_name(self.studio.info().mode)
    }
}

/// As `--mode` and the interface call it.
pub const fn mode_name(mode: ImageMode) -> &'static str {
    match mode {
        ImageMode::Generation => "generation",
        ImageMode::Edit => "edit",
    }
}

/// Every route; with and without the slash at the end.
pub fn router(server: Server) -> Router {
    let server = Arc::new(server);
    let guarded = Router::new()
        .route("/generate/", post(draw::generate))
        .route("/generate", post(draw::generate))
        .route("/edit/", post(draw::edit))
        .route("/edit", post(draw::edit))
        .route("/info", get(info))
        .route(
            "/progress/{request_id}",
            get(progress::show).delete(progress::cancel),
        )
        .route("/unload", post(unload))
        .route("/metrics", get(figures::show))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&server),
            check_key,
        ));
    let missing = || async { ApiError::new(StatusCode::NOT_FOUND, "Not Found") };
    let no_method =
        || async { ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed") };
    Router::new()
        .route("/health", get(health))
        .merge(guarded)
        .fallback(missing)
        .method_not_allowed_fallback(no_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(server)
}

async fn check_key(
    State(server): State<Arc<Server>>,
    request: axum::extract::Request,
    next: middleware::Next,
) -> Result<axum::response::Response, ApiError> {
    match &server.api_key {
        Some(key) if !is_key(request.headers(), key) => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "this server asks for a key; send `Authorization: Bearer <key>`",
        )),
        _ => Ok(next.run(request).await),
    }
}

async fn health(State(server): State<Arc<Server>>) -> Json<Value> {
    Json(json!({"status": "ok", "mode": server.mode()}))
}

async fn info(State(server): State<Arc<Server>>) -> Json<Value> {
    let (info, metrics) = (server.studio.info(), server.studio.metrics());
    let gpus = std::env::var("CUDA_VISIBLE_DEVICES");
    let endpoint = match info.mode {
        ImageMode::Generation => "/generate/",
        ImageMode::Edit => "/edit/",
    };
    Json(json!({
        "mode": server.mode(),
        "model_path": server.model_path,
        "cuda_visible_devices": gpus.unwrap_or_else(|_| "N/A".to_owned()),
        "available_endpoints": [endpoint],
        "model": {
            "device": info.device,
            "weights_bytes": info.weights,
            "width": info.width,
            "height": info.height,
            "side_multiple": info.side_multiple,
            "num_inference_steps": info.steps,
            "guidance_scale": info.guidance,
            "pictures": info.most_pictures,
            "loaded": metrics.loaded,
        },
        "queue": {"waiting": metrics.waiting, "drawing": metrics.drawing, "limit": server.queue},
    }))
}

/// Frees the memory of the weights until the next request, unless it draws.
async fn unload(State(server): State<Arc<Server>>) -> Json<Value> {
    Json(json!({"unloaded": server.studio.unload()}))
}
