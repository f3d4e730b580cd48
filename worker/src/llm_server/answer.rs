//! The answers to one request, as the engine writes them.

use std::ops::ControlFlow;

use illumine_models::engine::{Engine, EngineRequest, Event};
use illumine_models::generate::{CancelFlag, GenerationRequest};
use illumine_models::qwen25_vl::VisionPrompt;
use tokio::sync::mpsc;

use super::ApiError;
use super::request::ChatRequest;

/// The events of every choice, as they come. Dropping it, as when the caller
/// hangs up, cancels those not ended.
pub struct Answers {
    events: mpsc::UnboundedReceiver<(usize, Event)>,
    cancels: Vec<CancelFlag>,
}

impl Answers {
    /// Asks the engine for every choice of an answer to `prompt`.
    ///
    /// # Errors
    /// The engine's refusals; nothing is written then.
    pub fn start(
        engine: &Engine,
        request: &ChatRequest,
        prompt: VisionPrompt,
    ) -> Result<Self, ApiError> {
        let (prompt_ids, pictures) = (prompt.ids, prompt.patches.into_shared());
        // Without a limit an answer may be as long as fits.
        let longest = engine.longest_answer(prompt_ids.len()).max(1);
        let (sender, events) = mpsc::unbounded_channel();
        let mut answers = Self {
            events,
            cancels: Vec::new(),
        };
        for index in 0..request.choices {
            let mut sampling = request.sampling.clone();
            // Choices differ, and each repeats.
            sampling.seed = sampling.seed.map(|seed| seed.wrapping_add(index as u64));
            let generation = GenerationRequest {
                sampling,
                max_new_tokens: request.max_tokens.unwrap_or(longest),
                stop_strings: request.stop.clone(),
                adapter: request.adapter.clone(),
                ..GenerationRequest::new(prompt_ids.clone())
            };
            let sender = sender.clone();
            let sink = move |event| match sender.send((index, event)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            };
            let asked = EngineRequest {
                logprobs: request.logprobs,
                constraint: request.constraint,
                pictures: pictures.clone(),
                ..EngineRequest::new(generation)
            };
            answers.cancels.push(engine.submit(asked, Box::new(sink))?);
        }
        Ok(answers)
    }

    /// The next event and its choice; none after the engine stopped.
    pub async fn next(&mut self) -> Option<(usize, Event)> {
        self.events.recv().await
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        for cancel in &self.cancels {
            cancel.cancel();
        }
    }
}
