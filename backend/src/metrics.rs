//! What Prometheus is told.

use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Buckets of a request's duration, seconds.
const BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The series of this process; cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    latency: HistogramVec,
    /// Live event streams that are open.
    pub event_streams: IntGauge,
    /// Jobs by kind and state (`waiting`, `running`, `delayed`).
    pub queue_jobs: IntGaugeVec,
    /// Live workers.
    pub workers: IntGauge,
    /// 1 where a part answers.
    pub up: IntGaugeVec,
}

impl Metrics {
    /// # Errors
    /// If a name is not acceptable.
    pub fn new() -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("illumine_http_requests_total", "Requests answered"),
            &["method", "route", "status"],
        )?;
        let latency = HistogramVec::new(
            HistogramOpts::new(
                "illumine_http_request_seconds",
                "Time until the answer began",
            )
            .buckets(BUCKETS.to_vec()),
            &["method", "route"],
        )?;
        let event_streams = IntGauge::new("illumine_event_streams", "Live event streams")?;
        let queue_jobs = IntGaugeVec::new(
            Opts::new("illumine_queue_jobs", "Jobs by kind and state"),
            &["kind", "state"],
        )?;
        let workers = IntGauge::new("illumine_workers", "Live workers")?;
        let up = IntGaugeVec::new(
            Opts::new("illumine_up", "Whether a part answers"),
            &["part"],
        )?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        registry.register(Box::new(event_streams.clone()))?;
        registry.register(Box::new(queue_jobs.clone()))?;
        registry.register(Box::new(workers.clone()))?;
        registry.register(Box::new(up.clone()))?;
        Ok(Self {
            registry,
            requests,
            latency,
            event_streams,
            queue_jobs,
            workers,
            up,
        })
    }

    /// Counts an answered request. `route` is the pattern, never the path.
    pub fn answered(&self, method: &str, route: &str, status: u16, time: Duration) {
        self.requests
            .with_label_values(&[method, route, &status.to_string()])
            .inc();
        self.latency
            .with_label_values(&[method, route])
            .observe(time.as_secs_f64());
    }

    /// All series in the text format.
    ///
    /// # Errors
    /// If a series cannot be written.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}
