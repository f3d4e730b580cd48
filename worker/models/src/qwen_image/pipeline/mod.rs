//! Whole pipelines: words, and pictures to edit, to pictures.
//!
//! Follows `QwenImagePipeline`, `QwenImageEditPipeline` and
//! `QwenImageEditPlusPipeline` of `diffusers/pipelines/qwenimage/` (0.42.1); the
//! folder's `model_index.json` tells which.
//!
//! Two deliberate differences: prompts are encoded one by one, so that nobody's
//! picture depends on whose batch it is in, and latents stay in f32 from step to
//! step whatever the weights are.
//!
//! Read in this order: [`index`], [`sizes`], [`latents`], [`codec`], [`run`],
//! [`fit`], [`draw`].

pub mod codec;
mod draw;
mod fit;
pub mod index;
pub mod latents;
mod memory;
pub mod run;
pub mod sizes;

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::DType;

use super::prompt::PromptEncoder;
use super::request::ImageModelInfo;
use super::scheduler::SchedulerConfig;
use super::transformer::QwenImageTransformer;
use super::vae::QwenImageVae;
use crate::device::Device;
use crate::error::{ModelError, Result};
pub use codec::LatentCodec;
pub use index::ModelIndex;

/// Steps and guidance of Qwen-Image's own recipe.
const STEPS: usize = 50;
const GUIDANCE: f32 = 4.0;

/// A loaded folder.
#[derive(Debug)]
pub struct QwenImage {
    index: ModelIndex,
    info: ImageModelInfo,
    scheduler: SchedulerConfig,
    prompt_encoder: PromptEncoder,
    transformer: QwenImageTransformer,
    codec: Box<dyn LatentCodec>,
    device: Device,
}

/// What stands for parts of a folder.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Adapters of the transformer and their strengths (1 as trained), merged in
    /// order; see [`super::transformer::lora`].
    pub loras: Vec<(PathBuf, f32)>,
    /// In place of the folder's, as [`SchedulerConfig::lightning`] for such weights.
    pub scheduler: Option<SchedulerConfig>,
    /// Where a request names none.
    pub steps: Option<usize>,
    /// Where a request names none.
    pub guidance: Option<f32>,
}

impl QwenImage {
    /// Loads the pipeline's folder `dir` onto `device` with weights as `dtype`, f32
    /// or bf16; those of the VAE, few, are always f32.
    ///
    /// # Errors
    /// Those of reading each part, which name file and field or tensor.
    pub fn load(dir: &Path, device: &Device, dtype: DType) -> Result<Self> {
        Self::load_with(dir, device, dtype, &LoadOptions::default())
    }

    /// [`Self::load_with`] the numbers that suit `device`: f32 on the CPU, bf16
    /// elsewhere.
    ///
    /// # Errors
    /// As [`Self::load_with`].
    pub fn load_for(dir: &Path, device: &Device, options: &LoadOptions) -> Result<Self> {
        let dtype = match *device == Device::flex() {
            true => DType::F32,
            false => DType::BF16,
        };
        Self::load_with(dir, device, dtype, options)
    }

    /// [`Self::load`] with adapters or other settings.
    ///
    /// # Errors
    /// As [`Self::load`]; those of [`QwenImageTransformer::merge_lora`].
    pub fn load_with(
        dir: &Path,
        device: &Device,
        dtype: DType,
        options: &LoadOptions,
    ) -> Result<Self> {
        let vae = QwenImageVae::load(&dir.join("vae"), device, DType::F32)?;
        Self::load_beside(Box::new(vae), dir, device, dtype, options)
    }

    /// Loads the pipeline's folder `dir` onto `device` with weights as `dtype`, f32
    /// or bf16, all but the VAE, for which `codec` stands.
    ///
    /// # Errors
    /// Those of reading each part, which name file and field or tensor, and of
    /// [`QwenImageTransformer::merge_lora`].
    pub fn load_beside(
        codec: Box<dyn LatentCodec>,
        dir: &Path,
        device: &Device,
        dtype: DType,
        options: &LoadOptions,
    ) -> Result<Self> {
        if !matches!(dtype, DType::F32 | DType::BF16) {
            return Err(ModelError::Config {
                field: "dtype",
                reason: format!("is {dtype:?}; f32 or bf16 is possible"),
            });
        }
        let index = ModelIndex::read(dir)?;
        let scheduler = match &options.scheduler {
            Some(scheduler) => scheduler.clone(),
            None => SchedulerConfig::read(&dir.join("scheduler"))?,
        };
        let path = dir.join("transformer");
        let mut transformer = QwenImageTransformer::load(&path, device, dtype)?;
        for (lora, strength) in &options.loras {
            let projections = transformer.merge_lora(lora, *strength)?;
            tracing::info!(lora = %lora.display(), projections, strength, "adapter merged");
        }
        codec::check(&*codec, &transformer.config, &path.join("config.json"))?;
        let prompt_encoder = PromptEncoder::load(
            dir,
            index.class.template(),
            index.own.dropped_tokens,
            device,
            dtype,
        )?;
        let parameters = transformer.num_params() + prompt_encoder.num_parameters();
        let weights = parameters * dtype.size() + codec.num_parameters() * DType::F32.size();
        let [width, height] = index.size();
        let info = ImageModelInfo {
            name: dir
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            mode: index.class.mode(),
            most_pictures: index.class.most_pictures(),
            width,
            height,
            steps: options.steps.or(index.own.steps).unwrap_or(STEPS),
            guidance: options.guidance.or(index.own.guidance).unwrap_or(GUIDANCE),
            side_multiple: (codec.scale() * latents::PATCH) as u32,
            device: format!("{device:?}, {dtype:?}"),
            weights: weights as u64,
        };
        tracing::info!(folder = %dir.display(), ?info, "picture model loaded");
        Ok(Self {
            index,
            info,
            scheduler,
            prompt_encoder,
            transformer,
            codec,
            device: device.clone(),
        })
    }
}
