//! `GET /api/v1/generations/{id}/events`: the document while it grows.

use actix_web::http::header;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use futures::{StreamExt, stream};
use illumine_types::{Event, Problem};

use super::visible_job;
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::query::Parameters;
use crate::state::State;
use crate::{ids, sse};

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
    let after = last_event_id(&request)?;
    let job = visible_job(&state, &caller, &id).await?;
    let mut events = state.store.events().follow(&id, after.clone()).await?;
    if job.status.is_final() && after.is_some() {
        match events.next().await {
            None => return Ok(HttpResponse::NoContent().finish()),
            Some(first) => events = stream::once(async { first }).chain(events).boxed(),
        }
    }
    let open = state.metrics.event_streams.clone();
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Asks nginx not to hold events back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(sse::body(events, state.stopping.clone(), open)))
}

fn last_event_id(request: &HttpRequest) -> Result<Option<String>> {
    let query = Parameters::read(request, &["last_event_id"])?;
    let header = match request.headers().get("last-event-id") {
        None => None,
        Some(value) => Some(
            value
                .to_str()
                .map_err(|_| ApiError::InvalidEventId("the id is not text".into()))?,
        ),
    };
    // The header is newer: a browser sends it when it connects again.
    let given = header
        .filter(|text| !text.is_empty())
        .or(query.text("last_event_id"));
    Ok(given.map(str::to_owned))
}
