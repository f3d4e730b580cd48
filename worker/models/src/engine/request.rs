//! What an engine is asked, and what it answers.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::TokenLogprob;
use crate::constrain::Constraint;
use crate::error::ModelError;
use crate::generate::{FinishReason, GenerationRequest};
use crate::qwen25_vl::Patches;

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineRequest {
    /// Prompt, sampling, limits.
    pub generation: GenerationRequest,
    /// Asks for the log-probability of each token and of this many likeliest
    /// ones; none when absent.
    pub logprobs: Option<usize>,
    /// What the answer must be.
    pub constraint: Constraint,
    /// The pictures that stand in the prompt, for a model that looks at them.
    pub pictures: Option<Arc<Patches>>,
}

impl EngineRequest {
    /// A request without log-probabilities, constraint and pictures.
    pub const fn new(generation: GenerationRequest) -> Self {
        Self {
            generation,
            logprobs: None,
            constraint: Constraint::None,
            pictures: None,
        }
    }
}

/// A piece of an answer. The last one is `Finished` or `Failed`.
#[derive(Debug)]
pub enum Event {
    /// More of the answer.
    Text {
        /// Text that is sure; never ends inside a character. Empty when a token
        /// completed none.
        text: String,
        /// The new tokens, when log-probabilities were asked for.
        tokens: Vec<TokenLogprob>,
    },
    /// The answer is whole, cut off or cancelled.
    Finished(Summary),
    /// The engine could not go on with it.
    Failed(ModelError),
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Why.
    pub finish_reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Of those, tokens that another request had read before.
    pub cached_tokens: usize,
    /// Tokens written, with the one that ended the answer.
    pub completion_tokens: usize,
    /// The token that ended the answer, which no text shows, where log-probabilities were
    /// asked for.
    pub end_token: Option<TokenLogprob>,
    /// From the submission to the first token; absent without one.
    pub first_token: Option<Duration>,
    /// From the submission to the end.
    pub total: Duration,
}

/// Takes events on the engine's thread: it must not block. Breaking off cancels
/// the request.
pub type Sink = Box<dyn FnMut(Event) -> ControlFlow<()> + Send>;
