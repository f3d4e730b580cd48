//! A policy server on loopback with OpenAI's streaming protocol, whose words
//! and faults a test chooses.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::routing::post;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::json;
use tokio::net::TcpListener;

/// What the policy says, and how slowly.
#[derive(Clone, Debug)]
pub struct Script {
    pub text: String,
    /// Pause before each piece.
    pub pause: Duration,
    /// Characters a piece.
    pub piece: usize,
    /// The connection breaks after this many pieces.
    pub break_after: Option<usize>,
}

impl Script {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            pause: Duration::ZERO,
            piece: 12,
            break_after: None,
        }
    }

    #[must_use]
    pub fn slowly(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

#[derive(Clone)]
struct Shared {
    script: Arc<Mutex<Script>>,
    requests: Arc<AtomicUsize>,
}

/// The running server; it ends with the value.
pub struct Policy {
    pub address: SocketAddr,
    shared: Shared,
    task: tokio::task::JoinHandle<()>,
}

impl Policy {
    /// # Errors
    /// If no port is to be had.
    pub async fn start(script: Script) -> Result<Self> {
        let shared = Shared {
            script: Arc::new(Mutex::new(script)),
            requests: Arc::new(AtomicUsize::new(0)),
        };
        let app = Router::new()
            .route("/v1/chat/completions", post(complete))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            address,
            shared,
            task,
        })
    }

    /// What `ILLUMINE_POLICY` takes.
    #[must_use]
    pub fn spec(&self) -> String {
        format!("openai:http://{}/v1#scripted", self.address)
    }

    /// From the next request on.
    pub fn say(&self, script: Script) {
        *self
            .shared
            .script
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = script;
    }

    #[must_use]
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Events = BoxStream<'static, Result<Event, std::io::Error>>;

async fn complete(State(shared): State<Shared>) -> Sse<Events> {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let script = shared
        .script
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let characters: Vec<char> = script.text.chars().collect();
    let pieces: Vec<String> = characters
        .chunks(script.piece.max(1))
        .map(|piece| piece.iter().collect())
        .collect();
    let whole = script.break_after.is_none();
    let said = script.break_after.unwrap_or(pieces.len());
    let pause = script.pause;
    let words = stream::iter(pieces.into_iter().take(said)).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok(chunk(&json!({"content": piece}), None))
    });
    let end = stream::iter(if whole {
        vec![
            Ok(chunk(&json!({}), Some("stop"))),
            Ok(Event::default().data("[DONE]")),
        ]
    } else {
        vec![Err(std::io::Error::other("the connection breaks here"))]
    });
    Sse::new(words.chain(end).boxed())
}

fn chunk(delta: &serde_json::Value, finish: Option<&str>) -> Event {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]
    });
    Event::default().data(body.to_string())
}
