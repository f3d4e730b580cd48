//! What a sequence has read so far.

use super::budget::KvBudget;
use super::model::{EngineAdapter, EngineModel};
use super::module_lane::ModuleLane;
use super::paged::Paged;
use super::prefix::PrefixCache;
use crate::error::{ModelError, Result};
use crate::qwen3::cpu::Scratch;
use crate::qwen25_vl::Patches;

/// Keys and values of one sequence.
#[derive(Debug)]
pub(super) enum Lane {
    /// In blocks, for the CPU's own code.
    Paged(Box<Paged>),
    /// As the module keeps them, on its device.
    Module(Box<ModuleLane>),
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
        match model.decoder() {
            Some(decoder) => Self::Paged(Box::new(Paged::new(decoder, adapter, rope_offset))),
            None => Self::Module(Box::new(ModuleLane::new(model, adapter, rope_offset))),
        }
    }

    /// Tokens read.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Paged(paged) => paged.len(),
            Self::Module(lane) => lane.len(),
        }
    }

    /// Bytes for `tokens` in all, shared blocks left out.
    pub(super) fn bytes(&self, budget: &KvBudget, tokens: usize) -> usize {
        match self {
            Self::Paged(paged) => paged.bytes(budget, tokens),
            Self::Module(_) => budget.module(tokens),
        }
    }

    /// Takes blocks of the prompt with these keys that were read before; returns
    /// their tokens.
    pub(super) fn reuse(&mut self, keys: &[u32], prefix: &mut PrefixCache) -> Result<usize> {
        match self {
            Self::Paged(paged) => paged.reuse(keys, prefix),
            Self::Module(lane) => Ok(lane.reuse(keys, prefix)),
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
        match self {
            Self::Paged(paged) => paged.read(model, opening, prefix, scratch),
            Self::Module(lane) => lane.read(model, opening, prefix),
        }
    }
}

pub(super) fn of_another_model() -> ModelError {
    ModelError::Engine("a sequence of another kind of model".to_owned())
}
