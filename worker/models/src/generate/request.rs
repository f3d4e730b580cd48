//! What is asked of a generation, and what it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::qwen3::Qwen3Config;
use crate::sampling::SamplingParams;

/// One generation.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationRequest {
    /// The prompt, as ids.
    pub prompt_ids: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: SamplingParams,
    /// Most tokens to write; the context's end may come first.
    pub max_new_tokens: usize,
    /// Tokens that end the answer, besides the model's own.
    pub stop_ids: Vec<u32>,
    /// Texts that end the answer; they are not part of it.
    pub stop_strings: Vec<String>,
    /// The adapter to write with, among those that the model has; the base alone
    /// when absent.
    pub adapter: Option<String>,
}

impl GenerationRequest {
    /// Tokens that the answer may have: as asked, and to the end of the model's
    /// context at most.
    pub(crate) fn longest_answer(&self, config: &Qwen3Config) -> usize {
        let room = config
            .context_length()
            .saturating_sub(self.prompt_ids.len());
        self.max_new_tokens.min(room)
    }

    /// A greedy request of up to 1,024 new tokens.
    pub fn new(prompt_ids: Vec<u32>) -> Self {
        Self {
            prompt_ids,
            sampling: SamplingParams::default(),
            max_new_tokens: 1024,
            stop_ids: Vec::new(),
            stop_strings: Vec::new(),
            adapter: None,
        }
    }
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended its answer, or a stop text appeared.
    Stop,
    /// The token limit or the context's end was reached.
    Length,
    /// The flag was set, or the listener broke off.
    Cancelled,
}

/// The whole of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationOutput {
    /// The text, equal to all deltas together.
    pub text: String,
    /// The tokens written, with the one that ended the answer.
    pub token_ids: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens written.
    pub completion_tokens: usize,
    /// Time until the first token was known.
    pub first_token: Duration,
    /// Time in all.
    pub total: Duration,
}

/// A flag that another thread sets to end a generation at the next token.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Ends the generation soon.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was set.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
