//! What a sequence has read so far.

use burn::tensor::{Int, Tensor, TensorData};

use super::budget::KvBudget;
use super::prefix::{NodeId, PrefixCache};
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::generate::LanguageModel;
use crate::lora::AdapterId;
use crate::qwen3::cpu::{BLOCK_TOKENS, SequenceCache};
use crate::qwen3::{KvCache, Qwen3};

/// Keys and values of one sequence.
#[derive(Debug)]
pub(super) enum Lane {
    /// In blocks, for the CPU's decode step.
    Paged {
        cache: SequenceCache,
        /// The module's cache while the prompt is read.
        module: Option<KvCache>,
        /// Leading blocks that the prefix cache holds too.
        shared: usize,
        /// The last of those in the prefix cache.
        node: NodeId,
    },
    /// As the module keeps them, on its device.
    Module(KvCache),
}

impl Lane {
    /// Nothing read yet, to be read with `adapter`.
    pub(super) fn new(model: &LanguageModel, adapter: Option<AdapterId>) -> Self {
        match model.decoder() {
            Some(decoder) => Self::Paged {
                cache: SequenceCache::new(decoder.config()),
                module: None,
                shared: 0,
                node: NodeId::Root(adapter),
            },
            None => Self::Module(KvCache::new(model.model().layers.len())),
        }
    }

    /// Tokens read.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Paged { cache, .. } => cache.len(),
            Self::Module(cache) => cache.len(),
        }
    }

    /// Bytes for `tokens` in all, shared blocks left out; with what reading a
    /// prompt of `reading` tokens takes besides.
    pub(super) fn bytes(&self, budget: &KvBudget, tokens: usize, reading: Option<usize>) -> usize {
        match self {
            Self::Paged { shared, .. } => {
                let own = budget.blocks(tokens) - shared * budget.block;
                own + reading.map_or(0, |prompt| budget.module(prompt))
            }
            Self::Module(_) => budget.module(tokens),
        }
    }

    /// Takes blocks of `prompt` that were read before; returns their tokens.
    pub(super) fn reuse(&mut self, prompt: &[u32], prefix: &mut PrefixCache) -> Result<usize> {
        let Self::Paged {
            cache,
            module,
            shared,
            node,
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
            // It lacks this block now.
            *module = None;
        }
        Ok(cache.len() - before)
    }

    /// Reads the next block of `prompt` with `model`, and keeps it for others
    /// where `prefix` is given. A block is always read as a whole, so that what it
    /// holds depends on prompt and adapter alone.
    pub(super) fn read(
        &mut self,
        model: &Qwen3,
        device: &Device,
        prompt: &[u32],
        prefix: Option<&mut PrefixCache>,
    ) -> Result<()> {
        let from = self.len();
        let chunk = &prompt[from..prompt.len().min(from + BLOCK_TOKENS)];
        match self {
            Self::Paged {
                cache,
                module,
                shared,
                node,
            } => {
                let behind = module.as_ref().is_none_or(|module| module.len() != from);
                if behind {
                    *module = Some(cache.to_module(device));
                }
                if let Some(module) = module {
                    model.forward_cached(ids(chunk, device), None, None, module);
                    cache.extend_from_module(module)?;
                }
                if let (Some(prefix), Some(block)) = (prefix, cache.blocks().last())
                    && chunk.len() == BLOCK_TOKENS
                {
                    *node = prefix.insert(*node, chunk, block.clone());
                    *shared += 1;
                }
                if cache.len() == prompt.len() {
                    *module = None;
                }
            }
            Self::Module(cache) => {
                model.forward_cached(ids(chunk, device), None, None, cache);
            }
        }
        Ok(())
    }
}

/// Reads one token with the module; the logits `[vocab]` of what follows it.
pub(super) fn step_module(
    model: &Qwen3,
    device: &Device,
    token: u32,
    cache: &mut KvCache,
) -> Result<Vec<f32>> {
    let hidden = model.forward_cached(ids(&[token], device), None, None, cache);
    model
        .logits(hidden)
        .into_data()
        .convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|error| ModelError::Device {
            name: format!("{device:?}"),
            reason: error.to_string(),
        })
}

fn ids(tokens: &[u32], device: &Device) -> Tensor<2, Int> {
    let tokens: Vec<i64> = tokens.iter().map(|&token| i64::from(token)).collect();
    let shape = [1, tokens.len()];
    Tensor::from_data(TensorData::new(tokens, shape), device)
}
