//! `POST /v1/chat/completions`.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::sse::{self, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, stream};
use illumine_models::engine::Event;
use serde_json::{Value, json};

use super::answer::Answers;
use super::pictures;
use super::request::{self, ChatRequest};
use super::wire::{self, Choice, Usage};
use super::{ApiError, Server};

pub async fn complete(
    State(server): State<Arc<Server>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let body = body.map_err(|error| ApiError::body(error.status(), error.body_text()))?;
    let model = server.engine.model();
    let adapters = model.adapter_names();
    let mut request = request::read(
        &body,
        &server.name,
        &adapters,
        model.sees_pictures(),
        &server.sampling,
    )?;
    let messages = std::mem::take(&mut request.messages);
    let prompt = pictures::prompt(&server, messages).await?;
    let answers = Answers::start(&server.engine, &request, prompt)?;
    let head = Head::new(&request);
    if request.stream {
        let chunks = Chunks::new(server, head, request, answers);
        return Ok(Sse::new(chunks.events())
            .keep_alive(sse::KeepAlive::default())
            .into_response());
    }
    whole(&server, &head, &request, answers)
        .await
        .map(IntoResponse::into_response)
}

async fn whole(
    server: &Server,
    head: &Head,
    request: &ChatRequest,
    mut answers: Answers,
) -> Result<Json<Value>, ApiError> {
    let mut choices = vec![Choice::default(); request.choices];
    while choices.iter().any(|choice| choice.summary.is_none()) {
        let (index, event) = answers.next().await.ok_or_else(ApiError::stopped)?;
        let choice = &mut choices[index];
        match event {
            Event::Text { text, tokens } => {
                choice.text += &text;
                choice.tokens.extend(tokens);
            }
            Event::Finished(summary) => choice.summary = Some(summary),
            Event::Failed(error) => return Err(error.into()),
        }
    }
    let mut usage = Usage::default();
    for summary in choices.iter().filter_map(|choice| choice.summary.as_ref()) {
        usage.add(summary);
    }
    let tokenizer = server.engine.model().tokenizer();
    let choices: Vec<Value> = choices
        .iter()
        .enumerate()
        .map(|(index, choice)| {
            let logprobs = request
                .logprobs
                .map(|_| wire::logprobs(tokenizer, &choice.tokens));
            wire::choice(index, choice, logprobs.into())
        })
        .collect();
    let mut body = head.to_json("chat.completion");
    body["choices"] = choices.into();
    body["usage"] = usage.to_json();
    Ok(Json(body))
}

/// What all parts of an answer begin with.
struct Head {
    id: String,
    created: i64,
    model: String,
}

impl Head {
    fn new(request: &ChatRequest) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let now = chrono::Utc::now();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            id: format!("chatcmpl-{:x}-{count}", now.timestamp_micros()),
            created: now.timestamp(),
            model: request.model.clone(),
        }
    }

    fn to_json(&self, object: &str) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": null,
        })
    }
}

/// An answer as it is streamed.
struct Chunks {
    server: Arc<Server>,
    head: Head,
    request: ChatRequest,
    answers: Answers,
    usage: Usage,
    /// Choices that have not ended.
    open: usize,
    /// Chunks that are ready.
    ready: std::collections::VecDeque<sse::Event>,
    ended: bool,
}

impl Chunks {
    fn new(server: Arc<Server>, head: Head, request: ChatRequest, answers: Answers) -> Self {
        let mut chunks = Self {
            open: request.choices,
            server,
            head,
            request,
            answers,
            usage: Usage::default(),
            ready: std::collections::VecDeque::new(),
            ended: false,
        };
        for index in 0..chunks.open {
            let delta = json!({"role": "assistant", "content": "", "refusal": null});
            chunks.add(index, delta, Value::Null, Value::Null);
        }
        chunks
    }

    fn events(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        stream::unfold(self, |mut chunks| async move {
            while chunks.ready.is_empty() && !chunks.ended {
                let event = chunks.answers.next().await;
                chunks.take(event);
            }
            let chunk = chunks.ready.pop_front()?;
            Some((Ok(chunk), chunks))
        })
    }

    fn take(&mut self, event: Option<(usize, Event)>) {
        match event {
            Some((index, Event::Text { text, tokens })) => {
                let tokenizer = self.server.engine.model().tokenizer();
                let logprobs = self
                    .request
                    .logprobs
                    .map(|_| wire::logprobs(tokenizer, &tokens));
                self.add(
                    index,
                    json!({"content": text}),
                    logprobs.into(),
                    Value::Null,
                );
            }
            Some((index, Event::Finished(summary))) => {
                self.usage.add(&summary);
                let reason = wire::finish_reason(summary.finish_reason);
                self.add(index, json!({}), Value::Null, reason.into());
                self.open -= 1;
                if self.open == 0 {
                    self.end();
                }
            }
            Some((_, Event::Failed(error))) => self.fail(&error.into()),
            None => self.fail(&ApiError::stopped()),
        }
    }

    fn add(&mut self, index: usize, delta: Value, logprobs: Value, reason: Value) {
        let choice = json!({
            "index": index,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": reason,
        });
        self.push(json!([choice]), Value::Null);
    }

    fn push(&mut self, choices: Value, usage: Value) {
        let mut chunk = self.head.to_json("chat.completion.chunk");
        chunk["choices"] = choices;
        if self.request.include_usage {
            chunk["usage"] = usage;
        }
        self.ready.push_back(data(&chunk.to_string()));
    }

    fn end(&mut self) {
        if self.request.include_usage {
            self.push(json!([]), self.usage.to_json());
        }
        self.ready.push_back(data("[DONE]"));
        self.ended = true;
    }

    fn fail(&mut self, error: &ApiError) {
        self.ready.push_back(data(&error.to_json().to_string()));
        self.ended = true;
    }
}

fn data(text: &str) -> sse::Event {
    sse::Event::default().data(text)
}
