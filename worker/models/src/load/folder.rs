//! A model folder as a whole.

use std::path::{Path, PathBuf};

use burn::tensor::DType;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Weights;
use super::generation_config::{GenerationConfig, SuggestedSampling};
use super::tensors::load_qwen3;
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::qwen3::cpu::{CpuDecoder, Precision};
use crate::qwen3::{Qwen3, Qwen3Config};
use crate::qwen25_vl::processor_config::ProcessorConfig;
use crate::qwen25_vl::vision::VisionTower;
use crate::qwen25_vl::weights::{load_cpu, load_qwen25_vl_as};
use crate::qwen25_vl::{ImageProcessor, Qwen25Vl, Qwen25VlConfig};
use crate::tokenizer::ChatTokenizer;

/// The families of `config.json` that are known, by `model_type`.
const KNOWN: [&str; 3] = ["qwen3", "qwen3_moe", "qwen2_5_vl"];

/// An architecture.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Architecture {
    /// Dense or with experts: `Qwen3Config` tells.
    Qwen3,
    Qwen25Vl,
}

/// What a folder says of its model, without the weights.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// `config.json`, of a vision model the decoder's part.
    pub config: Qwen3Config,
    /// What else a model that looks at pictures needs.
    pub vision: Option<VisionFolder>,
    /// Tokens that end a generation: those of `generation_config.json`, else of
    /// `config.json`.
    pub eos_token_ids: Vec<u32>,
    /// How its makers would have it sampled, by `generation_config.json`.
    pub suggested_sampling: SuggestedSampling,
    /// `system_prompt.md`: a minijinja template of the words that the model was
    /// trained with, where the folder has one.
    pub system_prompt: Option<String>,
}

/// The settings of a model that looks at pictures.
#[derive(Clone, Debug)]
pub struct VisionFolder {
    /// `config.json`.
    pub config: Qwen25VlConfig,
    /// `preprocessor_config.json`; the reference's defaults where it is absent.
    pub processor: ProcessorConfig,
}

/// A model ready to run.
#[derive(Debug)]
pub struct LoadedModel {
    /// What its folder says.
    pub folder: ModelFolder,
    /// The weights, on the device asked for.
    pub model: Qwen3,
    /// The tokenizer and chat template.
    pub tokenizer: ChatTokenizer,
}

/// Loads the model folder `dir` onto `device`.
///
/// # Errors
/// Every [`ModelError`] of loading; each names the file, and the field or tensor.
pub fn load_folder(dir: &Path, device: &Device) -> Result<LoadedModel> {
    let folder = ModelFolder::open(dir)?;
    let tokenizer = ChatTokenizer::from_folder(dir)?;
    let model = folder.load_model(device)?;
    tracing::info!(
        folder = %dir.display(),
        parameters = folder.config.num_parameters(),
        device = ?device,
        "model loaded"
    );
    Ok(LoadedModel {
        folder,
        model,
        tokenizer,
    })
}

#[derive(Deserialize)]
struct Family {
    model_type: Option<String>,
    #[serde(default)]
    architectures: Vec<String>,
}

impl ModelFolder {
    /// Reads the small files of `dir`.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Malformed`],
    /// [`ModelError::UnknownArchitecture`] and [`ModelError::Config`].
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let vision = match architecture(&path)? {
            Architecture::Qwen3 => None,
            Architecture::Qwen25Vl => Some(VisionFolder::open(dir, &path)?),
        };
        let config: Qwen3Config = match &vision {
            Some(vision) => vision.config.text.clone(),
            None => read_json(&path)?,
        };
        config.validate().map_err(|error| match error {
            ModelError::Config { field, reason } => {
                ModelError::malformed(&path, format!("`{field}`: {reason}"))
            }
            other => other,
        })?;

