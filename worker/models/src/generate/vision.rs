//! A loaded model that looks at pictures and writes.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Tensor;

use super::language_model::check_prompt;
use super::request::{CancelFlag, GenerationOutput, GenerationRequest};
use super::session::PREFILL_CHUNK;
use super::writer::{Steps, Writer};
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::load::ModelFolder;
use crate::lora::{self, Registry};
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
        let (last, before) = check_prompt(&self.folder.config, request)?;
        let writer = Writer {
            tokenizer: &self.tokenizer,
            folder: &self.folder,
            request,
            cancel,
            started,
        };
        if last == self.model.config.image_token_id {
            return Err(ModelError::Request {
                field: "prompt",
                reason: "ends in a picture".to_owned(),
            });
        }
        let adapter = self.adapters.get(request.adapter.as_deref())?;
        let model = adapter.as_deref().map_or(&self.model, |a| &a.model);
        writer.run(last, &mut on_text, || {
            start(model, &self.device, before, patches, cancel)
        })
    }
}

/// Reads the prompt but its last token. None when cancelled meanwhile.
fn start<'m>(
    model: &'m Qwen25Vl,
    device: &'m Device,
    before: &[u32],
    patches: &Patches,
    cancel: &CancelFlag,
) -> Result<Option<Session<'m>>> {
    let mut session = Session {
        model,
        device,
        cache: KvCache::new(model.language_model.layers.len()),
        next: 0,
        logits: Vec::new(),
    };
    if before.is_empty() && patches.image_grid_thw.is_empty() {
        return Ok(Some(session));
    }
    let inputs = Inputs {
        input_ids: before.iter().map(|&id| i64::from(id)).collect(),
        attention_mask: vec![1; before.len()],
        tokens: before.len(),
        patches: patches.clone(),
    };
    let positions = model.positions(&inputs)?;
    let embeddings = model.embed(&inputs, device)?;
    for (number, axes) in positions.axes.chunks(PREFILL_CHUNK).enumerate() {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        let x = embeddings
            .clone()
            .narrow(1, number * PREFILL_CHUNK, axes.len());
        let chunk = Positions {
            axes: axes.to_vec(),
            next: Vec::new(),
            tokens: axes.len(),
        };
        model.forward_cached(x, &chunk, &mut session.cache);
    }
    session.next = positions.next.first().copied().unwrap_or(0);
    Ok(Some(session))
}

/// One sequence being decoded.
struct Session<'m> {
    model: &'m Qwen25Vl,
    device: &'m Device,
    cache: KvCache,
    /// The position of the next token.
    next: i64,
    logits: Vec<f32>,
}

impl Steps for Session<'_> {
    fn step(&mut self, token: u32) -> Result<&[f32]> {
        let Self { model, device, .. } = *self;
        let inputs = Inputs {
            input_ids: vec![i64::from(token)],
            attention_mask: vec![1],
            tokens: 1,
            patches: Patches::default(),
        };
        let x: Tensor<3> = model.embed(&inputs, device)?;
        let position = Positions::single(self.next);
        let hidden = model.forward_cached(x, &position, &mut self.cache);
        self.next += 1;
        self.logits = model
            .language_model
            .logits(hidden)
            .into_data()
            .convert::<f32>()
            .try_into_vec::<f32>()
            .map_err(|error| ModelError::Device {
                name: format!("{device:?}"),
                reason: error.to_string(),
            })?;
        Ok(&self.logits)
    }
}
