//! An answer token by token: what training learns from.

use std::sync::{Arc, Mutex, PoisonError};

use illumine_models::engine::TokenLogprob;
use serde::{Deserialize, Serialize};

/// What one request became inside the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The prompt as the model read it.
    pub prompt: Vec<u32>,
    /// The answer, with the token that ended it where one did.
    pub answer: Vec<u32>,
    /// The model's log-probability of each token of the answer when it was drawn, before
    /// temperature and filters, in nats.
    pub logprobs: Vec<f32>,
    /// Whether the model ended the answer itself; otherwise it was cut off.
    pub ended: bool,
}

/// Where a policy writes down its next answer.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Transcript>>);

impl Recorder {
    /// What was written so far.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        self.lock(|transcript| transcript.clone())
    }

    pub(super) fn begin(&self, prompt: &[u32]) {
        self.lock(|transcript| {
            *transcript = Transcript {
                prompt: prompt.to_vec(),
                ..Transcript::default()
            };
        });
    }

    pub(super) fn wrote(&self, tokens: &[TokenLogprob]) {
        self.lock(|transcript| {
            for token in tokens {
                transcript.answer.push(token.token);
                transcript.logprobs.push(token.logprob);
            }
        });
    }

    pub(super) fn ended(&self, end: &TokenLogprob) {
        self.wrote(std::slice::from_ref(end));
        self.lock(|transcript| transcript.ended = true);
    }

    fn lock<T>(&self, work: impl FnOnce(&mut Transcript) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
