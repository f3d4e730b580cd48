//! Around every request: its id, its log line, its metrics, its headers; and a
//! panic becomes a plain 500.
//!
//! Logged are method, route, path, status and time; never a query, a header, a
//! body or a cookie.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web;
use futures::FutureExt;
use tracing::{Instrument, Level};

use crate::error::ApiError;
use crate::headers;
use crate::state::State;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps the whole application.
///
/// # Errors
/// A bare 500 if a handler panicked.
pub async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let started = Instant::now();
    let id = request_id(&request);
    let method = known_method(request.method());
    let path: String = request.path().chars().take(200).collect();
    let is_api = path.starts_with("/api/");
    let metrics = request
        .app_data::<web::Data<State>>()
        .map(|state| state.metrics.clone());
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let served = AssertUnwindSafe(next.call(request).instrument(span.clone()))
        .catch_unwind()
        .await;
    let _entered = span.enter();
    let mut response = match served {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            let status = error.as_response_error().status_code().as_u16();
            finish(metrics.as_ref(), method, "-", &path, status, started);
            return Err(error);
        }
        Err(_) => {
            finish(metrics.as_ref(), method, "-", &path, 500, started);
            return Err(ApiError::internal("a handler panicked").into());
        }
    };
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "-".into());
    finish(
        metrics.as_ref(),
        method,
        &route,
        &path,
        response.status().as_u16(),
        started,
    );
    response.headers_mut().insert(REQUEST_ID, id);
    headers::secure(response.headers_mut(), is_api);
    Ok(response)
}

fn finish(
    metrics: Option<&crate::metrics::Metrics>,
    method: &str,
    route: &str,
    path: &str,
    status: u16,
    started: Instant,
) {
    let elapsed = started.elapsed();
    if let Some(metrics) = metrics {
        metrics.answered(method, route, status, elapsed);
    }
    let elapsed_ms = elapsed.as_secs_f64() * 1000.0;
    // Probes and pictures would drown the rest.
    let is_chatter =
        matches!(path, "/healthz" | "/readyz" | "/metrics") || !path.starts_with("/api/");
    if is_chatter && status < 400 {
        tracing::event!(
            Level::DEBUG,
            method,
            route,
            path,
            status,
            elapsed_ms,
            "answered"
        );
    } else {
        tracing::event!(
            Level::INFO,
            method,
            route,
            path,
            status,
            elapsed_ms,
            "answered"
        );
    }
}

/// The client's own request id if it is short and plain, else a new one.
fn request_id(request: &ServiceRequest) -> HeaderValue {
    let given = request.headers().get(REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        (1..=64).contains(&bytes.len())
            && bytes
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    });
    given.cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&ulid::Ulid::new().to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("-"))
    })
}

/// Methods are labels of metrics: strange ones share a name.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// Sends logs to standard error; `RUST_LOG` chooses what, `json` how.
pub fn init(json: bool) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second call (in tests) keeps the first subscriber.
    let _ = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
}
