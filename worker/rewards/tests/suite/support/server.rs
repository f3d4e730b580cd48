//! A chat endpoint on loopback with OpenAI's streaming protocol.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::{StreamExt, stream};
use illumine_agent::policy::openai::OpenAiPolicy;
use serde_json::{Value, json};

/// How one request is answered.
#[derive(Clone)]
pub enum Answer {
    Say(String),
    /// As the function of the request says.
    Judge(fn(&Value) -> String),
    SayAfter(Duration, String),
    Status(u16, Option<&'static str>),
    /// Half an answer, then silence.
    Hang,
}

pub fn say(words: &str) -> Answer {
    Answer::Say(words.into())
}

#[derive(Clone, Default)]
pub struct Server {
    /// The last one is given again and again.
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: Arc<Mutex<Vec<Value>>>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
    abandoned: Arc<AtomicUsize>,
}

impl Server {
    /// A server, and a policy that asks it. A model whose name says `-vl` is
    /// taken to see.
    pub async fn start(answers: Vec<Answer>) -> (Self, Arc<OpenAiPolicy>) {
        let server = Self {
            answers: Arc::new(Mutex::new(answers.into())),
            ..Self::default()
        };
        let app = Router::new()
            .route("/v1/chat/completions", post(complete))
            .with_state(server.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let idle = Duration::from_secs(30);
        let policy = OpenAiPolicy::new(&base, "judge-vl", None, idle).unwrap();
        (server, Arc::new(policy))
    }

    pub fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn request(&self, n: usize) -> Value {
        self.requests.lock().unwrap()[n].clone()
    }

    /// Most requests that were open at once.
    pub fn most_open(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    /// Answers whose reader went away.
    pub fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::SeqCst)
    }
}

/// The text of the user's message.
pub fn user_text(request: &Value) -> String {
    let content = &request["messages"][1]["content"];
    match content.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let parts = content.as_array().unwrap();
            let text = parts.iter().find(|part| part["type"] == "text").unwrap();
            text["text"].as_str().unwrap().to_owned()
        }
    }
}

struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Abandoned(Arc<AtomicUsize>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn complete(State(server): State<Server>, body: Bytes) -> Response {
    let open = server.open.fetch_add(1, Ordering::SeqCst) + 1;
    server.most_open.fetch_max(open, Ordering::SeqCst);
    let _open = Open(server.open.clone());
    let request: Value = serde_json::from_slice(&body).unwrap();
    server.requests.lock().unwrap().push(request.clone());
    let answer = {
        let mut answers = server.answers.lock().unwrap();
        match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap(),
        }
    };
    match answer {
        Answer::Say(words) => whole(&words),
        Answer::Judge(judge) => whole(&judge(&request)),
        Answer::SayAfter(time, words) => {
            tokio::time::sleep(time).await;
            whole(&words)
        }
        Answer::Status(status, retry_after) => {
            let status = StatusCode::from_u16(status).unwrap();
            let body = axum::Json(json!({"error": {"message": "not now"}}));
            let mut response = (status, body).into_response();
            if let Some(seconds) = retry_after {
                let headers = response.headers_mut();
                headers.insert("retry-after", seconds.parse().unwrap());
            }
            response
        }
        Answer::Hang => {
            let guard = Abandoned(server.abandoned.clone());
            let begun = stream::iter([Ok::<_, std::io::Error>(words("Te"))]);
            let silent = stream::pending().map(move |()| {
                let _ = &guard;
                Ok(String::new())
            });
            events(Body::from_stream(begun.chain(silent)))
        }
    }
}

fn words(words: &str) -> String {
    let chunk = json!({"choices": [{"delta": {"content": words}, "finish_reason": null}]});
    format!("data: {chunk}\n\n")
}

fn whole(answer: &str) -> Response {
    let middle = answer.floor_char_boundary(answer.len() / 2);
    let (first, second) = answer.split_at(middle);
    let end = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    let body = format!(
        "{}{}data: {end}\n\ndata: [DONE]\n\n",
        words(first),
        words(second)
    );
    events(Body::from(body))
}

fn events(body: Body) -> Response {
    ([("content-type", "text/event-stream")], body).into_response()
}
