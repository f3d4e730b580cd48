//! `/api/v1/queue`, `/workers`: how full, who works. For administrators.

use actix_web::web::{self, Data, Json, Path, ServiceConfig};
use illumine_store::queue::QueueLength;
use illumine_types::JobKind;
use illumine_types::Problem;
use illumine_types::api::{Page, QueueStatus};
use illumine_types::capability::WorkerInfo;

use super::{get, resource};
use crate::auth::Admin;
use crate::error::{ApiError, Result};
use crate::state::State;

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/queue", "GET").route(get().to(queue)))
        .service(resource("/queue/{kind}/pause", "POST").route(web::post().to(pause)))
        .service(resource("/queue/{kind}/resume", "POST").route(web::post().to(resume)))
        .service(resource("/workers", "GET").route(get().to(workers)));
}

/// The queue of each kind of job.
#[utoipa::path(
    get,
    path = "/api/v1/queue",
    tag = "administration",
    responses((status = 200, body = Page<QueueStatus>)),
)]
pub async fn queue(state: Data<State>, _admin: Admin) -> Result<Json<Page<QueueStatus>>> {
    let lengths = state.store.queue().lengths().await?;
    Ok(Json(Page {
        items: lengths.into_iter().map(status).collect(),
        next_cursor: None,
    }))
}

/// Hands out no more jobs of a kind; running ones go on.
#[utoipa::path(
    post,
    path = "/api/v1/queue/{kind}/pause",
    tag = "administration",
    params(("kind" = JobKind, Path)),
    responses(
        (status = 200, body = QueueStatus),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn pause(
    kind: Path<String>,
    state: Data<State>,
    _admin: Admin,
) -> Result<Json<QueueStatus>> {
    let kind = known_kind(&kind)?;
    state.store.queue().pause(kind).await?;
    status_of(&state, kind).await
}

/// Hands out jobs of a kind again.
#[utoipa::path(
    post,
    path = "/api/v1/queue/{kind}/resume",
    tag = "administration",
    params(("kind" = JobKind, Path)),
    responses(
        (status = 200, body = QueueStatus),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn resume(
    kind: Path<String>,
    state: Data<State>,
    _admin: Admin,
) -> Result<Json<QueueStatus>> {
    let kind = known_kind(&kind)?;
    state.store.queue().resume(kind).await?;
    status_of(&state, kind).await
}

/// Workers with a recent heartbeat.
#[utoipa::path(
    get,
    path = "/api/v1/workers",
    tag = "administration",
    responses((status = 200, body = Page<WorkerInfo>)),
)]
pub async fn workers(state: Data<State>, _admin: Admin) -> Result<Json<Page<WorkerInfo>>> {
    Ok(Json(Page {
        items: state.store.queue().workers().await?,
        next_cursor: None,
    }))
}

fn known_kind(word: &str) -> Result<JobKind> {
    JobKind::parse(word).ok_or_else(|| ApiError::not_found("queue", word))
}

async fn status_of(state: &State, kind: JobKind) -> Result<Json<QueueStatus>> {
    let lengths = state.store.queue().lengths().await?;
    let found = lengths.into_iter().find(|length| length.kind == kind);
    let found = found.ok_or_else(|| ApiError::not_found("queue", kind.as_str()))?;
    Ok(Json(status(found)))
}

fn status(length: QueueLength) -> QueueStatus {
    QueueStatus {
        kind: length.kind,
        waiting: length
            .waiting
            .into_iter()
            .map(|(priority, jobs)| (priority.to_owned(), jobs))
            .collect(),
        running: length.running,
        delayed: length.delayed,
        paused: length.paused,
    }
}
