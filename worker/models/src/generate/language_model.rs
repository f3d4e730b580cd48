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
use crate::load::{LoadedModel, ModelFolder};
use crate::lora::{self, Adapter, Loaded, Registry};
use crate::qwen3::cpu::{CpuAdapter, CpuDecoder, Precision};
use crate::qwen3::{Qwen3, Qwen3Config};
use crate::tokenizer::ChatTokenizer;

/// A model and its tokenizer.
#[derive(Debug)]
pub struct LanguageModel {
    folder: ModelFolder,
    tokenizer: ChatTokenizer,
    device: Device,
    network: Network,
    adapters: Registry<Adapted>,
}

/// The weights, where they run.
#[derive(Debug)]
pub(crate) enum Network {
    /// On `flex`: our own code for the CPU.
    Cpu(Box<CpuDecoder>),
    /// On other devices: the module.
    Module(Box<Qwen3>),
}

/// What an adapter makes of the model; the base's weights are shared.
#[derive(Debug)]
pub(crate) enum Adapted {
    /// What is added to the base.
    Cpu(CpuAdapter),
    /// The module with the adapter beside its weights.
    Module(Box<Qwen3>),
}

impl LanguageModel {
    /// Loads the model folder `dir` onto `device`.
    ///
    /// # Errors
    /// Every [`ModelError`] of loading; each names the file, and the field or
    /// tensor.
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        Self::load_as(dir, device, Precision::Exact)
    }

    /// [`Self::load`] with a choice of the weights to compute with; on other
    /// devices than `flex`, see [`Precision::module_dtype`].
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_as(dir: &Path, device: &Device, precision: Precision) -> Result<Self> {
        let device = device.clone().without_autodiff();
        let folder = ModelFolder::open(dir)?;
        let tokenizer = ChatTokenizer::from_folder(dir)?;
        let network = match device == Device::flex() {
            true => Network::Cpu(Box::new(folder.load_decoder(precision)?)),
            false => {
                let model = folder.load_model_as(&device, precision.module_dtype())?;
                #[cfg(feature = "tch")]
                let model = crate::torch::by_rows(model);
                Network::Module(Box::new(model))
            }
        };
        tracing::info!(
            folder = %dir.display(),
            parameters = folder.config.num_parameters(),
            ?device,
            weights = precision.name(),
            "model loaded"
        );
        Ok(Self {
            folder,
            tokenizer,
            device,
            network,
            adapters: Registry::default(),
        })
    }

    /// Wraps a model that is on `device` already, as training has it. On the
    /// CPU this copies the weights: make it anew after they changed.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the weights do not fit the configuration.
    pub fn new(loaded: LoadedModel, device: &Device) -> Result<Self> {
        let LoadedModel {
            folder,
            model,
            tokenizer,
        } = loaded;
        let network = match *device == Device::flex() {
            true => Network::Cpu(Box::new(CpuDecoder::new(&model, &folder.config)?)),
            false => Network::Module(Box::new(model)),
        };
        Ok(Self {
            folder,
            tokenizer,
            device: device.clone(),
            network,
            adapters: Registry::default(),
        })
    }

    /// Wraps a model that its module runs on any device, as [`Self::new`] does on others than
    /// the CPU, where the CPU's own code is faster.
    pub fn of_module(loaded: LoadedModel, device: &Device) -> Self {
        Self {
            folder: loaded.folder,
            tokenizer: loaded.tokenizer,
            device: device.clone(),
            network: Network::Module(Box::new(loaded.model)),
            adapters: Registry::default(),
        }
    }

    /// Loads the adapter in the folder `dir`, in the layout of `peft`, so that
    /// requests can ask for it as `name`. May be called while others are served;
    /// an adapter that had the name goes when the last of its requests ends.
    ///
    /// # Errors
    /// Those of [`lora::Adapter::open`]; [`ModelError::Request`] for an empty name.
    pub fn add_adapter(&self, name: &str, dir: &Path) -> Result<()> {
        let config = &self.folder.config;
        let adapter = Adapter::open(dir, &lora::sites(config))?;
        let adapted = match &self.network {
            Network::Cpu(_) => Adapted::Cpu(CpuAdapter::new(&adapter, config)),
            Network::Module(module) => Adapted::Module(Box::new(lora::attach(&**module, &adapter))),
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
        &self.folder
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &ChatTokenizer {
        &self.tokenizer
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
        let adapter = adapter.as_deref().map(|loaded| &loaded.model);
        writer.run(last, &mut on_text, || {
            Session::start(self, adapter, before, cancel)
        })
    }

    /// The weights, where they run.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// The CPU's own code, on `flex` alone.
    pub(crate) fn decoder(&self) -> Option<&CpuDecoder> {
        match &self.network {
            Network::Cpu(decoder) => Some(decoder),
            Network::Module(_) => None,
        }
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
