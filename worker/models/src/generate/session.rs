//! One sequence being decoded, by the CPU's own code or by the module on a device.

use super::language_model::{Adapted, LanguageModel, Network};
use super::request::CancelFlag;
use super::writer::Steps;
use crate::device::{Device, read_f32};
use crate::error::{ModelError, Result};
use crate::qwen3::cpu::{CpuAdapter, CpuDecoder, PromptPictures, Scratch, SequenceCache};
use crate::qwen3::{KvCache, Qwen3, token_ids};

/// Prompt tokens read at once: bounds the attention scores in memory, and the
/// wait until a cancellation is noticed.
pub(super) const PREFILL_CHUNK: usize = 512;

/// The state of one sequence. Holds the prompt but its last token, which the
/// first step reads.
pub(super) enum Session<'m> {
    Cpu(CpuSession<'m>),
    Device {
        model: &'m Qwen3,
        device: &'m Device,
        cache: KvCache,
        logits: Vec<f32>,
    },
}

/// One in the CPU's own code.
pub(super) struct CpuSession<'m> {
    decoder: &'m CpuDecoder,
    adapter: Option<&'m CpuAdapter>,
    cache: SequenceCache,
    scratch: Box<Scratch>,
}

impl<'m> CpuSession<'m> {
    /// Reads `prompt`, in which `pictures` stand. None when cancelled meanwhile.
    pub(super) fn start(
        decoder: &'m CpuDecoder,
        adapter: Option<&'m CpuAdapter>,
        mut cache: SequenceCache,
        prompt: &[u32],
        pictures: Option<&PromptPictures>,
        cancel: &CancelFlag,
    ) -> Result<Option<Self>> {
        let mut scratch = Box::default();
        for chunk in prompt.chunks(PREFILL_CHUNK) {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            match pictures {
                None => decoder.read_adapted(chunk, &mut cache, adapter, &mut scratch)?,
                Some(pictures) => {
                    decoder.read_pictured(chunk, &mut cache, pictures, adapter, &mut scratch)?;
                }
            }
        }
        Ok(Some(Self {
            decoder,
            adapter,
            cache,
            scratch,
        }))
    }
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
        let (model, device) = match (model.network(), adapter) {
            (Network::Cpu(decoder), adapter) => {
                let adapter = match adapter {
                    None => None,
                    Some(Adapted::Cpu(adapter)) => Some(adapter),
                    Some(Adapted::Module(_)) => return Err(other_network()),
                };
                let cache = SequenceCache::new(decoder.config());
                let session = CpuSession::start(decoder, adapter, cache, prompt, None, cancel)?;
                return Ok(session.map(Self::Cpu));
            }
            (Network::Module(_), Some(Adapted::Cpu(_))) => return Err(other_network()),
            (Network::Module(_), Some(Adapted::Module(adapted))) => (adapted, model.device()),
            (Network::Module(module), None) => (module, model.device()),
        };
        let mut cache = KvCache::new(model.layers.len());
        for chunk in prompt.chunks(PREFILL_CHUNK) {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            model.forward_cached(token_ids(chunk, device), None, None, &mut cache);
        }
        Ok(Some(Self::Device {
            model,
            device,
            cache,
            logits: Vec::new(),
        }))
    }
}

/// An adapter is made for the network that it is beside.
pub(super) fn other_network() -> ModelError {
    ModelError::Engine("an adapter that was loaded for another device".to_owned())
}

impl Steps for Session<'_> {
    fn step(&mut self, token: u32) -> Result<&[f32]> {
        match self {
            Self::Cpu(session) => session.step(token),
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

impl Steps for CpuSession<'_> {
    fn step(&mut self, token: u32) -> Result<&[f32]> {
        let (cache, adapter) = (&mut self.cache, self.adapter);
        self.decoder
            .step_adapted(&[token], &mut [cache], &[adapter], &mut self.scratch)
    }
}
