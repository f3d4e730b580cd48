//! `/api/v1`, one function a call. Same origin; the session is a cookie.

mod client;
mod datasets;
mod error;
mod events;
mod training;

pub use client::{on_signed_out, server_now_ms};
pub use datasets::{dataset, dataset_rows, datasets, delete_dataset, upload_dataset};
pub use error::ApiError;
pub use events::{Connection, EventStream};
pub use training::{
    checkpoint_url, checkpoints, delete_training_run, metrics, policy_choice, resume_training_run,
    stop_training_run, tensorboard_url, train, training_run, training_runs, training_samples,
    use_checkpoint, use_configured_policy,
};

use illumine_types::api::{
    Accepted, GenerationRequest, Page, RedrawRequest, Session, SignIn, UploadedInput,
};
use illumine_types::capability::Capabilities;
use illumine_types::{Document, Job};

use client::{delete, get, post, post_form, post_with_key};

/// Where the API lives.
const BASE: &str = "/api/v1";

pub async fn session() -> Result<Session, ApiError> {
    get("/session").await
}

pub async fn sign_in(key: String) -> Result<(), ApiError> {
    post("/session", &SignIn { key }).await.map(drop)
}

pub async fn sign_out() -> Result<(), ApiError> {
    delete("/session").await
}

pub async fn capabilities() -> Result<Capabilities, ApiError> {
    get("/capabilities").await
}

/// Asking again with the same key and request answers the first job.
pub async fn generate(
    request: &GenerationRequest,
    idempotency_key: &str,
) -> Result<Accepted, ApiError> {
    client::read(post_with_key("/generations", request, idempotency_key).await?).await
}

/// `path` is a filter's.
pub async fn jobs(path: &str) -> Result<Page<Job>, ApiError> {
    get(path).await
}

pub async fn job(id: &str) -> Result<Job, ApiError> {
    get(&format!("/generations/{id}")).await
}

pub async fn cancel(id: &str) -> Result<(), ApiError> {
    let path = format!("/generations/{id}/cancel");
    post(&path, &serde_json::json!({})).await.map(drop)
}

pub async fn retry(id: &str) -> Result<(), ApiError> {
    let path = format!("/generations/{id}/retry");
    post(&path, &serde_json::json!({})).await.map(drop)
}

pub async fn delete_generation(id: &str) -> Result<(), ApiError> {
    delete(&format!("/generations/{id}")).await
}

pub async fn document(id: &str) -> Result<Document, ApiError> {
    get(&format!("/documents/{id}")).await
}

/// Where a document is downloaded in another form.
pub fn document_url(id: &str, format: &str) -> String {
    format!("{BASE}/documents/{id}?format={format}")
}

/// Answers a job of its own, with events of its own.
pub async fn redraw(id: &str, index: usize, request: &RedrawRequest) -> Result<Accepted, ApiError> {
    let path = format!("/documents/{id}/images/{index}/redraw");
    client::read(post(&path, request).await?).await
}

pub async fn upload(file: &web_sys::File) -> Result<UploadedInput, ApiError> {
    let form = web_sys::FormData::new().map_err(ApiError::from_js)?;
    form.append_with_blob_and_filename("file", file, &file.name())
        .map_err(ApiError::from_js)?;
    client::read(post_form("/inputs", form).await?).await
}
