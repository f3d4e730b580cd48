//! One sequence being decoded, on the CPU's decode step or on a device.

use burn::tensor::{Int, Tensor, TensorData};

use super::request::CancelFlag;
use super::writer::Steps;
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::qwen3::cpu::{CpuAdapter, CpuDecoder, Scratch, SequenceCache};
use crate::qwen3::{KvCache, Qwen3};

/// Prompt tokens read at once: bounds the attention scores in memory, and the
/// wait until a cancellation is noticed.
pub(super) const PREFILL_CHUNK: usize = 512;

/// The state of one sequence. Holds the prompt but its last token, which the
/// first step reads.
pub(super) enum Session<'m> {
    Cpu {
        decoder: &'m CpuDecoder,
        adapter: Option<&'m CpuAdapter>,
        cache: SequenceCache,
        scratch: Scratch,
    },
    Device {
        model: &'m Qwen3,
        device: Device,
        cache: KvCache,
        logits: Vec<f32>,
    },
}

impl<'m> Session<'m> {
    /// Reads `prompt` with `model`, which has the adapter that is beside the
    /// decoder. None when cancelled meanwhile.
    pub(super) fn start(
        model: &'m Qwen3,
        decoder: Option<(&'m CpuDecoder, Option<&'m CpuAdapter>)>,
        device: &Device,
        prompt: &[u32],
        cancel: &CancelFlag,
    ) -> Result<Option<Self>> {
        let mut cache = KvCache::new(model.layers.len());
        for chunk in prompt.chunks(PREFILL_CHUNK) {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            model.forward_cached(ids(chunk, device), None, None, &mut cache);
        }
        Ok(Some(match decoder {
            Some((decoder, adapter)) => Self::Cpu {
                decoder,
                adapter,
                cache: match cache.is_empty() {
                    true => SequenceCache::new(decoder.config()),
                    false => SequenceCache::from_module(&cache)?,
                },
                scratch: Scratch::default(),
            },
            None => Self::Device {
                model,
                device: device.clone(),
                cache,
                logits: Vec::new(),
            },
        }))
    }
}

impl Steps for Session<'_> {
    fn step(&mut self, token: u32) -> Result<&[f32]> {
        match self {
            Self::Cpu {
                decoder,
                adapter,
                cache,
                scratch,
            } => decoder.step_adapted(&[token], &mut [cache], &[*adapter], scratch),
            Self::Device {
                model,
                device,
                cache,
                logits,
            } => {
                let hidden = model.forward_cached(ids(&[token], device), None, None, cache);
                *logits = model
                    .logits(hidden)
                    .into_data()
                    .convert::<f32>()
                    .try_into_vec::<f32>()
                    .map_err(|error| ModelError::Device {
                        name: format!("{device:?}"),
                        reason: error.to_string(),
                    })?;
                Ok(logits)
            }
        }
    }
}

fn ids(tokens: &[u32], device: &Device) -> Tensor<2, Int> {
    let tokens: Vec<i64> = tokens.iter().map(|&token| i64::from(token)).collect();
    let shape = [1, tokens.len()];
    Tensor::from_data(TensorData::new(tokens, shape), device)
}
