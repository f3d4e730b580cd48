//! The studio's figures in Prometheus' text format.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use illumine_models::qwen_image::studio::StudioMetrics;

use super::Server;

pub async fn show(State(server): State<Arc<Server>>) -> impl IntoResponse {
    let text = render(&server.studio.metrics());
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

fn render(metrics: &StudioMetrics) -> String {
    let rows: [(&str, f64, &str, &str); 11] = [
        (
            "requests_total",
            metrics.requests_total as f64,
            "Requests taken in.",
            "counter",
        ),
        (
            "pictures_total",
            metrics.drawn_total as f64,
            "Pictures drawn.",
            "counter",
        ),
        (
            "cancelled_total",
            metrics.cancelled_total as f64,
            "Requests cancelled.",
            "counter",
        ),
        (
            "failed_total",
            metrics.failed_total as f64,
            "Requests that failed.",
            "counter",
        ),
        (
            "refused_total",
            metrics.refused_total as f64,
            "Requests refused as busy.",
            "counter",
        ),
        (
            "loads_total",
            metrics.loads_total as f64,
            "Times the model was loaded.",
            "counter",
        ),
        (
            "waiting",
            metrics.waiting as f64,
            "Requests that wait.",
            "gauge",
        ),
        (
            "drawing",
            metrics.drawing as f64,
            "Requests being drawn.",
            "gauge",
        ),
        (
            "seconds_per_step",
            metrics.seconds_a_step,
            "Of a denoising step, of late.",
            "gauge",
        ),
        (
            "seconds_per_batch",
            metrics.seconds_a_batch,
            "Of a batch, of late.",
            "gauge",
        ),
        (
            "loaded",
            f64::from(u8::from(metrics.loaded)),
            "Whether the model is in memory.",
            "gauge",
        ),
    ];
    let mut text = String::new();
    for (name, value, help, kind) in rows {
        let name = format!("illumine_image_{name}");
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
        let metrics = StudioMetrics {
            drawn_total: 7,
            loaded: true,
            ..StudioMetrics::default()
        };
        let text = render(&metrics);
        assert!(text.contains(
            "# TYPE illumine_image_pictures_total counter\nillumine_image_pictures_total 7\n"
        ));
        assert!(text.contains("# TYPE illumine_image_loaded gauge\nillumine_image_loaded 1\n"));
    }
}
