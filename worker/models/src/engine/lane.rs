//! What a sequence has read so far.

use std::sync::Arc;

use super::budget::KvBudget;
use super::model::{EngineAdapter, EngineModel};
use super::paged::Paged;
use super::prefix::PrefixCache;
use super::together::Ticket;
use crate::error::{ModelError, Result};
use crate::generate::{Adapted, LanguageModel, Network, VisionState};
use crate::lora::{AdapterId, Loaded};
use crate::qwen3::cpu::{BLOCK_TOKENS, Scratch};
use crate::qwen3::{KvCache, Qwen3, token_ids};
use crate::qwen25_vl::Patches;

/// Keys and values of one sequence.
#[derive(Debug)]
pub(super) enum Lane {
    /// In blocks, for the CPU's own code.
    Paged(Box<Paged>),
    /// As the module keeps them, on its device.
    Module {
        lane: ModuleLane,
        adapter: Option<Arc<Loaded<Adapted>>>,
    },
    /// The same of a model that looks at pictures.
    Vision(Box<VisionState>),
}

/// Where the module keeps a sequence's keys and values.
#[derive(Debug)]
pub(super) enum ModuleLane {
    /// While the prompt is read.
    Alone(KvCache),
    /// While the answer is written: `len` tokens, in a row of the batch.
    Batched { ticket: Ticket, len: usize },
}

impl ModuleLane {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Alone(cache) => cache.len(),
            Self::Batched { len, .. } => *len,
        }
    }

    pub(super) const fn ticket(&self) -> Option<Ticket> {
        match self {
            Self::Alone(_) => None,
            Self::Batched { ticket, .. } => Some(*ticket),
        }
    }

    /// One more token was read with the batch.
    pub(super) const fn grew(&mut self) {
        if let Self::Batched { len, .. } = self {
            *len += 1;
        }
    }
}

/// A prompt but its last token, which the first step reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening<'p> {
    pub(super) tokens: &'p [u32],
    /// By which the prefix cache knows it: a number for each token.
    pub(super) keys: &'p [u32],
    pub(super) pictures: Option<&'p Patches>,
}

impl Lane {
    /// Nothing read yet, to be read with `adapter`. What follows the prompt has
    /// rotary positions `rope_offset` above its number.
    pub(super) fn new(
        model: &EngineModel,
        adapter: Option<&EngineAdapter>,
        rope_offset: i64,
    ) -> Self {
        if let Some(decoder) = model.decoder() {
            return Self::Paged(Box::new(Paged::new(decoder, adapter, rope_offset)));
        }
        match model {
            EngineModel::Text(model) => Self::Module {
                lane: ModuleLane::Alone(KvCache::new(model.folder().config.num_hidden_layers)),
                adapter: adapter.and_then(EngineAdapter::text).cloned(),
            },
            EngineModel::Vision(model) => {
                let adapter = adapter.and_then(EngineAdapter::vision).cloned();
                Self::Vision(Box::new(VisionState::new(model, adapter)))
            }
        }
    }

    /// Tokens read.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Paged(paged) => paged.len(),
            Self::Module { lane, .. } => lane.len(),
            Self::Vision(state) => state.len(),
        }
    }

    /// The adapter that a module reads it with.
    pub(super) fn adapter_id(&self) -> Option<AdapterId> {
        match self {
            Self::Module { adapter, .. } => adapter.as_ref().map(|adapter| adapter.id),
            Self::Paged(_) | Self::Vision(_) => None,
        }
    }

    /// Bytes for `tokens` in all, shared blocks left out.
    pub(super) fn bytes(&self, budget: &KvBudget, tokens: usize) -> usize {
        match self {
            Self::Paged(paged) => paged.bytes(budget, tokens),
            Self::Module { .. } | Self::Vision(_) => budget.module(tokens),
        }
    }

    /// Takes blocks of the prompt with these keys that were read before; returns
    /// their tokens.
    pub(super) fn reuse(&mut self, keys: &[u32], prefix: &mut PrefixCache) -> Result<usize> {
        match self {
            Self::Paged(paged) => paged.reuse(keys, prefix),
            Self::Module { .. } | Self::Vision(_) => Ok(0),
        }
    }

    /// Reads the next block of `opening`, and keeps it for others where `prefix`
    /// is given. A block is always read as a whole, so that what it holds depends
    /// on prompt and adapter alone.
    pub(super) fn read(
        &mut self,
        model: &EngineModel,
        opening: &Opening<'_>,
        prefix: Option<&mut PrefixCache>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let from = self.len();
        let prompt = opening.tokens;
        match (self, model) {
            (Self::Paged(paged), model) => paged.read(model, opening, prefix, scratch)?,
            (Self::Module { lane, adapter }, EngineModel::Text(model)) => {
                let ModuleLane::Alone(cache) = lane else {
                    return Err(of_another_model());
                };
                let chunk = &prompt[from..prompt.len().min(from + MODULE_BLOCK)];
                let ids = token_ids(chunk, model.device());
                module(model, adapter.as_ref())?.forward_cached(ids, None, None, cache);
            }
            (Self::Vision(state), EngineModel::Vision(model)) => {
                let none = Patches::default();
                let pictures = opening.pictures.unwrap_or(&none);
                state.read(model, prompt, pictures, BLOCK_TOKENS)?;
            }
            _ => return Err(of_another_model()),
        }
        Ok(())
    }

    /// Reads one token by itself; the logits `[vocab]` of what follows it.
    pub(super) fn step(&mut self, model: &EngineModel, token: u32) -> Result<Vec<f32>> {
        match (self, model) {
            (Self::Vision(state), EngineModel::Vision(model)) => state.step(model, token),
            _ => Err(of_another_model()),
        }
    }
}

/// Tokens of a prompt that the module reads at once. Larger than a block of the CPU's: a
/// device is given enough to do.
const MODULE_BLOCK: usize = 256;

pub(super) fn of_another_model() -> ModelError {
    ModelError::Engine("a sequence of another kind of model".to_owned())
}

pub(super) fn module<'m>(
    model: &'m LanguageModel,
    adapter: Option<&'m Arc<Loaded<Adapted>>>,
) -> Result<&'m Qwen3> {
    match (adapter.map(|adapter| &adapter.model), model.network()) {
        (Some(Adapted::Module(module)), _) | (None, Network::Module(module)) => Ok(module),
        _ => Err(of_another_model()),
    }
}
