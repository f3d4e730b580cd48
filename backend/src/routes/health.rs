//! `/healthz`, `/readyz`, `/metrics`: for those who run this.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, ServiceConfig};
use illumine_store::PartHealth;
use serde::Serialize;
use tokio::time::timeout;

use super::{get, resource};
use crate::error::{ApiError, Result};
use crate::state::State;

/// Longest wait for the stores before they count as away.
const LIMIT: Duration = Duration::from_secs(5);

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/healthz", "GET").route(get().to(healthz)))
        .service(resource("/readyz", "GET").route(get().to(readyz)))
        .service(resource("/metrics", "GET").route(get().to(metrics)));
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Alive {
    pub status: &'static str,
    pub version: &'static str,
}

/// The process answers; nothing else is asked.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()), responses((status = 200, body = Alive)))]
pub async fn healthz() -> Json<Alive> {
    Json(Alive {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// One part's state.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Part {
    pub ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Why not, when not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Whether documents can be made now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Readiness {
    pub ready: bool,
    pub redis: Part,
    pub s3: Part,
    /// At least one worker lives.
    pub workers: Part,
}

/// Whether documents can be made now; 503 with the part that is not ready.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    security(()),
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)),
)]
pub async fn readyz(state: Data<State>) -> HttpResponse {
    let readiness = readiness(&state).await;
    let mut response = if readiness.ready {
        HttpResponse::Ok()
    } else {
        HttpResponse::ServiceUnavailable()
    };
    response.json(readiness)
}

async fn readiness(state: &State) -> Readiness {
    let (redis, s3) = match timeout(LIMIT, state.store.health()).await {
        Ok(health) => (part("redis", health.redis), part("s3", health.s3)),
        Err(_) => (slow(), slow()),
    };
    let workers = match live_workers(state).await {
        Some(0) => Part {
            ready: false,
            latency_ms: None,
            detail: Some("no worker is running".into()),
        },
        Some(_) => Part {
            ready: true,
            latency_ms: None,
            detail: None,
        },
        None => slow(),
    };
    Readiness {
        ready: redis.ready && s3.ready && workers.ready,
        redis,
        s3,
        workers,
    }
}

/// The reason goes to the log: addresses are nobody's business here.
fn part(name: &'static str, health: PartHealth) -> Part {
    if let Some(error) = &health.error {
        tracing::warn!(part = name, error, "not ready");
    }
    Part {
        ready: health.ok,
        latency_ms: health.ok.then_some(health.latency_ms),
        detail: (!health.ok)
            .then(|| "it does not answer as it should; the log has the reason".into()),
    }
}

fn slow() -> Part {
    Part {
        ready: false,
        latency_ms: None,
        detail: Some("no answer".into()),
    }
}

async fn live_workers(state: &State) -> Option<usize> {
    let workers = timeout(LIMIT, state.store.queue().workers()).await;
    Some(workers.ok()?.ok()?.len())
}

/// Requests, queues and workers in Prometheus's text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    security(()),
    responses((status = 200, body = String, content_type = "text/plain")),
)]
pub async fn metrics(state: Data<State>) -> Result<HttpResponse> {
    let series = &state.metrics;
    let readiness = readiness(&state).await;
    for (name, part) in [("redis", &readiness.redis), ("s3", &readiness.s3)] {
        series.up.with_label_values(&[name]).set(part.ready.into());
    }
    if let Some(workers) = live_workers(&state).await {
        series
            .workers
            .set(i64::try_from(workers).unwrap_or(i64::MAX));
    }
    if let Ok(Ok(lengths)) = timeout(LIMIT, state.store.queue().lengths()).await {
        for length in lengths {
            let kind = length.kind.as_str();
            let waiting: u64 = length.waiting.values().sum();
            for (name, jobs) in [
                ("waiting", waiting),
                ("running", length.running),
                ("delayed", length.delayed),
            ] {
                let jobs = i64::try_from(jobs).unwrap_or(i64::MAX);
                series.queue_jobs.with_label_values(&[kind, name]).set(jobs);
            }
        }
    }
    let text = series.text().map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}
