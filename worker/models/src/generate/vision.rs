//! A loaded model that looks at pictures and writes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;

use super::language_model::check_prompt;
use super::request::{CancelFlag, GenerationOutput, GenerationRequest};
use super::session::{CpuSession, other_network};
use super::vision_module::ModuleSession;
use super::writer::Writer;
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::load::ModelFolder;
use crate::lora::{self, Adapter, Loaded, Registry, Site};
use crate::qwen3::cpu::{CpuAdapter, CpuDecoder, Precision, PromptPictures, SequenceCache};
use crate::qwen25_vl::chat::{VisionMessage, VisionPrompt};
use crate::qwen25_vl::cpu::{prompt_pictures, prompt_positions};
use crate::qwen25_vl::text::Positions;
use crate::qwen25_vl::vision::VisionTower;
use crate::qwen25_vl::weights::{TEXT, text_specs};
use crate::qwen25_vl::{ImageProcessor, Patches, Qwen25Vl, Qwen25VlConfig};
use crate::tokenizer::ChatTokenizer;

/// A Qwen2.5-VL with its tokenizer and image processor.
#[derive(Debug)]
pub struct VisionLanguageModel {
    folder: ModelFolder,
    config: Qwen25VlConfig,
    network: VisionNetwork,
    processor: ImageProcessor,
    tokenizer: ChatTokenizer,
    device: Device,
    adapters: Registry<VisionAdapted>,
}

/// The weights, where they run.
#[derive(Debug)]
pub(crate) enum VisionNetwork {
    /// On `flex`: the tower as a module, the decoder in our own code for the CPU.
    Cpu {
        tower: Box<VisionTower>,
        decoder: Box<CpuDecoder>,
    },
    /// On other devices: the module.
    Module(Box<Qwen25Vl>),
}

/// What an adapter makes of the model; the base's weights are shared.
#[derive(Debug)]
pub(crate) enum VisionAdapted {
    /// The tower with the adapter beside its weights, and what is added to the
    /// decoder.
    Cpu {
        tower: Box<VisionTower>,
        decoder: Box<CpuAdapter>,
    },
    /// The module with the adapter beside its weights.
    Module(Box<Qwen25Vl>),
}

