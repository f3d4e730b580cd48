//! Any OpenAI-compatible server: vLLM, SGLang, a hosted API
//! (`POST {base}/chat/completions`, `stream: true`).
//!
//! Tags are constrained (`policy.constrain_tags`) where the server can do it:
//! `illumine llm-server` says so in `GET {base}/models/{model}`
//! (`capabilities.constrain_tags`), which is asked once. Other servers would not
//! know the parameter, and it is not sent to them: there the setting has no
//! effect.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, stream};
use illumine_config::Secret;
use illumine_types::document::Usage;
use rand::Rng;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{OnceCell, mpsc};
use tokio_util::sync::CancellationToken;

use super::sse::SseReader;
use super::{ChatRequest, Delta, DeltaStream, FinishReason, Policy, PolicyError};

/// A model behind an endpoint.
#[derive(Clone, Debug)]
pub struct OpenAiPolicy {
    name: String,
    settings: Settings,
    client: Client,
    constrain_tags: bool,
    /// Whether the server can constrain tags, once it was asked.
    can_constrain: Arc<OnceCell<bool>>,
}

#[derive(Clone, Debug)]
struct Settings {
    base_url: String,
    model: String,
    api_key: Option<Secret>,
    idle_timeout: Duration,
}

/// Attempts before the first token; after it nothing is asked again, since the
/// reader has seen text already.
const ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Shown of an error answer, at most.
const ERROR_CHARACTERS: usize = 300;

impl OpenAiPolicy {
    /// `idle_timeout`: longest wait between two pieces of an answer.
    ///
    /// # Errors
    /// If no TLS client can be made.
    pub fn new(
        base_url: &str,
        model: &str,
        api_key: Option<Secret>,
        idle_timeout: Duration,
    ) -> Result<Self, PolicyError> {
        let client = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .build()
            .map_err(|error| PolicyError::permanent("policy_client", error.to_string()))?;
        let settings = Settings {
            base_url: base_url.into(),
            model: model.into(),
            api_key,
            idle_timeout,
        };
        Ok(Self {
            name: format!("openai:{base_url}#{model}"),
            settings,
            client,
            constrain_tags: false,
            can_constrain: Arc::default(),
        })
    }

    /// Whether tags are constrained where the server can do it.
    #[must_use]
    pub fn with_constrained_tags(mut self, on: bool) -> Self {
        self.constrain_tags = on;
        self
    }

