//! From a request to the engine's answer.

use std::ops::ControlFlow;
use std::time::Duration;

use illumine_models::ModelError;
use illumine_models::constrain::Constraint;
use illumine_models::engine::{Engine, EngineRequest, Event};
use illumine_models::generate::GenerationRequest;
use illumine_models::qwen25_vl::{Part, Picture, VisionMessage};
use illumine_models::sampling::SamplingParams;
use illumine_models::tokenizer::Role;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::transcript::Recorder;
use super::{ChatRequest, Delta, Pieces, PolicyError, crashed, finished};

/// When to ask again after the engine was full.
const BUSY: Duration = Duration::from_secs(2);

/// New tokens when the request does not say.
const DEFAULT_MAX_TOKENS: usize = 4096;

#[derive(Clone)]
pub(super) struct Writer {
    pub(super) engine: Engine,
    /// The adapter that every answer is written with.
    pub(super) adapter: Option<String>,
    /// The demo policy was taught that a mark stands for each input picture.
    pub(super) marks: bool,
    /// Whether tags must be valid calls.
    pub(super) constrain_tags: bool,
    /// Where the next answer is written down.
    pub(super) recorder: Option<Recorder>,
}

impl Writer {
    /// Passes the engine's answer on.
    pub(super) async fn write(
        &self,
        request: ChatRequest,
        cancel: CancellationToken,
        pieces: &Pieces,
    ) -> Result<(), PolicyError> {
        let writer = self.clone();
        // Pictures take a while.
        let prepared = tokio::task::spawn_blocking(move || writer.prepare(&request));
        let prepared = prepared.await.map_err(|_| crashed())??;
        // Unbounded, as the engine must not wait; an answer is bounded itself.
        let (sender, mut events) = mpsc::unbounded_channel();
        let sink = move |event| match sender.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        if let Some(recorder) = &self.recorder {
            recorder.begin(&prepared.generation.prompt_ids);
        }
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
                Event::Text { text, tokens } => {
                    if let Some(recorder) = &self.recorder {
                        recorder.wrote(&tokens);
                    }
                    let _ = pieces.send(Ok(Delta::Text(text))).await;
                }
                Event::Failed(error) => return Err(refusal(error)),
                Event::Finished(summary) => {
                    if let (Some(recorder), Some(end)) = (&self.recorder, &summary.end_token) {
                        recorder.ended(end);
                    }
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

    fn prepare(&self, request: &ChatRequest) -> Result<EngineRequest, PolicyError> {
        let messages = self.messages(request)?;
        let prompt = self.engine.model().prompt(&messages).map_err(unusable)?;
        // A limit is no wish: an answer need not fill it.
        let room = self.engine.longest_answer(prompt.ids.len());
        let wanted = request.max_tokens.map_or(DEFAULT_MAX_TOKENS, |tokens| {
            usize::try_from(tokens).unwrap_or(usize::MAX)
        });
        let generation = GenerationRequest {
            max_new_tokens: wanted.min(room.max(1)),
            adapter: self.adapter.clone(),
            sampling: SamplingParams {
                temperature: request.temperature.unwrap_or(0.0),
                top_p: request.top_p.unwrap_or(1.0),
                seed: request.seed,
                ..SamplingParams::default()
            },
            ..GenerationRequest::new(prompt.ids)
        };
        Ok(EngineRequest {
            constraint: match self.constrain_tags {
                true => Constraint::Tags {
                    inputs: request.inputs,
                },
                false => Constraint::None,
            },
            pictures: prompt.patches.into_shared(),
            logprobs: self.recorder.is_some().then_some(0),
            ..EngineRequest::new(generation)
        })
    }

    /// The pictures stand before the prompt's words, as `img_index` counts them.
    fn messages(&self, request: &ChatRequest) -> Result<Vec<VisionMessage>, PolicyError> {
        let mut messages = Vec::new();
        if !request.system.is_empty() {
            messages.push(VisionMessage::text(Role::System, request.system.as_str()));
        }
        let mut content = Vec::new();
        for (index, image) in request.images.iter().enumerate() {
            let picture = Picture::decode(format!("input {index}"), &image.bytes);
            content.push(Part::Picture(picture.map_err(unusable)?));
        }
        let marks = match self.marks {
            true => "[image] ".repeat(request.inputs),
            false => String::new(),
        };
        content.push(Part::Text(format!("{marks}{}", request.prompt)));
        messages.push(VisionMessage {
            role: Role::User,
            content,
        });
        Ok(messages)
    }
}

fn unusable(error: ModelError) -> PolicyError {
    PolicyError::permanent("model_prompt", error.to_string())
}

fn refusal(error: ModelError) -> PolicyError {
    match error {
        ModelError::Busy { .. } | ModelError::PicturesBusy { .. } => PolicyError::Transient {
            code: "model_busy",
            message: error.to_string(),
            retry_after: Some(BUSY),
        },
        ModelError::Engine(_) => PolicyError::transient("model_crashed", error.to_string()),
        _ => PolicyError::permanent("model_request", error.to_string()),
    }
}
