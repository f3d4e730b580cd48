//! A model folder as a whole.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Weights;
use super::tensors::load_qwen3;
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::qwen3::{Qwen3, Qwen3Config};
use crate::tokenizer::ChatTokenizer;

/// The families of `config.json` that are known, by `model_type`.
const KNOWN: [&str; 1] = ["qwen3"];

/// What a folder says of its model, without the weights.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// `config.json`.
    pub config: Qwen3Config,
    /// Tokens that end a generation: those of `generation_config.json`, else of
    /// `config.json`.
    pub eos_token_ids: Vec<u32>,
    /// `system_prompt.md`: a minijinja template of the words that the model was
    /// trained with, where the folder has one.
    pub system_prompt: Option<String>,
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

#[derive(Default, Deserialize)]
#[serde(default)]
struct GenerationConfig {
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

impl ModelFolder {
    /// Reads the small files of `dir`.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Malformed`],
    /// [`ModelError::UnknownArchitecture`] and [`ModelError::Config`].
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        check_family(&path)?;
        let config: Qwen3Config = read_json(&path)?;
        config.validate().map_err(|error| match error {
            ModelError::Config { field, reason } => {
                ModelError::malformed(&path, format!("`{field}`: {reason}"))
            }
            other => other,
        })?;

        let generation: GenerationConfig =
            read_json_if_there(&dir.join("generation_config.json"))?.unwrap_or_default();
        let eos_token_ids = match generation.eos_token_id {
            Some(Ids::One(id)) => vec![id],
            Some(Ids::Many(ids)) => ids,
            None => config.eos_token_id.clone(),
        };
        Ok(Self {
            path: dir.to_owned(),
            config,
            eos_token_ids,
            system_prompt: read_if_there(&dir.join("system_prompt.md"))?,
        })
    }

    /// Loads the weights alone, as training does (give an autodiff device).
    ///
    /// # Errors
    /// Those of reading weights.
    pub fn load_model(&self, device: &Device) -> Result<Qwen3> {
        load_qwen3(&self.config, &mut Weights::open(&self.path)?, device)
    }
}

fn check_family(path: &Path) -> Result<()> {
    let family: Family = read_json(path)?;
    let found = family
        .model_type
        .or_else(|| family.architectures.first().cloned())
        .unwrap_or_default();
    let known = KNOWN.contains(&found.as_str()) || found == "Qwen3ForCausalLM";
    if known {
        return Ok(());
    }
    Err(ModelError::UnknownArchitecture {
        path: path.to_owned(),
        found,
        known: KNOWN.join(", "),
    })
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
