//! One sequence of a model that looks at pictures, on a device other than the CPU.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::request::CancelFlag;
use super::session::{PREFILL_CHUNK, other_network};
use super::vision::{VisionAdapted, VisionLanguageModel, VisionNetwork};
use super::writer::Steps;
use crate::device::read_f32;
use crate::error::Result;
use crate::lora::Loaded;
use crate::qwen3::KvCache;
use crate::qwen25_vl::text::Positions;
use crate::qwen25_vl::{Inputs, Patches, Qwen25Vl};

/// What was read of one sequence.
#[derive(Debug)]
pub(crate) struct VisionState {
    adapter: Option<Arc<Loaded<VisionAdapted>>>,
    cache: KvCache,
    /// The position of the next token, once the prompt is read.
    next: i64,
    /// The whole prompt, while some of it is still to be read.
    unread: Option<Unread>,
}

#[derive(Debug)]
struct Unread {
    /// `[1, tokens, hidden]`.
    embeddings: Tensor<3>,
    positions: Positions,
}

impl VisionState {
    /// A sequence of which nothing was read, to be read with `adapter`.
    pub(crate) fn new(
        model: &VisionLanguageModel,
        adapter: Option<Arc<Loaded<VisionAdapted>>>,
    ) -> Self {
        Self {
            adapter,
            cache: KvCache::new(model.config().text.num_hidden_layers),
            next: 0,
            unread: None,
        }
    }

    /// Tokens read.
    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }

    /// Reads up to `tokens` more of `prompt`, which has `patches` in the places
    /// of its pictures; the first time, looks at these. At the prompt's end the
    /// state is ready for [`Self::step`].
    ///
    /// # Errors
    /// [`crate::ModelError::Request`] when the pictures do not fit their places.
    pub(crate) fn read(
        &mut self,
        model: &VisionLanguageModel,
        prompt: &[u32],
        patches: &Patches,
        tokens: usize,
    ) -> Result<()> {
        let from = self.len();
        let count = tokens.min(prompt.len().saturating_sub(from));
        if count == 0 {
            return Ok(());
        }
        let unread = match self.unread.take() {
            Some(unread) => unread,
            None => self.look(model, prompt, patches)?,
        };
        let x = unread.embeddings.clone().narrow(1, from, count);
        let chunk = Positions {
            axes: unread.positions.axes[from..from + count].to_vec(),
            next: Vec::new(),
            tokens: count,
        };
        let module = module(model, self.adapter.as_deref())?;
        module.forward_cached(x, &chunk, &mut self.cache);
        match from + count < prompt.len() {
            true => self.unread = Some(unread),
            false => self.next = unread.positions.next.first().copied().unwrap_or(0),
        }
        Ok(())
    }

    /// A prompt with its pictures as vectors.
    fn look(
        &self,
        model: &VisionLanguageModel,
        prompt: &[u32],
        patches: &Patches,
    ) -> Result<Unread> {
        let inputs = Inputs {
            input_ids: prompt.iter().map(|&id| i64::from(id)).collect(),
            attention_mask: vec![1; prompt.len()],
            tokens: prompt.len(),
            patches: patches.clone(),
        };
        let module = module(model, self.adapter.as_deref())?;
        Ok(Unread {
            positions: module.positions(&inputs)?,
            embeddings: module.embed(&inputs, model.device())?,
        })
    }

    /// Reads one token; the logits `[vocab]` of what follows it.
    ///
    /// # Errors
    /// [`crate::ModelError::Request`] for a token outside the vocabulary, and
    /// [`crate::ModelError::Device`].
    pub(crate) fn step(&mut self, model: &VisionLanguageModel, token: u32) -> Result<Vec<f32>> {
        let module = module(model, self.adapter.as_deref())?;
        let inputs = Inputs {
            input_ids: vec![i64::from(token)],
            attention_mask: vec![1],
            tokens: 1,
            patches: Patches::default(),
        };
        let x: Tensor<3> = module.embed(&inputs, model.device())?;
        let position = Positions::single(self.next);
        let hidden = module.forward_cached(x, &position, &mut self.cache);
        self.next += 1;
        read_f32(module.language_model.logits(hidden))
    }
}

/// The module, with its adapter where there is one.
fn module<'m>(
    model: &'m VisionLanguageModel,
    adapter: Option<&'m Loaded<VisionAdapted>>,
) -> Result<&'m Qwen25Vl> {
    match (adapter.map(|adapter| &adapter.model), model.network()) {
        (Some(VisionAdapted::Module(module)), _) | (None, VisionNetwork::Module(module)) => {
            Ok(module)
        }
        _ => Err(other_network()),
    }
}

/// One sequence being decoded.
pub(super) struct ModuleSession<'m> {
    of: &'m VisionLanguageModel,
    state: VisionState,
    logits: Vec<f32>,
}

impl<'m> ModuleSession<'m> {
    /// Reads `prompt`. None when cancelled meanwhile.
    pub(super) fn start(
        of: &'m VisionLanguageModel,
        adapter: Option<Arc<Loaded<VisionAdapted>>>,
        prompt: &[u32],
        patches: &Patches,
        cancel: &CancelFlag,
    ) -> Result<Option<Self>> {
        let mut state = VisionState::new(of, adapter);
        while state.len() < prompt.len() {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            state.read(of, prompt, patches, PREFILL_CHUNK)?;
        }
        Ok(Some(Self {
            of,
            state,
            logits: Vec::new(),
        }))
    }
}

impl Steps for ModuleSession<'_> {
    fn step(&mut self, token: u32) -> Result<&[f32]> {
        self.logits = self.state.step(self.of, token)?;
        Ok(&self.logits)
    }
}
