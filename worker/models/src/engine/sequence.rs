//! One request on its way: its tokens, its choice of the next one, its text.

use std::time::Instant;

use super::lane::{Lane, Opening};
use super::logprobs::{TokenLogprob, logprobs};
use super::model::{EngineAdapter, EngineModel};
use super::prefix::{self, PrefixCache};
use super::request::{EngineRequest, Event, Sink, Summary};
use crate::constrain::{Grammar, Masks};
use crate::error::{ModelError, Result};
use crate::generate::{CancelFlag, FinishReason, Passed, StopFilter};
use crate::qwen3::cpu::Scratch;
use crate::sampling::Sampler;
use crate::tokenizer::StreamDecoder;

/// A request as it comes through the channel.
pub(super) struct Submitted {
    pub(super) request: EngineRequest,
    pub(super) prepared: Prepared,
    pub(super) sink: Sink,
    pub(super) cancel: CancelFlag,
    pub(super) at: Instant,
}

/// What a request needs, found before it joins.
pub(super) struct Prepared {
    pub(super) sampler: Sampler,
    pub(super) adapter: Option<EngineAdapter>,
    /// See [`crate::qwen3::cpu::SequenceCache::with_rope_offset`].
    pub(super) rope_offset: i64,
    /// The prompt as the prefix cache knows it, where that is not its tokens.
    pub(super) prefix_keys: Option<Vec<u32>>,
}

/// A request in the engine.
pub(super) struct Sequence<'m> {
    /// Prompt and answer.
    pub(super) tokens: Vec<u32>,
    /// Tokens of the prompt.
    pub(super) prompt: usize,
    /// Prompt tokens that another request had read before.
    pub(super) cached_tokens: Option<usize>,
    pub(super) lane: Lane,
    /// Tokens that the answer may have.
    limit: usize,
    submitted: Submitted,
    decoder: StreamDecoder<'m>,
    stops: StopFilter,
    /// Where the answer stands, when it is constrained.
    grammar: Option<Grammar>,
    first_token: Option<Instant>,
    /// The token that ended the answer.
    end_token: Option<TokenLogprob>,
    ended: Option<End>,
}

/// How a sequence ended.
enum End {
    Finished(FinishReason),
    /// The listener has all it may have, or no interest.
    Silent(FinishReason),
    Failed(ModelError),
}

impl<'m> Sequence<'m> {
    pub(super) fn new(model: &'m EngineModel, submitted: Submitted) -> Self {
        let generation = &submitted.request.generation;
        let tokens = generation.prompt_ids.clone();
        let limit = generation.longest_answer(&model.folder().config);
        let stops = StopFilter::new(&generation.stop_strings);
        Self {
            prompt: tokens.len(),
            tokens,
            cached_tokens: None,
            lane: submitted.lane(model),
            limit,
            decoder: model.tokenizer().stream(),
            stops,
            grammar: Grammar::start(submitted.request.constraint),
            submitted,
            first_token: None,
            end_token: None,
            // Nothing to write is no reason to read.
            ended: (limit == 0).then_some(End::Finished(FinishReason::Length)),
        }
    }

    /// Whether the prompt is still being read.
    pub(super) fn is_reading(&self) -> bool {
        self.lane.len() + 1 < self.prompt
    }

    /// The token that the next step reads.
    pub(super) fn next_token(&self) -> u32 {
        self.tokens[self.lane.len()]
    }

    /// Whether the sequence ended, or was cancelled.
    pub(super) fn is_over(&mut self) -> bool {
        if self.ended.is_none() && self.submitted.cancel.is_cancelled() {
            self.ended = Some(End::Finished(FinishReason::Cancelled));
        }
        self.ended.is_some()
    }

    pub(super) fn fail(&mut self, error: ModelError) {
        self.ended = Some(End::Failed(error));
    }

    /// Takes the blocks of the prompt that were read before.
    pub(super) fn reuse(&mut self, prefix: &mut PrefixCache) {
        let first_time = self.written() == 0;
        let cached = self.cached_tokens.get_or_insert(0);
        // The last token is read by the first step.
        let keys = self.submitted.prepared.prefix_keys.as_ref();
        let keys = &keys.unwrap_or(&self.tokens)[..self.prompt - 1];
        match self.lane.reuse(keys, prefix) {
            Ok(reused) if first_time => *cached += reused,
            Ok(_) => {}
            Err(error) => self.fail(error),
        }
    }

    /// Reads one block of the prompt, or more that were read before.
    pub(super) fn read_block(
        &mut self,
        model: &EngineModel,
        mut prefix: Option<&mut PrefixCache>,
        scratch: &mut Scratch,
    ) {
        if let Some(prefix) = prefix.as_deref_mut() {
            self.reuse(prefix);
        }
        if !self.is_reading() {
            return;
        }
        let Submitted {
            request, prepared, ..
        } = &self.submitted;
        let before = self.prompt - 1;
        let opening = Opening {
            tokens: &self.tokens[..before],
            keys: &prepared.prefix_keys.as_ref().unwrap_or(&self.tokens)[..before],
            pictures: request.pictures.as_deref(),
        };
        if let Err(error) = self.lane.read(model, &opening, prefix, scratch) {
            self.fail(error);
        }
    }

    /// Forgets what was read. The tokens stay, so that reading them again brings
    /// the sequence back to where it was.
    pub(super) fn give_back(&mut self, model: &EngineModel) {
        self.lane = self.submitted.lane(model);
    }