impl VisionLanguageModel {
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
        let folder = ModelFolder::open(dir)?;
        Self::new_as(folder, ChatTokenizer::from_folder(dir)?, device, precision)
    }

    /// Loads the weights of `folder` beside a tokenizer made elsewhere.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn new(folder: ModelFolder, tokenizer: ChatTokenizer, device: &Device) -> Result<Self> {
        Self::new_as(folder, tokenizer, device, Precision::Exact)
    }

    fn new_as(
        folder: ModelFolder,
        tokenizer: ChatTokenizer,
        device: &Device,
        precision: Precision,
    ) -> Result<Self> {
        let device = device.clone().without_autodiff();
        let network = match device == Device::flex() {
            true => {
                let (tower, decoder) = folder.load_vision_decoder(precision)?;
                VisionNetwork::Cpu {
                    tower: Box::new(tower),
                    decoder: Box::new(decoder),
                }
            }
            false => {
                let model = folder.load_vision_model_as(&device, precision.module_dtype())?;
                VisionNetwork::Module(Box::new(model))
            }
        };
        tracing::info!(
            folder = %folder.path.display(),
            ?device,
            weights = precision.name(),
            "model loaded"
        );
        Self::with(folder, tokenizer, device, network)
    }

    fn with(
        folder: ModelFolder,
        tokenizer: ChatTokenizer,
        device: Device,
        network: VisionNetwork,
    ) -> Result<Self> {
        let vision = folder.vision()?;
        Ok(Self {
            processor: vision.image_processor(&folder.path)?,
            config: vision.config.clone(),
            folder,
            network,
            tokenizer,
            device,
            adapters: Registry::default(),
        })
    }

    /// As [`Self::new`], run by its module on any device, as on others than the CPU, where
    /// the CPU's own code is faster.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn of_module(
        folder: ModelFolder,
        tokenizer: ChatTokenizer,
        device: &Device,
    ) -> Result<Self> {
        let device = device.clone().without_autodiff();
        let model = folder.load_vision_model(&device)?;
        let network = VisionNetwork::Module(Box::new(model));
        Self::with(folder, tokenizer, device, network)
    }

    /// Loads the adapter in the folder `dir` as `name`, see
    /// [`super::LanguageModel::add_adapter`].
    ///
    /// # Errors
    /// As there.
    pub fn add_adapter(&self, name: &str, dir: &Path) -> Result<()> {
        let (adapter, adapted) = match &self.network {
            VisionNetwork::Cpu { tower, .. } => {
                let (mut sites, text) = (lora::sites_of(&**tower), &self.config.text);
                sites.extend(lora::projections(text_specs(text, TEXT)).map(|site| Site {
                    old_name: lora::old_name(&site.name),
                    ..site
                }));
                let adapter = Adapter::open(dir, &sites)?;
                let adapted = VisionAdapted::Cpu {
                    tower: Box::new(lora::attach(&**tower, &adapter)),
                    decoder: Box::new(CpuAdapter::named(&adapter, text, TEXT)),
                };
                (adapter, adapted)
            }
            VisionNetwork::Module(model) => {
                let adapter = lora::open(dir, &**model)?;
                let adapted = Box::new(lora::attach(&**model, &adapter));
                (adapter, VisionAdapted::Module(adapted))
            }
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
    ) -> Result<Option<Arc<Loaded<VisionAdapted>>>> {
        self.adapters.get(request.adapter.as_deref())
    }

    /// What the folder says of the model.
    pub fn folder(&self) -> &ModelFolder {
        &self.folder
    }

    /// The shapes.
    pub fn config(&self) -> &Qwen25VlConfig {
        &self.config
    }

    /// Number of weights, a tied head counted once.
    pub fn num_parameters(&self) -> usize {
        match &self.network {
            VisionNetwork::Module(model) => model.num_parameters(),
            VisionNetwork::Cpu { tower, .. } => {
                let specs = text_specs(&self.config.text, TEXT);
                let text = specs
                    .iter()
                    .map(|spec| spec.shape.iter().product::<usize>());
                tower.num_params() + text.sum::<usize>()
            }
        }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &ChatTokenizer {
        &self.tokenizer
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
        let image = self.config.image_token_id;
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
        let (last, before, positions) = self.check_prompt(request, patches)?;
        let writer = Writer {
            tokenizer: &self.tokenizer,
            folder: &self.folder,
            request,
            cancel,
            started,
        };
        let adapter = self.adapter(request)?;
        let adapted = adapter.as_deref().map(|adapter| &adapter.model);
        match &self.network {
            VisionNetwork::Cpu { decoder, .. } => {
                let adapter = cpu_adapter(adapted)?;
                writer.run(last, &mut on_text, || {
                    if cancel.is_cancelled() {
                        return Ok(None);
                    }
                    let pictures = self.look(adapted, before, 0, patches)?;
                    let offset = rope_offset(&positions, before);
                    let cache = SequenceCache::with_rope_offset(decoder.config(), offset);
                    CpuSession::start(decoder, adapter, cache, before, pictures.as_ref(), cancel)
                })
            }
            VisionNetwork::Module(_) => writer.run(last, &mut on_text, || {
                let offset = rope_offset(&positions, before);
                let prompt = (before, patches);
                ModuleSession::start(self, adapter.clone(), prompt, offset, cancel)
            }),
        }
    }

    /// Checks a request's prompt and whether its pictures fit their places.
    /// Returns the rotary offset of what follows the prompt, see
    /// [`SequenceCache::with_rope_offset`].
    pub(crate) fn check(&self, request: &GenerationRequest, patches: &Patches) -> Result<i64> {
        let (_, before, positions) = self.check_prompt(request, patches)?;
        Ok(rope_offset(&positions, before))
    }

    fn check_prompt<'r>(
        &self,
        request: &'r GenerationRequest,
        patches: &Patches,
    ) -> Result<(u32, &'r [u32], Positions)> {
        let (last, before) = check_prompt(&self.folder.config, request)?;
        if last == self.config.image_token_id {
            return Err(ModelError::Request {
                field: "prompt",
                reason: "ends in a picture".to_owned(),
            });
        }
        let positions = prompt_positions(&self.config, before, patches)?;
        Ok((last, before, positions))
    }

    /// The weights, where they run.
    pub(crate) const fn network(&self) -> &VisionNetwork {
        &self.network
    }

    /// The CPU's own code, on `flex` alone.
    pub(crate) fn decoder(&self) -> Option<&CpuDecoder> {
        match &self.network {
            VisionNetwork::Cpu { decoder, .. } => Some(decoder),
            VisionNetwork::Module(_) => None,
        }
    }

    /// The pictures of `prompt` for the CPU's decoder, which has read `from` of its
    /// tokens; see [`prompt_pictures`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn look(
        &self,
        adapter: Option<&VisionAdapted>,
        prompt: &[u32],
        from: usize,
        patches: &Patches,
    ) -> Result<Option<PromptPictures>> {
        let tower = match (&self.network, adapter) {
            (_, Some(VisionAdapted::Cpu { tower, .. }))
            | (VisionNetwork::Cpu { tower, .. }, None) => tower,
            _ => return Err(other_network()),
        };
        prompt_pictures(&self.config, tower, prompt, from, patches)
    }
}

/// What a token behind the prompt stands above its number.
fn rope_offset(positions: &Positions, before: &[u32]) -> i64 {
    let next = positions.next.first().copied().unwrap_or(0);
    next - before.len() as i64
}

/// The decoder's part of an adapter.
///
/// # Errors
/// [`ModelError::Engine`] for one that was loaded for another device.
fn cpu_adapter(adapter: Option<&VisionAdapted>) -> Result<Option<&CpuAdapter>> {
    match adapter {
        None => Ok(None),
        Some(VisionAdapted::Cpu { decoder, .. }) => Ok(Some(decoder)),
        Some(VisionAdapted::Module(_)) => Err(other_network()),
    }
}
