//! A job's events as an answer, for jobs of every kind.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use futures::{StreamExt, stream};
use illumine_types::Job;

use crate::error::{ApiError, Result};
use crate::query::Parameters;
use crate::sse;
use crate::state::State;

/// Streams everything so far, or what came after the event that the request
/// names, then what happens. 204 if nothing follows the final event.
///
/// # Errors
/// `invalid_event_id`, `invalid_query`, `not_found`.
pub async fn follow(request: &HttpRequest, state: &State, job: &Job) -> Result<HttpResponse> {
    let after = last_event_id(request)?;
    let mut events = state.store.events().follow(&job.id, after.clone()).await?;
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
