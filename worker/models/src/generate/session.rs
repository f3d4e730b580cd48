//! One sequence being decoded, by the CPU's own code or by the module on a device.

use super::language_model::{Adapted, LanguageModel, Network};
use super::request::CancelFlag;
use super::writer::Steps;
use crate::device::{Device, read_f32};
use crate::error::Result;
use crate::qwen3::cpu::{CpuAdapter, CpuDecoder, Scratch, SequenceCache};
use crate::qwen3::{KvCache, Qwen3, token_ids};

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
        scratch: Box<Scratch>,
    },
    Device {
        model: &'m Qwen3,
        device: &'m Device,
        cache: KvCache,
        logits: Vec<f32>,
    },
}

impl<'m> Session<'m> {
    /// Reads `prompt` with `adapter`, one of the model's. None when cancelled
    /// meanwhile.
    pub(super) fn start(
        model: &'m LanguageModel,
        adapter: Option<&'m Adapted>,
        prompt: &[u32],
        cancel: &CancelFlag,
    ) -> Result<Option<Self>> {
        let mut session = match model.network() {
            Network::Cpu(decoder) => Self::Cpu {
                decoder,
                adapter: match adapter {
                    Some(Adapted::Cpu(adapter)) => Some(adapter),
                    _ => None,
                },
                cache: SequenceCache::new(decoder.config()),
                scratch: Box::default(),
            },
            Network::Module(module) => Self::Device {
                model: match adapter {
                    Some(Adapted::Module(adapted)) => adapted,
                    _ => module,
                },
                device: model.device(),
                cache: KvCache::new(module.layers.len()),
                logits: Vec::new(),
            },
        };
        for chunk in prompt.chunks(PREFILL_CHUNK) {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            session.read(chunk)?;
        }
        Ok(Some(session))
    }

    fn read(&mut self, tokens: &[u32]) -> Result<()> {
        match self {
            Self::Cpu {
                decoder,
                adapter,
                cache,
                scratch,
            } => decoder.read_adapted(tokens, cache, *adapter, scratch),
            Self::Device {
                model,
                device,
                cache,
                ..
            } => {
                model.forward_cached(token_ids(tokens, device), None, None, cache);
                Ok(())
            }
        }
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
                let ids = token_ids(&[token], device);
                let hidden = model.forward_cached(ids, None, None, cache);
                *logits = read_f32(model.logits(hidden))?;
                Ok(logits)
            }
        }
    }
}
