//! `GET /api/v1/training-runs/{id}/tensorboard`.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path};
use illumine_types::Problem;
use illumine_types::training::tensorboard;

use super::known_run;
use crate::auth::Admin;
use crate::error::{ApiError, Result};
use crate::state::State;

/// What a run measured, as a file of events for TensorBoard.
///
/// Put it into a folder of its own and start `tensorboard --logdir` on the folder above.
#[utoipa::path(
    get,
    path = "/api/v1/training-runs/{id}/tensorboard",
    tag = "training",
    responses(
        (status = 200, description = "A TFRecord file of `Event`s", content_type = "application/octet-stream"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn events(id: Path<String>, state: Data<State>, _admin: Admin) -> Result<HttpResponse> {
    let job = known_run(&state, &id).await?;
    let lines = state.store.training().metrics(&job.id).await?;
    let begun = job.started_at.unwrap_or(job.created_at);
    let seconds = begun.timestamp_millis() as f64 / 1000.0;
    let file = tokio::task::spawn_blocking(move || {
        tensorboard::file(&String::from_utf8_lossy(&lines), seconds)
    })
    .await
    .map_err(ApiError::internal)?;
    // TensorBoard takes files with this in their names alone.
    let name = format!("events.out.tfevents.{}.{}", begun.timestamp(), job.id);
    let disposition = format!("attachment; filename=\"{name}\"");
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(file))
}