    /// Chooses the token after the last one by `logits` `[vocab]`, unless the
    /// sequence is only being read again. Whether a token was written.
    pub(super) fn choose(
        &mut self,
        model: &EngineModel,
        vocabulary: &mut Vocabulary,
        logits: &[f32],
    ) -> bool {
        if self.lane.len() < self.tokens.len() {
            return false;
        }
        let allowed = match self.grammar {
            None => logits,
            Some(state) => match vocabulary.allowed(model, state, logits) {
                Some(allowed) => allowed,
                None => {
                    let reason = "no token of the vocabulary goes on with the grammar";
                    self.fail(ModelError::Engine(reason.to_owned()));
                    return false;
                }
            },
        };
        let token = self
            .submitted
            .prepared
            .sampler
            .sample(allowed, &self.tokens);
        self.first_token.get_or_insert_with(Instant::now);
        self.tokens.push(token);
        let generation = &self.submitted.request.generation;
        let ends =
            model.folder().eos_token_ids.contains(&token) || generation.stop_ids.contains(&token);
        if ends {
            let asked = self.submitted.request.logprobs;
            self.end_token = asked.map(|count| logprobs(logits, token, count));
            self.ended = Some(End::Finished(FinishReason::Stop));
            return true;
        }
        let tokens: Vec<TokenLogprob> = self
            .submitted
            .request
            .logprobs
            .map(|count| logprobs(logits, token, count))
            .into_iter()
            .collect();
        let bytes = model.tokenizer().token_bytes(token).unwrap_or_default();
        self.grammar = self.grammar.and_then(|state| state.run(bytes));
        let is_done = self.grammar.is_some_and(Grammar::is_done);
        let piece = self.decoder.push(token);
        match self.stops.push(&piece) {
            Passed::Stopped(text) => {
                self.emit(text, tokens);
                self.ended = Some(End::Silent(FinishReason::Stop));
            }
            Passed::More(text) => {
                if self.emit(text, tokens) {
                    self.ended = Some(End::Silent(FinishReason::Cancelled));
                } else if is_done {
                    self.ended = Some(End::Finished(FinishReason::Stop));
                } else if self.written() == self.limit {
                    self.ended = Some(End::Finished(FinishReason::Length));
                }
            }
        }
        true
    }

    /// Tokens written.
    pub(super) fn written(&self) -> usize {
        self.tokens.len() - self.prompt
    }

    /// Tells the listener the end.
    pub(super) fn finish(mut self) {
        let reason = match self.ended.take() {
            Some(End::Failed(error)) => {
                let _ = (self.submitted.sink)(Event::Failed(error));
                return;
            }
            Some(End::Silent(reason)) => reason,
            Some(End::Finished(reason)) => {
                // Bytes of a character cut short may still complete a stop text.
                let rest = self.decoder.finish();
                let text = match self.stops.push(&rest) {
                    Passed::Stopped(text) => text,
                    Passed::More(text) => text + &self.stops.finish(),
                };
                self.emit(text, Vec::new());
                reason
            }
            None => FinishReason::Cancelled,
        };
        let since = |at: Instant| at.duration_since(self.submitted.at);
        let summary = Summary {
            finish_reason: reason,
            prompt_tokens: self.prompt,
            cached_tokens: self.cached_tokens.unwrap_or(0),
            completion_tokens: self.written(),
            end_token: self.end_token,
            first_token: self.first_token.map(since),
            total: since(Instant::now()),
        };
        let _ = (self.submitted.sink)(Event::Finished(summary));
    }

    /// Whether the listener broke off.
    fn emit(&mut self, text: String, tokens: Vec<TokenLogprob>) -> bool {
        if text.is_empty() && tokens.is_empty() {
            return false;
        }
        (self.submitted.sink)(Event::Text { text, tokens }).is_break()
    }
}

/// The vocabulary as constraints need it, made when the first one comes.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    masks: Option<Masks>,
    masked: Vec<f32>,
}

impl Vocabulary {
    /// `logits` with those of tokens that may not follow `state` at -∞; none when
    /// no token may.
    fn allowed(&mut self, model: &EngineModel, state: Grammar, logits: &[f32]) -> Option<&[f32]> {
        let make = || Masks::new(model.tokenizer(), logits.len());
        let mask = self.masks.get_or_insert_with(make).mask(state);
        if mask.is_empty() {
            return None;
        }
        mask.apply(logits, &mut self.masked);
        Some(&self.masked)
    }
}

impl Submitted {
    fn lane(&self, model: &EngineModel) -> Lane {
        Lane::new(
            model,
            self.prepared.adapter.as_ref(),
            self.prepared.rope_offset,
        )
    }
}

/// Checks what can be checked of a request without the engine's state.
///
/// # Errors
/// [`ModelError::Request`].
pub(super) fn prepare(model: &EngineModel, request: &EngineRequest) -> Result<Prepared> {
    let rope_offset = model.check(request)?;
    let pictures = request.pictures.as_deref().zip(model.vision());
    Ok(Prepared {
        rope_offset,
        prefix_keys: pictures.map(|(pictures, vision)| {
            prefix::keys(&request.generation.prompt_ids, vision, pictures)
        }),
        sampler: Sampler::new(&request.generation.sampling)?,
        adapter: model.adapter(&request.generation)?,
    })
}
