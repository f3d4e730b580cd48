//! One run: its state, and steering it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use illumine_types::training::{TrainingRun, TrainingRunAccepted};
use illumine_types::{Job, Problem};

use super::{known_run, whole_run};
use crate::auth::Admin;
use crate::error::{ApiError, Result};
use crate::state::State;

/// A run: its job, its whole configuration, and how far it is.
#[utoipa::path(
    get,
    path = "/api/v1/training-runs/{id}",
    tag = "training",
    responses(
        (status = 200, body = TrainingRun),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get_one(
    id: Path<String>,
    state: Data<State>,
    _admin: Admin,
) -> Result<Json<TrainingRun>> {
    let job = known_run(&state, &id).await?;
    let run = whole_run(&state, job).await?;
    run.map(Json)
        .ok_or_else(|| ApiError::internal(format!("the configuration of {id} cannot be read")))
}

/// Stops a run: at once if it waits, after its step if it runs. It can be
/// resumed.
#[utoipa::path(
    post,
    path = "/api/v1/training-runs/{id}/stop",
    tag = "training",
    responses(
        (status = 200, description = "The job as it is now", body = Job),
        (status = 409, description = "It has ended already", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn stop(id: Path<String>, state: Data<State>, _admin: Admin) -> Result<Json<Job>> {
    let job = known_run(&state, &id).await?;
    Ok(Json(state.store.jobs().cancel(&job.id).await?))
}

/// Queues a stopped or failed run again; it goes on from its last checkpoint.
#[utoipa::path(
    post,
    path = "/api/v1/training-runs/{id}/resume",
    tag = "training",
    responses(
        (status = 202, body = TrainingRunAccepted),
        (status = 409, description = "It was neither stopped nor has it failed", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn resume(id: Path<String>, state: Data<State>, _admin: Admin) -> Result<HttpResponse> {
    let job = known_run(&state, &id).await?;
    let job = state.store.jobs().retry(&job.id).await?;
    Ok(HttpResponse::Accepted().json(TrainingRunAccepted::new(job.id, job.status)))
}

/// Removes a run with its metrics, samples and checkpoints. A running one is
/// stopped first.
#[utoipa::path(
    delete,
    path = "/api/v1/training-runs/{id}",
    tag = "training",
    responses(
        (status = 204, description = "Removed"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Its checkpoint is in use, or it does not stop running: ask again", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(id: Path<String>, state: Data<State>, _admin: Admin) -> Result<HttpResponse> {
    let job = known_run(&state, &id).await?;
    let choice = state.store.training().choice().await?;
    if let Some(choice) = choice.filter(|choice| choice.run == job.id) {
        return Err(ApiError::WrongState(format!(
            "documents are written by its checkpoint after step {}: use another, or DELETE \
             /api/v1/policy, before removing the run",
            choice.step
        )));
    }
    state.store.jobs().delete(&job.id).await?;
    Ok(HttpResponse::NoContent().finish())
}
