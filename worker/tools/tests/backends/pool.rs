//! A pool of image servers that are busy, slow or gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse;
use illumine_types::ToolKind;
use serde_json::json;

use crate::servers::{qwen, with_qwen};
use crate::world::{Server, draw, edit, png, png_base64, run, tool, with_parent};

/// Refuses while it is `full`, and says for how long.
async fn filling(full: &Arc<AtomicBool>, seconds: u64) -> Server {
    let full = Arc::clone(full);
    Server::start(move |_| {
        let full = full.load(Ordering::SeqCst);
        async move {
            let body = match full {
                true => json!({"detail": "busy: 32 requests wait"}),
                false => qwen(&[png_base64()]),
            };
            let status = match full {
                true => StatusCode::SERVICE_UNAVAILABLE,
                false => StatusCode::OK,
            };
            (status, [(RETRY_AFTER, seconds.to_string())], Json(body)).into_response()
        }
    })
    .await
}

#[tokio::test]
async fn a_busy_server_is_left_alone_for_as_long_as_it_says() {
    let (full, free) = (
        Arc::new(AtomicBool::new(true)),
        Arc::new(AtomicBool::new(false)),
    );
    let (busy, other) = (filling(&full, 60).await, filling(&free, 60).await);
    let tool = tool(&with_qwen(&[busy.url(), other.url()]), ToolKind::Diffusion);
    for number in 0..6 {
        let made = run(&tool, &draw(&format!("fox {number}"))).await.unwrap();
        assert_eq!(
            made.provenance.attempts, 1,
            "another server is the same attempt"
        );
    }
    assert_eq!((busy.seen().len(), other.seen().len()), (1, 6));
}

#[tokio::test]
async fn when_all_are_busy_the_first_that_is_free_is_waited_for() {
    let full = Arc::new(AtomicBool::new(true));
    let (long, short) = (filling(&full, 3600).await, filling(&full, 1).await);
    let tool = tool(&with_qwen(&[long.url(), short.url()]), ToolKind::Edit);
    let begun = Instant::now();
    let (call, context) = (edit("snow"), with_parent(png()));
    let drawing = async {
        let (made, ()) = tokio::join!(tool.run(&call, &context), async {
            while short.seen().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            full.store(false, Ordering::SeqCst);
        });
        made
    };
    let made = drawing.await.unwrap();
    assert_eq!(made.provenance.attempts, 2);
    assert!((1..20).contains(&begun.elapsed().as_secs()));
    assert_eq!((long.seen().len(), short.seen().len()), (1, 2));
}

#[tokio::test]
async fn a_wait_that_is_too_long_is_told_and_nobody_is_asked_meanwhile() {
    let full = Arc::new(AtomicBool::new(true));
    let busy = filling(&full, 300).await;
    let tool = tool(&with_qwen(&[busy.url()]), ToolKind::Diffusion);
    for _ in 0..3 {
        let error = run(&tool, &draw("a fox")).await.unwrap_err();
        assert_eq!(error.code(), "backend_busy");
        assert!(
            error.is_transient() && error.to_string().contains("busy"),
            "{error}"
        );
    }
    assert_eq!(busy.seen().len(), 1);
}

#[tokio::test]
async fn a_dead_server_beside_a_busy_one_does_not_hide_when_it_is_free() {
    let full = Arc::new(AtomicBool::new(true));
    let busy = filling(&full, 300).await;
    // Nothing listens there.
    let dead = "http://127.0.0.1:1".to_owned();
    let tool = tool(&with_qwen(&[busy.url(), dead]), ToolKind::Diffusion);
    for _ in 0..2 {
        let error = run(&tool, &draw("a fox")).await.unwrap_err();
        assert_eq!(error.code(), "backend_busy", "{error}");
    }
}
