//! The module that runs a model on devices other than the CPU, or with an adapter there.

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};

use super::lane::{Opening, of_another_model};
use super::model::{EngineAdapter, EngineModel};
use crate::device::read_f32;
use crate::error::Result;
use crate::generate::{Adapted, Network, PromptReader, vision_module};
use crate::qwen3::{KvCache, Qwen3, token_ids};
use crate::qwen25_vl::{Patches, Qwen25Vl};

#[derive(Clone, Copy, Debug)]
pub(super) enum Module<'m> {
    Text(&'m Qwen3),
    Vision(&'m Qwen25Vl),
}

impl<'m> Module<'m> {
    /// That of `model`, or what `adapter` makes of it.
    ///
    /// # Errors
    /// [`crate::ModelError::Engine`] for a model that the CPU's own code runs, and for an
    /// adapter of another model.
    pub(super) fn of(model: &'m EngineModel, adapter: Option<&'m EngineAdapter>) -> Result<Self> {
        match (model, adapter) {
            (EngineModel::Text(_), Some(EngineAdapter::Text(adapter))) => match &adapter.model {
                Adapted::Module(module) => Ok(Self::Text(module)),
                Adapted::Cpu(_) => Err(of_another_model()),
            },
            (EngineModel::Text(model), None) => match model.network() {
                Network::Module(module) => Ok(Self::Text(module)),
                Network::Cpu(_) => Err(of_another_model()),
            },
            (EngineModel::Vision(model), Some(EngineAdapter::Vision(adapter))) => {
                vision_module(model, Some(adapter)).map(Self::Vision)
            }
            (EngineModel::Vision(model), None) => vision_module(model, None).map(Self::Vision),
            _ => Err(of_another_model()),
        }
    }

    /// Reads up to `count` tokens of a prompt behind what `cache` holds of it. `reader` is
    /// the prompt's own.
    pub(super) fn read(
        self,
        opening: &Opening<'_>,
        count: usize,
        reader: &mut PromptReader,
        cache: &mut KvCache,
    ) -> Result<()> {
        match self {
            Self::Text(module) => {
                let from = cache.len();
                let until = opening.tokens.len().min(from + count);
                let ids = token_ids(&opening.tokens[from..until], &self.device());
                module.forward_cached(ids, None, None, cache);
                Ok(())
            }
            Self::Vision(module) => {
                let none = Patches::default();
                let pictures = opening.pictures.unwrap_or(&none);
                reader.read(module, opening.tokens, pictures, count, cache)
            }
        }
    }

    /// Reads one token of each row, at the rotary `positions`, behind what `cache` holds.
    /// `hidden` `[rows, 1, 1, cached + 1]` is true where a row does not look. Returns the
    /// logits `[rows × vocab]` of what follows.
    pub(super) fn step(
        self,
        tokens: &[u32],
        positions: &[i64],
        hidden: Option<Tensor<4, Bool>>,
        cache: &mut KvCache,
    ) -> Result<Vec<f32>> {
        read_f32(match self {
            Self::Vision(module) => module.step(tokens, positions, hidden, cache),
            Self::Text(module) => {
                let device = self.device();
                let places = TensorData::new(positions.to_vec(), [positions.len(), 1]);
                let places = Tensor::<2, Int>::from_data(places, &device);
                let ids = token_ids(tokens, &device).swap_dims(0, 1);
                module.logits(module.forward_cached(ids, Some(places), hidden, cache))
            }
        })
    }

    pub(super) fn device(self) -> Device {
        self.embeddings().device()
    }

    /// Of its weights, and of the keys and values that it keeps.
    pub(super) fn dtype(self) -> DType {
        self.embeddings().dtype()
    }

    fn embeddings(self) -> Tensor<2> {
        match self {
            Self::Text(module) => module.embed_tokens.weight.val(),
            Self::Vision(module) => module.language_model.embed_tokens.weight.val(),
        }
    }
}
