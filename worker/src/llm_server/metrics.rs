//! The engine's figures in Prometheus' text format.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use illumine_models::engine::Metrics;

use super::Server;

pub async fn show(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let text = render(&server.engine.metrics());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

fn render(metrics: &Metrics) -> String {
    let gauges: [(&str, f64, &str); 6] = [
        (
            "requests_running",
            metrics.running as f64,
            "Requests being read or written.",
        ),
        (
            "requests_waiting",
            metrics.waiting as f64,
            "Requests that wait.",
        ),
        (
            "tokens_per_second",
            metrics.tokens_per_s,
            "Tokens written a second, lately.",
        ),
        (
            "kv_used_bytes",
            metrics.kv_used_bytes as f64,
            "Keys and values held.",
        ),
        (
            "kv_prefix_bytes",
            metrics.kv_prefix_bytes as f64,
            "Of those, kept for reuse.",
        ),
        (
            "kv_budget_bytes",
            metrics.kv_budget_bytes as f64,
            "Keys and values that may be held.",
        ),
    ];
    let counters: [(&str, u64, &str); 5] = [
        (
            "requests_total",
            metrics.requests_total,
            "Requests that ended.",
        ),
        (
            "prompt_tokens_total",
            metrics.prompt_tokens_total,
            "Prompt tokens taken in.",
        ),
        (
            "cache_hit_tokens_total",
            metrics.cache_hit_tokens_total,
            "Prompt tokens read before.",
        ),
        (
            "completion_tokens_total",
            metrics.completion_tokens_total,
            "Tokens written.",
        ),
        (
            "preemptions_total",
            metrics.preemptions_total,
            "Requests that had to be read again.",
        ),
    ];
    let mut text = String::new();
    let gauges = gauges.map(|(name, value, help)| (name, value.to_string(), help, "gauge"));
    let counters = counters.map(|(name, value, help)| (name, value.to_string(), help, "counter"));
    for (name, value, help, kind) in gauges.into_iter().chain(counters) {
        let name = format!("illumine_llm_{name}");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_has_its_kind_and_value() {
        let metrics = Metrics {
            running: 3,
            requests_total: 7,
            ..Metrics::default()
        };
        let text = render(&metrics);
        assert!(text.contains(
            "# TYPE illumine_llm_requests_running gauge\nillumine_llm_requests_running 3\n"
        ));
        assert!(text.contains(
            "# TYPE illumine_llm_requests_total counter\nillumine_llm_requests_total 7\n"
        ));
    }
}
