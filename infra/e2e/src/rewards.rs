//! The reward service as jobs on Ray see it: busy at first, then scoring, now and then
//! without a verdict.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::extract::{Json, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The running server; it ends with the value.
pub struct Rewards {
    /// What `ILLUMINE_PUBLIC_URL` takes.
    pub address: String,
    asked: Asked,
    task: tokio::task::JoinHandle<()>,
}

/// Bearer keys and questions, in order.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

impl Rewards {
    /// # Errors
    /// If no port is to be had.
    pub async fn start() -> Result<Self> {
        let asked = Asked::default();
        let app = Router::new()
            .route("/api/v1/rewards", post(score))
            .with_state(Arc::clone(&asked));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            asked,
            task,
        })
    }

    /// Bearer keys and questions so far.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Rewards {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn score(
    State(asked): State<Asked>,
    headers: HeaderMap,
    Json(question): Json<Value>,
) -> Response {
    let key = headers.get(header::AUTHORIZATION);
    let key = key.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let number = {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((key.unwrap_or_default().to_owned(), question.clone()));
        asked.len()
    };
    if number == 1 {
        let soon = [(header::RETRY_AFTER, "0.2")];
        return (StatusCode::SERVICE_UNAVAILABLE, soon, "busy").into_response();
    }
    let titled = question["answer"]
        .as_str()
        .is_some_and(|text| text.starts_with('#'));
    let verdict = match (number % 7, titled) {
        (6, _) => json!({"status": "excluded", "code": "judge_failed", "reason": "asleep"}),
        (_, true) => json!({"status": "scored", "reward": 0.75}),
        (_, false) => json!({"status": "scored", "reward": 0.25}),
    };
    Json(json!({"id": "rwd_1", "verdict": verdict, "breakdown": {}})).into_response()
}
