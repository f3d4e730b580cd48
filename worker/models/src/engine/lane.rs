//! What a sequence has read so far.

use burn::tensor::{Int, Tensor, TensorData};

use super::budget::KvBudget;
use super::model::EngineModel;
use super::prefix::{NodeId, PrefixCache, ROOT};
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::generate::{LanguageModel, VisionState};
use crate::qwen3::KvCache;
use crate::qwen3::cpu::{BLOCK_TOKENS, SequenceCache};
use crate::qwen25_vl::Patches;

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
    /// The same of a model that looks at pictures.
    Vision(Box<VisionState>),
}

impl Lane {
    pub(super) fn new(model: &EngineModel) -> Self {
        match (model, model.decoder()) {
            (_, Some(decoder)) => Self::Paged {
                cache: SequenceCache::new(decoder.config()),
                module: None,
                shared: 0,
                node: ROOT,
            },
            (EngineModel::Text(model), None) => {
                Self::Module(KvCache::new(model.model().layers.len()))
            }
            (EngineModel::Vision(model), None) => Self::Vision(Box::new(model.begin())),
        }
    }

    /// Tokens read.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Paged { cache, .. } => cache.len(),
            Self::Module(cache) => cache.len(),
            Self::Vision(state) => state.len(),
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
            Self::Module(_) | Self::Vision(_) => budget.module(tokens),
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

    /// Reads the next block of `prompt`, and keeps it for others where `prefix`
    /// is given. A block is always read as a whole, so that what it holds depends
    /// on the prompt alone. `pictures` are those of the prompt.
    pub(super) fn read(
        &mut self,
        model: &EngineModel,
        prompt: &[u32],
        pictures: Option<&Patches>,
        prefix: Option<&mut PrefixCache>,
    ) -> Result<()> {
        let from = self.len();
        let chunk = &prompt[from..prompt.len().min(from + BLOCK_TOKENS)];
        match (self, model) {
            (
                Self::Paged {
                    cache,
                    module,
                    shared,
                    node,
                },
                EngineModel::Text(model),
            ) => {
                let device = model.device();
                let behind = module.as_ref().is_none_or(|module| module.len() != from);
                if behind {
                    *module = Some(cache.to_module(device));
                }
                if let Some(module) = module {
                    model
                        .model()
                        .forward_cached(ids(chunk, device), None, None, module);
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
            (Self::Module(cache), EngineModel::Text(model)) => {
                let ids = ids(chunk, model.device());
                model.model().forward_cached(ids, None, None, cache);
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
            (Self::Module(cache), EngineModel::Text(model)) => step_module(model, token, cache),
            (Self::Vision(state), EngineModel::Vision(model)) => model.step(state, token),
            _ => Err(of_another_model()),
        }
    }
}

fn of_another_model() -> ModelError {
    ModelError::Engine("a sequence of another kind of model".to_owned())
}

fn step_module(model: &LanguageModel, token: u32, cache: &mut KvCache) -> Result<Vec<f32>> {
    let device = model.device();
    let hidden = model
        .model()
        .forward_cached(ids(&[token], device), None, None, cache);
    model
        .model()
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
