//! `GET /api/v1/training-runs/{id}/events`: a run while it trains.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use illumine_types::{Event, Problem};

use super::known_run;
use crate::auth::Admin;
use crate::error::Result;
use crate::routes::following::follow;
use crate::state::State;

/// Follows a run over server-sent events: `metrics` of each step and `log`
/// lines, until `completed`, `failed` or `cancelled`.
///
/// Ids, `Last-Event-ID` and 204 after the end are as for generations.
#[utoipa::path(
    get,
    path = "/api/v1/training-runs/{id}/events",
    tag = "training",
    params(
        ("Last-Event-ID" = Option<String>, Header),
        ("last_event_id" = Option<String>, Query),
    ),
    responses(
        (status = 200, description = "Events; `data` of each is an `Event`", body = Event, content_type = "text/event-stream"),
        (status = 204, description = "Nothing follows the given event"),
        (status = 400, description = "Not an event's id", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn events(
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
    _admin: Admin,
) -> Result<HttpResponse> {
    let job = known_run(&state, &id).await?;
    follow(&request, &state, &job).await
}
