//! One job: its state, and steering it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use illumine_types::api::Accepted;
use illumine_types::{Job, Problem};

use super::visible_job;
use crate::auth::Caller;
use crate::error::Result;
use crate::ids;
use crate::state::State;

/// A job's state.
#[utoipa::path(
    get,
    path = "/api/v1/generations/{id}",
    tag = "generations",
    responses(
        (status = 200, body = Job),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get_one(id: Path<String>, state: Data<State>, caller: Caller) -> Result<Json<Job>> {
    let id = ids::drawing_job(&id)?;
    Ok(Json(visible_job(&state, &caller, &id).await?))
}

/// Stops a job: at once if it waits, within seconds if it runs. What was
/// written so far is kept.
#[utoipa::path(
    post,
    path = "/api/v1/generations/{id}/cancel",
    tag = "generations",
    responses(
        (status = 200, description = "The job as it is now", body = Job),
        (status = 409, description = "It has ended already", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn cancel(id: Path<String>, state: Data<State>, caller: Caller) -> Result<Json<Job>> {
    let id = ids::drawing_job(&id)?;
    visible_job(&state, &caller, &id).await?;
    Ok(Json(state.store.jobs().cancel(&id).await?))
}

/// Queues a failed or cancelled job again.
#[utoipa::path(
    post,
    path = "/api/v1/generations/{id}/retry",
    tag = "generations",
    responses(
        (status = 202, body = Accepted),
        (status = 409, description = "It has not failed", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn retry(id: Path<String>, state: Data<State>, caller: Caller) -> Result<HttpResponse> {
    let id = ids::drawing_job(&id)?;
    visible_job(&state, &caller, &id).await?;
    let job = state.store.jobs().retry(&id).await?;
    Ok(HttpResponse::Accepted().json(Accepted::generation(job.id, job.status)))
}

/// Removes a job with its document, its events, and pictures that no other
/// document uses. A running job is cancelled first.
#[utoipa::path(
    delete,
    path = "/api/v1/generations/{id}",
    tag = "generations",
    responses(
        (status = 204, description = "Removed"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It does not stop running; ask again", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(id: Path<String>, state: Data<State>, caller: Caller) -> Result<HttpResponse> {
    let id = ids::drawing_job(&id)?;
    visible_job(&state, &caller, &id).await?;
    state.store.jobs().delete(&id).await?;
    Ok(HttpResponse::NoContent().finish())
}
