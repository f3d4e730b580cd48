//! A loaded model that looks at pictures and writes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Tensor;

use super::language_model::check_prompt;
use super::request::{CancelFlag, GenerationOutput, GenerationRequest};
use super::session::PREFILL_CHUNK;
use super::writer::{Steps, Writer};
use crate::device::{Device, read_f32};
use crate::error::{ModelError, Result};
use crate::load::ModelFolder;
use crate::lora::{self, Loaded, Registry};
use crate::qwen3::KvCache;
use crate::qwen25_vl::chat::{VisionMessage, VisionPrompt};
use crate::qwen25_vl::text::Positions;
use crate::qwen25_vl::{ImageProcessor, Inputs, Patches, Qwen25Vl};
use crate::tokenizer::ChatTokenizer;

/// A Qwen2.5-VL with its tokenizer and image processor.
#[derive(Debug)]
pub struct VisionLanguageModel {
    folder: ModelFolder,
    model: Qwen25Vl,
    processor: ImageProcessor,
    tokenizer: ChatTokenizer,
    device: Device,
    adapters: Registry<Qwen25Vl>,
}

impl VisionLanguageModel {
    /// Loads the model folder `dir` onto `device`.
    ///
    /// # Errors
    /// Every [`ModelError`] of loading; each names the file, and the field or
    /// tensor.
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        let folder = ModelFolder::open(dir)?;
        Self::new(folder, ChatTokenizer::from_folder(dir)?, device)
    }

    /// Loads the weights of `folder` beside a tokenizer made elsewhere.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn new(folder: ModelFolder, tokenizer: ChatTokenizer, device: &Device) -> Result<Self> {
        let device = device.clone().without_autodiff();
        let Some(vision) = &folder.vision else {
            let reason = "`model_type`: a text model, which cannot look at pictures";
            return Err(ModelError::malformed(
                folder.path.join("config.json"),
                reason,
            ));
        };
        let processor = vision.image_processor(&folder.path)?;
        let model = folder.load_vision_model(&device)?;
        tracing::info!(folder = %folder.path.display(), ?device, "model loaded");
        Ok(Self {
            folder,
            model,
            processor,
            tokenizer,
            device,
            adapters: Registry::default(),
        })
    }

    /// Loads the adapter in the folder `dir` as `name`, see
    /// [`super::LanguageModel::add_adapter`].
    ///
    /// # Errors
    /// As there.
    pub fn add_adapter(&self, name: &str, dir: &Path) -> Result<()> {
        let adapter = lora::open(dir, &self.model)?;
        self.adapters
            .add(name, lora::attach(&self.model, &adapter))?;
        tracing::info!(
            name,
            folder = %dir.display(),
            parameters = adapter.num_parameters(),
            "adapter loaded"
        );
        Ok(())
    }

    /// The names of the adapters, in the order in which they came.
    pub fn adapter_names(&self) -> Vec<String> {
        self.adapters.names()
    }

    /// The adapter that a request asks for; none for the base.
    ///
    /// # Errors
    /// [`ModelError::Request`] when there is none of that name.
    pub(crate) fn adapter(
        &self,
        request: &GenerationRequest,
    ) -> Result<Option<Arc<Loaded<Qwen25Vl>>>> {
        self.adapters.get(request.adapter.as_deref())
    }

    /// What the folder says of the model.
    pub fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &ChatTokenizer {
        &self.tokenizer
    }

    /// The module.
    pub fn model(&self) -> &Qwen25Vl {
        &self.model
    }

    /// Pictures to patches.
    pub fn processor(&self) -> &ImageProcessor {
        &self.processor
    }

    /// The prompt of a conversation with pictures anywhere in it, ending where
    /// the model's answer begins.
    ///
    /// # Errors
    /// Those of the processor, the template and the tokenizer;
    /// [`ModelError::Request`] when the prompt has places for another number of
    /// pictures.
    pub fn prompt(&self, messages: &[VisionMessage]) -> Result<VisionPrompt> {
        let image = self.model.config.image_token_id;
        VisionPrompt::new(messages, &self.tokenizer, &self.processor, image)
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Writes an answer to `request`, whose prompt has `patches` in the places of
    /// its pictures; otherwise as [`super::LanguageModel::generate`].
    ///
    /// # Errors
    /// As [`super::LanguageModel::generate`], and [`ModelError::Request`] when
    /// the pictures do not fit their places.
    pub fn generate(
        &self,
        request: &GenerationRequest,
        patches: &Patches,
        cancel: &CancelFlag,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<GenerationOutput> {
        let started = Instant::now();
        let (last, before) = self.check_prompt(request, patches)?;
        let writer = Writer {
            tokenizer: &self.tokenizer,
            folder: &self.folder,
            request,
            cancel,
            started,
        };
        let adapter = self.adapter(request)?;
        writer.run(last, &mut on_text, || {
            let mut session = Session {
                of: self,
                state: self.begin(adapter.clone()),
                logits: Vec::new(),
            };
            while session.state.len() < before.len() {
                if cancel.is_cancelled() {
                    return Ok(None);
                }
                self.read(&mut session.state, before, patches, PREFILL_CHUNK)?;
            }
            Ok(Some(session))
        })
    }

    /// Checks a request's prompt and whether its pictures fit their places.
    pub(crate) fn check(&self, request: &GenerationRequest, patches: &Patches) -> Result<()> {
        self.check_prompt(request, patches).map(|_| ())
    }

    fn check_prompt<'r>(
        &self,
        request: &'r GenerationRequest,
        patches: &Patches,
    ) -> Result<(u32, &'r [u32])> {
        let (last, before) = check_prompt(&self.folder.config, request)?;
        if last == self.model.config.image_token_id {
            return Err(ModelError::Request {
                field: "prompt",
                reason: "ends in a picture".to_owned(),
            });
        }
        self.positions(before, patches)?;
        Ok((last, before))
    }

    /// Where the tokens of a prompt stand.
    fn positions(&self, ids: &[u32], patches: &Patches) -> Result<Positions> {
        let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        let mask = vec![1; ids.len()];
        let grids = &patches.image_grid_thw;
        Positions::new(&self.model.config, &ids, &mask, ids.len(), grids)
    }

    /// A sequence of which nothing was read, to be read with `adapter`.
    pub(crate) fn begin(&self, adapter: Option<Arc<Loaded<Qwen25Vl>>>) -> VisionState {
        VisionState {
            adapter,
            cache: KvCache::new(self.model.language_model.layers.len()),
            next: 0,
            unread: None,
        }
    }

    /// Reads up to `tokens` more of `prompt`, which has `patches` in the places
    /// of its pictures; the first time, looks at these. At the prompt's end the
    /// state is ready for [`Self::step`].
    ///
    /// # Errors
    /// [`ModelError::Request`] when the pictures do not fit their places.
    pub(crate) fn read(
        &self,
        state: &mut VisionState,
        prompt: &[u32],
        patches: &Patches,
        tokens: usize,
    ) -> Result<()> {
        let from = state.len();
        let count = tokens.min(prompt.len().saturating_sub(from));
        if count == 0 {
            return Ok(());
        }
        let unread = match state.unread.take() {
            Some(unread) => unread,
            None => self.look(state, prompt, patches)?,
        };
        let x = unread.embeddings.clone().narrow(1, from, count);
        let chunk = Positions {
            axes: unread.positions.axes[from..from + count].to_vec(),
            next: Vec::new(),
            tokens: count,
        };
        let model = self.module(state.adapter.as_ref());
        model.forward_cached(x, &chunk, &mut state.cache);
        match from + count < prompt.len() {
            true => state.unread = Some(unread),
            false => state.next = unread.positions.next.first().copied().unwrap_or(0),
        }
        Ok(())
    }

    /// A prompt with its pictures as vectors.
    fn look(&self, state: &VisionState, prompt: &[u32], patches: &Patches) -> Result<Unread> {
        let inputs = Inputs {
            input_ids: prompt.iter().map(|&id| i64::from(id)).collect(),
            attention_mask: vec![1; prompt.len()],
            tokens: prompt.len(),
            patches: patches.clone(),
        };
        let model = self.module(state.adapter.as_ref());
        Ok(Unread {
            positions: model.positions(&inputs)?,
            embeddings: model.embed(&inputs, &self.device)?,
        })
    }

    /// The model, with its adapter where there is one.
    fn module<'m>(&'m self, adapter: Option<&'m Arc<Loaded<Qwen25Vl>>>) -> &'m Qwen25Vl {
        adapter.map_or(&self.model, |adapter| &adapter.model)
    }

    /// Reads one token; the logits `[vocab]` of what follows it.
    ///
    /// # Errors
    /// [`ModelError::Request`] for a token outside the vocabulary, and
    /// [`ModelError::Device`].
    pub(crate) fn step(&self, state: &mut VisionState, token: u32) -> Result<Vec<f32>> {
        let model = self.module(state.adapter.as_ref());
        let inputs = Inputs {
            input_ids: vec![i64::from(token)],
            attention_mask: vec![1],
            tokens: 1,
            patches: Patches::default(),
        };
        let x: Tensor<3> = model.embed(&inputs, &self.device)?;
        let position = Positions::single(state.next);
        let hidden = model.forward_cached(x, &position, &mut state.cache);
        state.next += 1;
        read_f32(model.language_model.logits(hidden))
    }
}

/// What was read of one sequence.
#[derive(Debug)]
pub(crate) struct VisionState {
    adapter: Option<Arc<Loaded<Qwen25Vl>>>,
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
    /// Tokens read.
    pub(crate) fn len(&self) -> usize {
        self.cache.len()
    }
}

/// One sequence being decoded.
struct Session<'m> {
    of: &'m VisionLanguageModel,
    state: VisionState,
    logits: Vec<f32>,
}

impl Steps for Session<'_> {
    fn step(&mut self, token: u32) -> Result<&[f32]> {
        self.logits = self.of.step(&mut self.state, token)?;
        Ok(&self.logits)
    }
}