    /// Asks the server once whether it can hold an answer to valid tags. One that
    /// cannot be asked is asked again the next time.
    async fn constrains(&self) -> bool {
        if !self.constrain_tags {
            return false;
        }
        let asked = self.can_constrain.get_or_try_init(|| async {
            let Settings {
                base_url, model, ..
            } = &self.settings;
            let request = self.client.get(format!("{base_url}/models/{model}"));
            let response = self.authorised(request).timeout(CONNECT_LIMIT);
            let response = response.send().await?;
            if response.status().is_server_error() {
                response.error_for_status_ref()?;
            }
            let model: Value = response.json().await.unwrap_or_default();
            Ok::<_, reqwest::Error>(model["capabilities"]["constrain_tags"] == true)
        });
        asked.await.copied().unwrap_or(false)
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.settings.api_key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        }
    }

    fn body(&self, request: &ChatRequest) -> Value {
        let mut content = Vec::new();
        for image in &request.images {
            let url = format!(
                "data:{};base64,{}",
                image.mime,
                STANDARD.encode(&image.bytes)
            );
            content.push(json!({"type": "image_url", "image_url": {"url": url}}));
        }
        let content = if content.is_empty() {
            json!(request.prompt)
        } else {
            content.push(json!({"type": "text", "text": request.prompt}));
            Value::Array(content)
        };
        let mut messages = Vec::new();
        if !request.system.is_empty() {
            messages.push(json!({"role": "system", "content": request.system}));
        }
        messages.push(json!({"role": "user", "content": content}));
        let mut body = json!({
            "model": self.settings.model, "messages": messages, "stream": true,
            "stream_options": {"include_usage": true},
        });
        let options = [
            ("max_tokens", request.max_tokens.map(Value::from)),
            ("temperature", request.temperature.map(Value::from)),
            ("top_p", request.top_p.map(Value::from)),
            ("seed", request.seed.map(Value::from)),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        body
    }

    /// Asks until an answer begins.
    async fn open(&self, body: &Value) -> Result<Response, PolicyError> {
        let mut attempt = 1;
        loop {
            let error = match self.send(body).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let PolicyError::Transient { retry_after, .. } = &error else {
                return Err(error);
            };
            if attempt == ATTEMPTS {
                return Err(error);
            }
            let pause = retry_after
                .unwrap_or_else(|| backoff(attempt))
                .min(LONGEST_PAUSE);
            tracing::info!(%error, attempt, ?pause, "policy is asked again");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn send(&self, body: &Value) -> Result<Response, PolicyError> {
        let url = format!("{}/chat/completions", self.settings.base_url);
        let request = self.authorised(self.client.post(url).json(body));
        let sent = tokio::time::timeout(self.settings.idle_timeout, request.send()).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                // The address is ours to show, not a query that may hold a key.
                let message = format!(
                    "the policy's server cannot be reached: {}",
                    error.without_url()
                );
                return Err(PolicyError::transient("policy_unreachable", message));
            }
            Err(_) => return Err(self.hung()),
        };
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(refusal(response).await)
        }
    }

    fn hung(&self) -> PolicyError {
        let limit = self.settings.idle_timeout.as_secs_f64();
        PolicyError::transient(
            "policy_timeout",
            format!("the policy was silent for {limit} s"),
        )
    }

    /// Reads the answer and hands on its pieces.
    async fn relay(self, request: ChatRequest, pieces: mpsc::Sender<Result<Delta, PolicyError>>) {
        if let Err(error) = self.read(&request, &pieces).await {
            let _ = pieces.send(Err(error)).await;
        }
    }

    async fn read(
        &self,
        request: &ChatRequest,
        pieces: &mpsc::Sender<Result<Delta, PolicyError>>,
    ) -> Result<(), PolicyError> {
        let mut body = self.body(request);
        if self.constrains().await {
            body["constrain_tags"] = true.into();
            body["input_images"] = request.inputs.into();
        }
        let response = self.open(&body).await?;
        let mut bytes = response.bytes_stream();
        let mut reader = SseReader::default();
        let mut answer = Answer::default();
        loop {
            let next = tokio::time::timeout(self.settings.idle_timeout, bytes.next());
            let chunk = match next.await {
                Err(_) => return Err(self.hung()),
                Ok(None) => break,
                Ok(Some(Ok(chunk))) => chunk,
                Ok(Some(Err(error))) => return Err(broken(&error.without_url().to_string())),
            };
            let events = reader
                .push(&chunk)
                .ok_or_else(|| broken("a line without an end"))?;
            for event in events {
                if let Some(text) = answer.take(&event)?
                    && pieces.send(Ok(Delta::Text(text))).await.is_err()
                {
                    return Ok(());
                }
            }
            if answer.done {
                break;
            }
        }
        if let Some(event) = reader.finish()
            && let Some(text) = answer.take(&event)?
        {
            let _ = pieces.send(Ok(Delta::Text(text))).await;
        }
        let reason = answer
            .reason
            .ok_or_else(|| broken("it ended without a finish reason"))?;
        let _ = pieces
            .send(Ok(Delta::Finished {
                reason,
                usage: answer.usage,
            }))
            .await;
        Ok(())
    }
}

/// What the events said so far.
#[derive(Default)]
struct Answer {
    reason: Option<FinishReason>,
    usage: Usage,
    done: bool,
}

