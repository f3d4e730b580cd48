//! A text model: one engine serves all requests.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use illumine_models::ModelError;
use illumine_models::engine::{Engine, EngineConfig, EngineRequest, Event};
use illumine_models::generate::LanguageModel;
use illumine_models::load::ModelFolder;
use illumine_models::tokenizer::{ChatMessage, Role};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ChatRequest, Delta, Pieces, PolicyError, crashed, finished, prepare, prompt_error};

/// When to ask again after the engine was full.
const BUSY: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) struct TextWriter {
    engine: Engine,
    /// The adapter that every answer is written with.
    adapter: Option<String>,
    /// The demo policy was taught that a mark stands for each input picture.
    marks: bool,
}

impl TextWriter {
    /// Starts the engine of `model`.
    pub(super) fn new(
        model: LanguageModel,
        adapter: Option<String>,
        marks: bool,
    ) -> Result<Self, PolicyError> {
        let engine = Engine::start(Arc::new(model), &EngineConfig::default())
            .map_err(|error| PolicyError::permanent("model_load", error.to_string()))?;
        Ok(Self {
            engine,
            adapter,
            marks,
        })
    }

    pub(super) fn folder(&self) -> &ModelFolder {
        self.engine.model().folder()
    }

    fn prepare(&self, request: &ChatRequest) -> Result<EngineRequest, PolicyError> {
        let mut messages = Vec::new();
        if !request.system.is_empty() {
            messages.push(ChatMessage::new(Role::System, request.system.as_str()));
        }
        let marks = match self.marks {
            true => "[image] ".repeat(request.inputs),
            false => String::new(),
        };
        let prompt = format!("{marks}{}", request.prompt);
        messages.push(ChatMessage::new(Role::User, prompt));
        let tokenizer = self.engine.model().tokenizer();
        let ids = tokenizer.encode_chat(&messages, true);
        let ids = ids.map_err(prompt_error)?;
        let mut generation = prepare(request, ids, self.adapter.as_deref());
        // A limit is no wish: an answer need not fill it.
        let room = self.engine.longest_answer(generation.prompt_ids.len());
        generation.max_new_tokens = generation.max_new_tokens.min(room.max(1));
        Ok(EngineRequest::new(generation))
    }

    /// Passes the engine's answer on.
    pub(super) async fn write(
        &self,
        request: ChatRequest,
        cancel: CancellationToken,
        pieces: &Pieces,
    ) -> Result<(), PolicyError> {
        let prepared = self.prepare(&request)?;
        // Unbounded, as the engine must not wait; an answer is bounded itself.
        let (sender, mut events) = mpsc::unbounded_channel();
        let sink = move |event| match sender.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let flag = self
            .engine
            .submit(prepared, Box::new(sink))
            .map_err(refusal)?;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = cancel.cancelled() => None,
                () = pieces.closed() => None,
            };
            if event.is_none() && (cancel.is_cancelled() || pieces.is_closed()) {
                flag.cancel();
                return Err(PolicyError::Cancelled);
            }
            match event.ok_or_else(crashed)? {
                Event::Text { text, .. } => {
                    let _ = pieces.send(Ok(Delta::Text(text))).await;
                }
                Event::Failed(error) => return Err(refusal(error)),
                Event::Finished(summary) => {
                    let end = finished(
                        summary.finish_reason,
                        summary.prompt_tokens,
                        summary.completion_tokens,
                    )?;
                    let _ = pieces.send(Ok(end)).await;
                    return Ok(());
                }
            }
        }
    }
}

fn refusal(error: ModelError) -> PolicyError {
    match error {
        ModelError::Busy { .. } => PolicyError::Transient {
            code: "model_busy",
            message: error.to_string(),
            retry_after: Some(BUSY),
        },
        ModelError::Engine(_) => PolicyError::transient("model_crashed", error.to_string()),
        _ => PolicyError::permanent("model_request", error.to_string()),
    }
}