        let generation = GenerationConfig::from_folder(dir)?;
        let eos_token_ids = generation.eos_token_ids();
        let eos_token_ids = eos_token_ids.unwrap_or_else(|| config.eos_token_id.clone());
        Ok(Self {
            path: dir.to_owned(),
            config,
            vision,
            eos_token_ids,
            suggested_sampling: generation.sampling,
            system_prompt: read_if_there(&dir.join("system_prompt.md"))?,
        })
    }

    /// Loads the weights alone, as training does (give an autodiff device).
    ///
    /// # Errors
    /// Those of reading weights; [`ModelError::Malformed`] for a model that looks
    /// at pictures, which [`Self::load_vision_model`] loads.
    pub fn load_model(&self, device: &Device) -> Result<Qwen3> {
        self.load_model_as(device, DType::F32)
    }

    /// [`Self::load_model`] with the weights as `dtype`, f32 or bf16, in which the
    /// model then computes.
    ///
    /// # Errors
    /// As [`Self::load_model`].
    pub fn load_model_as(&self, device: &Device, dtype: DType) -> Result<Qwen3> {
        self.check_is_text()?;
        load_qwen3(&self.config, &mut Weights::open(&self.path)?, device, dtype)
    }

    /// Loads the weights for the CPU's own code, without a module.
    ///
    /// # Errors
    /// As [`Self::load_model`].
    pub fn load_decoder(&self, precision: Precision) -> Result<CpuDecoder> {
        self.check_is_text()?;
        CpuDecoder::load(&mut Weights::open(&self.path)?, &self.config, precision)
    }

    fn check_is_text(&self) -> Result<()> {
        match self.vision {
            None => Ok(()),
            Some(_) => {
                let reason =
                    "`model_type`: qwen2_5_vl looks at pictures; a text model is needed here";
                Err(ModelError::malformed(self.path.join("config.json"), reason))
            }
        }
    }

    /// Loads the weights of a model that looks at pictures.
    ///
    /// # Errors
    /// Those of reading weights; [`ModelError::Malformed`] for a text model.
    pub fn load_vision_model(&self, device: &Device) -> Result<Qwen25Vl> {
        self.load_vision_model_as(device, DType::F32)
    }

    /// [`Self::load_vision_model`] with the weights as `dtype`, f32 or bf16.
    ///
    /// # Errors
    /// As [`Self::load_vision_model`].
    pub fn load_vision_model_as(&self, device: &Device, dtype: DType) -> Result<Qwen25Vl> {
        let config = &self.vision()?.config;
        load_qwen25_vl_as(config, &mut Weights::open(&self.path)?, device, dtype)
    }

    /// The same for the CPU: the tower as a module on `flex`, the decoder for the
    /// CPU's own code.
    ///
    /// # Errors
    /// As [`Self::load_vision_model`].
    pub fn load_vision_decoder(&self, precision: Precision) -> Result<(VisionTower, CpuDecoder)> {
        let config = &self.vision()?.config;
        let mut weights = Weights::open(&self.path)?;
        load_cpu(config, &mut weights, &Device::flex(), precision)
    }

    /// What is there for pictures.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] for a text model.
    pub(crate) fn vision(&self) -> Result<&VisionFolder> {
        self.vision.as_ref().ok_or_else(|| {
            let reason = "`model_type`: a text model, which cannot look at pictures";
            ModelError::malformed(self.path.join("config.json"), reason)
        })
    }
}

impl VisionFolder {
    fn open(dir: &Path, config: &Path) -> Result<Self> {
        let config: Qwen25VlConfig = read_json(config)?;
        let processor = match ProcessorConfig::from_folder(dir)? {
            Some(processor) => processor,
            None => ProcessorConfig {
                patch_size: config.vision.patch_size,
                temporal_patch_size: config.vision.temporal_patch_size,
                merge_size: config.vision.spatial_merge_size,
                ..ProcessorConfig::default()
            },
        };
        Ok(Self { config, processor })
    }

    /// A processor whose patches are the model's.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] naming the folder `dir` and the field in which
    /// the two differ.
    pub fn image_processor(&self, dir: &Path) -> Result<ImageProcessor> {
        let (vision, processor) = (&self.config.vision, &self.processor);
        let pairs = [
            ("patch_size", vision.patch_size, processor.patch_size),
            (
                "temporal_patch_size",
                vision.temporal_patch_size,
                processor.temporal_patch_size,
            ),
            (
                "merge_size",
                vision.spatial_merge_size,
                processor.merge_size,
            ),
        ];
        match pairs.into_iter().find(|(_, model, own)| model != own) {
            Some((field, model, own)) => {
                let reason = format!("`{field}` is {own} for pictures and {model} in config.json");
                Err(ModelError::malformed(dir, reason))
            }
            None => ImageProcessor::new(processor.clone()),
        }
    }
}

fn architecture(path: &Path) -> Result<Architecture> {
    let family: Family = read_json(path)?;
    let found = family
        .model_type
        .or_else(|| family.architectures.first().cloned())
        .unwrap_or_default();
    match found.as_str() {
        "qwen3" | "qwen3_moe" | "Qwen3ForCausalLM" | "Qwen3MoeForCausalLM" => {
            Ok(Architecture::Qwen3)
        }
        "qwen2_5_vl" | "Qwen2_5_VLForConditionalGeneration" => Ok(Architecture::Qwen25Vl),
        _ => Err(ModelError::UnknownArchitecture {
            path: path.to_owned(),
            found,
            known: KNOWN.join(", "),
        }),
    }
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).map_err(|source| ModelError::io(path, source))?;
    serde_json::from_str(&text).map_err(|error| ModelError::malformed(path, error.to_string()))
}

pub(crate) fn read_json_if_there<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if path.is_file() {
        read_json(path).map(Some)
    } else {
        Ok(None)
    }
}

pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ModelError::io(path, source)),
    }
}