impl Answer {
    fn take(&mut self, event: &str) -> Result<Option<String>, PolicyError> {
        if event.trim() == "[DONE]" {
            self.done = true;
            return Ok(None);
        }
        let chunk: Value =
            serde_json::from_str(event).map_err(|_| broken("an event that is no JSON"))?;
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            let message = error
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or("no reason given");
            return Err(PolicyError::transient(
                "policy_failed",
                format!("the policy failed: {}", shown(message)),
            ));
        }
        let count = |name: &str| chunk["usage"].get(name).and_then(Value::as_u64);
        if let (Some(prompt_tokens), Some(completion_tokens)) =
            (count("prompt_tokens"), count("completion_tokens"))
        {
            self.usage = Usage {
                prompt_tokens,
                completion_tokens,
            };
        }
        let choice = &chunk["choices"][0];
        match choice["finish_reason"].as_str() {
            None => {}
            Some("length") => self.reason = Some(FinishReason::Length),
            Some(_) => self.reason = Some(FinishReason::Stop),
        }
        let text = choice["delta"]["content"]
            .as_str()
            .filter(|text| !text.is_empty());
        Ok(text.map(ToOwned::to_owned))
    }
}

fn broken(why: &str) -> PolicyError {
    PolicyError::transient(
        "policy_broke_off",
        format!("the policy's answer broke off: {why}"),
    )
}

fn shown(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(ERROR_CHARACTERS)
        .collect()
}

async fn refusal(response: Response) -> PolicyError {
    let status = response.status();
    let retry_after = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok()?.parse::<f64>().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let body = tokio::time::timeout(CONNECT_LIMIT, response.text()).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    let said = serde_json::from_str::<Value>(&body).ok();
    let said = said.as_ref().and_then(|body| {
        let error = body.get("error").unwrap_or(body);
        error
            .get("message")
            .and_then(Value::as_str)
            .or_else(|| error.as_str())
    });
    let said = shown(said.unwrap_or_default());
    let message = format!("the policy's server answered {status}: {said}");
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => PolicyError::Transient {
            code: "policy_busy",
            message,
            retry_after,
        },
        status if status.is_server_error() => PolicyError::Transient {
            code: "policy_failed",
            message,
            retry_after,
        },
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => PolicyError::permanent(
            "policy_denied",
            format!("{message}; check ILLUMINE_POLICY_API_KEY"),
        ),
        StatusCode::NOT_FOUND => PolicyError::permanent(
            "policy_not_found",
            format!("{message}; check the address and the model in ILLUMINE_POLICY"),
        ),
        _ => PolicyError::permanent("policy_refused", message),
    }
}

/// Doubles with each attempt; jitter keeps workers from asking in step.
fn backoff(attempt: u32) -> Duration {
    let pause = FIRST_PAUSE * 2_u32.saturating_pow(attempt - 1);
    pause.mul_f64(rand::rng().random_range(0.75..1.25))
}

impl Policy for OpenAiPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> String {
        format!("{} at {}", self.settings.model, self.settings.base_url)
    }

    fn vision(&self) -> bool {
        // There is no way to ask; the families' names tell.
        let model = self.settings.model.to_lowercase();
        [
            "-vl", "vision", "gpt-4o", "gpt-4.1", "gpt-5", "gemini", "claude", "omni",
        ]
        .iter()
        .any(|mark| model.contains(mark))
    }

    fn stream(&self, request: ChatRequest, cancel: CancellationToken) -> DeltaStream {
        // Small: a slow reader slows the server down instead of filling memory.
        let (sender, receiver) = mpsc::channel(64);
        let policy = self.clone();
        tokio::spawn(async move {
            let failed = sender.clone();
            tokio::select! {
                () = policy.relay(request, sender) => {}
                () = cancel.cancelled() => {
                    let _ = failed.send(Err(PolicyError::Cancelled)).await;
                }
            }
        });
        stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        })
        .boxed()
    }
}
