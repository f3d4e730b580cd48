//! `GET /api/v1/generations/{id}/events`: the document while it grows.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use illumine_types::{Event, Problem};

use super::visible_job;
use crate::auth::Caller;
use crate::error::Result;
use crate::ids;
use crate::routes::following::follow;
use crate::state::State;

/// Follows a job over server-sent events: everything so far, then what
/// happens, until `completed`, `failed` or `cancelled`.
///
/// Every event has an id; `Last-Event-ID` (as browsers send it), or the
/// parameter `last_event_id`, goes on after it. Asking again after the final
/// event answers 204, which tells a browser not to connect again.
#[utoipa::path(
    get,
    path = "/api/v1/generations/{id}/events",
    tag = "generations",
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
    caller: Caller,
) -> Result<HttpResponse> {
    let id = ids::drawing_job(&id)?;
    let job = visible_job(&state, &caller, &id).await?;
    follow(&request, &state, &job).await
}
