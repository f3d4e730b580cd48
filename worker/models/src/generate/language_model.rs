//! A loaded model that writes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::request::{CancelFlag, GenerationOutput, GenerationRequest};
use super::session::Session;
use super::writer::Writer;
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::load::{LoadedModel, ModelFolder, load_folder};
use crate::lora::{self, Loaded, Registry};
use crate::qwen3::cpu::{CpuAdapter, CpuDecoder, Precision};
use crate::qwen3::{Qwen3, Qwen3Config};
use crate::tokenizer::ChatTokenizer;

/// A model, its tokenizer and, on the CPU, its weights laid out for decoding.
#[derive(Debug)]
pub struct LanguageModel {
    loaded: LoadedModel,
    device: Device,
    /// On `flex` alone.
    decoder: Option<CpuDecoder>,
    adapters: Registry<Adapted>,
}

/// The model with an adapter; it shares the base's weights.
#[derive(Debug)]
pub(crate) struct Adapted {
    pub(crate) module: Qwen3,
    /// For the decode step, which has the base's weights in a layout of its own.
    pub(crate) decoder: Option<CpuAdapter>,
}

impl LanguageModel {
    /// Loads the model folder `dir` onto `device`.
    ///
    /// # Errors
    /// Those of [`load_folder`].
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        Self::load_as(dir, device, Precision::Exact)
    }

    /// [`Self::load`] with a choice of the weights that the CPU decodes with;
    /// other devices take no notice of it.
    ///
    /// # Errors
    /// Those of [`load_folder`].
    pub fn load_as(dir: &Path, device: &Device, precision: Precision) -> Result<Self> {
        let device = device.clone().without_autodiff();
        Self::with_precision(load_folder(dir, &device)?, &device, precision)
    }

    /// Wraps a model that is on `device` already, as training has it. On the
    /// CPU this copies the weights: make it anew after they changed.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the weights do not fit the configuration.
    pub fn new(loaded: LoadedModel, device: &Device) -> Result<Self> {
        Self::with_precision(loaded, device, Precision::Exact)
    }

    fn with_precision(loaded: LoadedModel, device: &Device, precision: Precision) -> Result<Self> {
        let (model, config) = (&loaded.model, &loaded.folder.config);
        let decoder = match *device == Device::flex() {
            true => Some(CpuDecoder::with_precision(model, config, precision)?),
            false => None,
        };
        Ok(Self {
            loaded,
            device: device.clone(),
            decoder,
            adapters: Registry::default(),
        })
    }

    /// Loads the adapter in the folder `dir`, in the layout of `peft`, so that
    /// requests can ask for it as `name`. May be called while others are served;
    /// an adapter that had the name goes when the last of its requests ends.
    ///
    /// # Errors
    /// Those of [`lora::Adapter::open`]; [`ModelError::Request`] for an empty name.
    pub fn add_adapter(&self, name: &str, dir: &Path) -> Result<()> {
        let adapter = lora::open(dir, self.model())?;
        let decoder = self.decoder.as_ref();
        let adapted = Adapted {
            module: lora::attach(self.model(), &adapter),
            decoder: decoder.map(|decoder| CpuAdapter::new(&adapter, decoder.config())),
        };
        self.adapters.add(name, adapted)?;
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
    ) -> Result<Option<Arc<Loaded<Adapted>>>> {
        self.adapters.get(request.adapter.as_deref())
    }

    /// What the folder says of the model.
    pub fn folder(&self) -> &ModelFolder {
        &self.loaded.folder
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &ChatTokenizer {
        &self.loaded.tokenizer
    }

    /// The module.
    pub fn model(&self) -> &Qwen3 {
        &self.loaded.model
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Writes an answer. `on_text` is called with each piece of text as soon as
    /// it is sure; a piece never ends inside a character. The concatenated
    /// pieces are the output's `text`.
    ///
    /// # Errors
    /// [`ModelError::Request`] for an empty prompt, one that leaves no room in
    /// the context, a token outside the vocabulary, a sampling parameter out of
    /// range, or an adapter that is not loaded; nothing is written then.
    pub fn generate(
        &self,
        request: &GenerationRequest,
        cancel: &CancelFlag,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<GenerationOutput> {
        let started = Instant::now();
        let (last, before) = self.check_prompt(request)?;
        let writer = Writer {
            tokenizer: self.tokenizer(),
            folder: self.folder(),
            request,
            cancel,
            started,
        };
        let adapter = self.adapter(request)?;
        let adapted = adapter.as_deref().map(|loaded| &loaded.model);
        let model = adapted.map_or(self.model(), |adapted| &adapted.module);
        let decoder = self
            .decoder
            .as_ref()
            .map(|decoder| (decoder, adapted.and_then(|a| a.decoder.as_ref())));
        writer.run(last, &mut on_text, || {
            Session::start(model, decoder, &self.device, before, cancel)
        })
    }

    /// The CPU's decode step, on `flex` alone.
    pub(crate) fn decoder(&self) -> Option<&CpuDecoder> {
        self.decoder.as_ref()
    }

    /// Tokens that the answer to a request may have: as asked, and to the
    /// context's end at most.
    pub(crate) fn longest_answer(&self, request: &GenerationRequest) -> usize {
        let context = self.folder().config.context_length();
        let room = context.saturating_sub(request.prompt_ids.len());
        request.max_new_tokens.min(room)
    }

    /// Checks a request's prompt.
    pub(crate) fn check(&self, request: &GenerationRequest) -> Result<()> {
        self.check_prompt(request).map(|_| ())
    }

    fn check_prompt<'r>(&self, request: &'r GenerationRequest) -> Result<(u32, &'r [u32])> {
        check_prompt(&self.folder().config, request)
    }
}

/// The prompt's last token and those before it.
pub(super) fn check_prompt<'r>(
    config: &Qwen3Config,
    request: &'r GenerationRequest,
) -> Result<(u32, &'r [u32])> {
    let refuse = |reason: String| ModelError::Request {
        field: "prompt",
        reason,
    };
    let (last, before) = request
        .prompt_ids
        .split_last()
        .ok_or_else(|| refuse("is empty".to_owned()))?;
    if request.prompt_ids.len() >= config.context_length() {
        return Err(refuse(format!(
            "has {} tokens; the model's context holds {}, the answer included",
            request.prompt_ids.len(),
            config.context_length()
        )));
    }
    match request
        .prompt_ids
        .iter()
        .find(|id| **id as usize >= config.vocab_size)
    {
        Some(id) => Err(refuse(format!("token {id} is outside the vocabulary"))),
        None => Ok((*last, before)),
    }
}
