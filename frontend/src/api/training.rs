//! Training runs, for admins.

use illumine_types::api::Page;
use illumine_types::training::{
    Checkpoint, MetricPoints, PolicyChoice, TrainingRun, TrainingRunAccepted, TrainingRunRequest,
    TrainingSamples,
};
use serde::Deserialize;
use serde_json::json;

use super::client::{self, delete, get, post, post_with_key};
use super::{ApiError, BASE};
use crate::state::filter::encoded;

/// A longer run is thinned out by the server.
const MOST_POINTS: usize = 2_000;

#[derive(Deserialize)]
struct Policy {
    choice: Option<PolicyChoice>,
}

/// Asking again with the same key and request answers the first run.
pub async fn train(
    request: &TrainingRunRequest,
    idempotency_key: &str,
) -> Result<TrainingRunAccepted, ApiError> {
    client::read(post_with_key("/training-runs", request, idempotency_key).await?).await
}

/// `path` is a page's.
pub async fn training_runs(path: &str) -> Result<Page<TrainingRun>, ApiError> {
    get(path).await
}

pub async fn training_run(id: &str) -> Result<TrainingRun, ApiError> {
    get(&run_path(id, "")).await
}

pub async fn delete_training_run(id: &str) -> Result<(), ApiError> {
    delete(&run_path(id, "")).await
}

/// Its curves as a file of events.
pub fn tensorboard_url(id: &str) -> String {
    format!("{BASE}{}", run_path(id, "/tensorboard"))
}

/// All that was measured so far; `keys` for only some of it.
pub async fn metrics(id: &str, keys: &[&str]) -> Result<MetricPoints, ApiError> {
    let keys = match keys {
        [] => String::new(),
        some => format!("&keys={}", some.join(",")),
    };
    let rest = format!("/metrics?max_points={MOST_POINTS}{keys}");
    get(&run_path(id, &rest)).await
}

/// Answers of a step, or of the newest one of which there are some.
pub async fn training_samples(id: &str, step: Option<u64>) -> Result<TrainingSamples, ApiError> {
    let step = step.map(|step| format!("?step={step}"));
    let rest = format!("/samples{}", step.unwrap_or_default());
    get(&run_path(id, &rest)).await
}

pub async fn checkpoints(id: &str) -> Result<Page<Checkpoint>, ApiError> {
    get(&run_path(id, "/checkpoints")).await
}

/// Where a file of a checkpoint is downloaded.
pub fn checkpoint_url(id: &str, step: u64, file: &str) -> String {
    let rest = format!("/checkpoints/{step}/{}", encoded(file));
    format!("{BASE}{}", run_path(id, &rest))
}

/// New documents are written by this checkpoint from now on.
pub async fn use_checkpoint(id: &str, step: u64) -> Result<PolicyChoice, ApiError> {
    let path = run_path(id, &format!("/checkpoints/{step}/use"));
    client::read(post(&path, &json!({})).await?).await
}

/// Which checkpoint writes new documents; none when it is the configured policy.
pub async fn policy_choice() -> Result<Option<PolicyChoice>, ApiError> {
    let policy: Policy = get("/policy").await?;
    Ok(policy.choice)
}

/// New documents are written by the configured policy again.
pub async fn use_configured_policy() -> Result<(), ApiError> {
    delete("/policy").await
}

/// The step under way is finished, and a checkpoint kept.
pub async fn stop_training_run(id: &str) -> Result<(), ApiError> {
    post(&run_path(id, "/stop"), &json!({})).await.map(drop)
}

/// Goes on from the last checkpoint.
pub async fn resume_training_run(id: &str) -> Result<TrainingRunAccepted, ApiError> {
    client::read(post(&run_path(id, "/resume"), &json!({})).await?).await
}

fn run_path(id: &str, rest: &str) -> String {
    // An id comes from the address bar.
    format!("/training-runs/{}{rest}", encoded(id))
}
