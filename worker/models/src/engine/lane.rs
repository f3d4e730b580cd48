//! What a sequence has read so far.

use std::sync::Arc;

use super::budget::KvBudget;
use super::model::{EngineAdapter, EngineModel};
use super::prefix::{NodeId, PrefixCache};
use crate::device::read_f32;
use crate::error::{ModelError, Result};
use crate::generate::{Adapted, LanguageModel, Network, VisionState};
use crate::lora::Loaded;
use crate::qwen3::cpu::{BLOCK_TOKENS, CpuAdapter, Scratch, SequenceCache};
use crate::qwen3::{KvCache, Qwen3, token_ids};
use crate::qwen25_vl::Patches;

/// Keys and values of one sequence.
#[derive(Debug)]
pub(super) enum Lane {
    /// In blocks, for the CPU's own code.
    Paged {
        cache: SequenceCache,
        adapter: Option<Arc<Loaded<Adapted>>>,
        /// Leading blocks that the prefix cache holds too.
        shared: usize,
        /// The last of those in the prefix cache.
        node: NodeId,
    },
    /// As the module keeps them, on its device.
    Module {
        cache: KvCache,
        adapter: Option<Arc<Loaded<Adapted>>>,
    },
    /// The same of a model that looks at pictures.
    Vision(Box<VisionState>),
}

impl Lane {
    /// Nothing read yet, to be read with `adapter`.
    pub(super) fn new(model: &EngineModel, adapter: Option<&EngineAdapter>) -> Self {
        match model {
            EngineModel::Text(model) => {
                let adapter = adapter.and_then(EngineAdapter::text).cloned();
                match model.network() {
                    Network::Cpu(decoder) => Self::Paged {
                        cache: SequenceCache::new(decoder.config()),
                        shared: 0,
                        node: NodeId::Root(adapter.as_ref().map(|adapter| adapter.id)),
                        adapter,
                    },
                    Network::Module(module) => Self::Module {
                        cache: KvCache::new(module.layers.len()),
                        adapter,
                    },
                }
            }
            EngineModel::Vision(model) => {
                let adapter = adapter.and_then(EngineAdapter::vision).cloned();
                Self::Vision(Box::new(model.begin(adapter)))
            }
        }
    }

    /// Tokens read.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Paged { cache, .. } => cache.len(),
            Self::Module { cache, .. } => cache.len(),
            Self::Vision(state) => state.len(),
        }
    }

    /// Bytes for `tokens` in all, shared blocks left out.
    pub(super) fn bytes(&self, budget: &KvBudget, tokens: usize) -> usize {
        match self {
            Self::Paged { shared, .. } => budget.blocks(tokens) - shared * budget.block,
            Self::Module { .. } | Self::Vision(_) => budget.module(tokens),
        }
    }

    /// Takes blocks of `prompt` that were read before; returns their tokens.
    pub(super) fn reuse(&mut self, prompt: &[u32], prefix: &mut PrefixCache) -> Result<usize> {
        let Self::Paged {
            cache,
            shared,
            node,
            ..
        } = self
        else {
            return Ok(0);
        };
        let before = cache.len();
        // Behind a block of its own there is none to share.
        if before != *shared * BLOCK_TOKENS {
            return Ok(0);
        }
        for tokens in prompt[before..].chunks_exact(BLOCK_TOKENS) {
            let Some((id, block)) = prefix.get(*node, tokens) else {
                break;
            };
            cache.share(block)?;
            (*node, *shared) = (id, *shared + 1);
        }
        Ok(cache.len() - before)
    }

    /// Reads the next block of `prompt`, and keeps it for others where `prefix`
    /// is given. A block is always read as a whole, so that what it holds depends
    /// on prompt and adapter alone. `pictures` are those of the prompt.
    pub(super) fn read(
        &mut self,
        model: &EngineModel,
        prompt: &[u32],
        pictures: Option<&Patches>,
        prefix: Option<&mut PrefixCache>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let from = self.len();
        let chunk = &prompt[from..prompt.len().min(from + BLOCK_TOKENS)];
        match (self, model) {
            (
                Self::Paged {
                    cache,
                    adapter,
                    shared,
                    node,
                },
                EngineModel::Text(model),
            ) => {
                let decoder = model.decoder().ok_or_else(of_another_model)?;
                decoder.read_adapted(chunk, cache, cpu_adapter(adapter.as_ref()), scratch)?;
                if let (Some(prefix), Some(block)) = (prefix, cache.blocks().last())
                    && chunk.len() == BLOCK_TOKENS
                {
                    *node = prefix.insert(*node, chunk, block.clone());
                    *shared += 1;
                }
            }
            (Self::Module { cache, adapter }, EngineModel::Text(model)) => {
                let ids = token_ids(chunk, model.device());
                module(model, adapter.as_ref())?.forward_cached(ids, None, None, cache);
            }
            (Self::Vision(state), EngineModel::Vision(model)) => {
                let none = Patches::default();
                model.read(state, prompt, pictures.unwrap_or(&none), BLOCK_TOKENS)?;
            }
            _ => return Err(of_another_model()),
        }
        Ok(())
    }

    /// Reads one token with the module; the logits `[vocab]` of what follows it.
    pub(super) fn step(&mut self, model: &EngineModel, token: u32) -> Result<Vec<f32>> {
        match (self, model) {
            (Self::Module { cache, adapter }, EngineModel::Text(model)) => {
                let module = module(model, adapter.as_ref())?;
                let ids = token_ids(&[token], model.device());
                let hidden = module.forward_cached(ids, None, None, cache);
                read_f32(module.logits(hidden))
            }
            (Self::Vision(state), EngineModel::Vision(model)) => model.step(state, token),
            _ => Err(of_another_model()),
        }
    }
}

fn of_another_model() -> ModelError {
    ModelError::Engine("a sequence of another kind of model".to_owned())
}

/// The adapter of the CPU's own code.
pub(super) fn cpu_adapter(adapter: Option<&Arc<Loaded<Adapted>>>) -> Option<&CpuAdapter> {
    match &adapter?.model {
        Adapted::Cpu(adapter) => Some(adapter),
        Adapted::Module(_) => None,
    }
}

fn module<'m>(
    model: &'m LanguageModel,
    adapter: Option<&'m Arc<Loaded<Adapted>>>,
) -> Result<&'m Qwen3> {
    match (adapter.map(|adapter| &adapter.model), model.network()) {
        (Some(Adapted::Module(module)), _) | (None, Network::Module(module)) => Ok(module),
        _ => Err(of_another_model()),
    }
}
