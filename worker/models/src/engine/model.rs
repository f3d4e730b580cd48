//! What an engine serves.

use std::path::Path;
use std::sync::Arc;

use super::EngineRequest;
use super::module::Module;
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::generate::{
    Adapted, GenerationRequest, LanguageModel, VisionAdapted, VisionLanguageModel,
};
use crate::load::ModelFolder;
use crate::lora::{AdapterId, Loaded};
use crate::qwen3::cpu::{CpuAdapter, CpuDecoder};
use crate::qwen25_vl::{Part, Patches, Picture, Qwen25VlConfig, VisionMessage, VisionPrompt};
use crate::tokenizer::ChatTokenizer;

/// A text model, or one that looks at pictures.
#[derive(Clone, Debug)]
pub enum EngineModel {
    /// Text to text.
    Text(Arc<LanguageModel>),
    /// Text and pictures to text.
    Vision(Arc<VisionLanguageModel>),
}

impl From<Arc<LanguageModel>> for EngineModel {
    fn from(model: Arc<LanguageModel>) -> Self {
        Self::Text(model)
    }
}

impl From<Arc<VisionLanguageModel>> for EngineModel {
    fn from(model: Arc<VisionLanguageModel>) -> Self {
        Self::Vision(model)
    }
}

/// An adapter of the engine's model, held to the end of its request, whatever
/// takes its name meanwhile.
#[derive(Clone, Debug)]
pub(super) enum EngineAdapter {
    Text(Arc<Loaded<Adapted>>),
    Vision(Arc<Loaded<VisionAdapted>>),
}

impl EngineAdapter {
    pub(super) const fn vision(&self) -> Option<&Arc<Loaded<VisionAdapted>>> {
        match self {
            Self::Vision(adapter) => Some(adapter),
            Self::Text(_) => None,
        }
    }

    pub(super) fn id(&self) -> AdapterId {
        match self {
            Self::Text(adapter) => adapter.id,
            Self::Vision(adapter) => adapter.id,
        }
    }

    /// Its part in the CPU's own code.
    pub(super) fn cpu(&self) -> Option<&CpuAdapter> {
        match self {
            Self::Text(adapter) => match &adapter.model {
                Adapted::Cpu(adapter) => Some(adapter),
                Adapted::Module(_) => None,
            },
            Self::Vision(adapter) => match &adapter.model {
                VisionAdapted::Cpu { decoder, .. } => Some(decoder),
                VisionAdapted::Module(_) => None,
            },
        }
    }
}

impl EngineModel {
    /// Loads the adapter in the folder `dir` as `name`, see
    /// [`LanguageModel::add_adapter`].
    ///
    /// # Errors
    /// As there.
    pub fn add_adapter(&self, name: &str, dir: &Path) -> Result<()> {
        match self {
            Self::Text(model) => model.add_adapter(name, dir),
            Self::Vision(model) => model.add_adapter(name, dir),
        }
    }

    /// The names of the adapters, in the order in which they came.
    pub fn adapter_names(&self) -> Vec<String> {
        match self {
            Self::Text(model) => model.adapter_names(),
            Self::Vision(model) => model.adapter_names(),
        }
    }

    /// The adapter that a request asks for; none for the base.
    ///
    /// # Errors
    /// [`ModelError::Request`] when there is none of that name.
    pub(super) fn adapter(&self, request: &GenerationRequest) -> Result<Option<EngineAdapter>> {
        Ok(match self {
            Self::Text(model) => model.adapter(request)?.map(EngineAdapter::Text),
            Self::Vision(model) => model.adapter(request)?.map(EngineAdapter::Vision),
        })
    }

    /// What the folder says of the model.
    pub fn folder(&self) -> &ModelFolder {
        match self {
            Self::Text(model) => model.folder(),
            Self::Vision(model) => model.folder(),
        }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        match self {
            Self::Text(model) => model.device(),
            Self::Vision(model) => model.device(),
        }
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &ChatTokenizer {
        match self {
            Self::Text(model) => model.tokenizer(),
            Self::Vision(model) => model.tokenizer(),
        }
    }

    /// Whether it looks at pictures.
    pub const fn sees_pictures(&self) -> bool {
        matches!(self, Self::Vision(_))
    }

    /// Number of weights, a tied head counted once.
    pub fn num_parameters(&self) -> usize {
        match self {
            Self::Text(model) => model.folder().config.num_parameters(),
            Self::Vision(model) => model.num_parameters(),
        }
    }

    /// The prompt of a conversation, ending where the model's answer begins.
    ///
    /// # Errors
    /// Those of the template, the tokenizer and the image processor;
    /// [`ModelError::Request`] for pictures to a model that sees none.
    pub fn prompt(&self, messages: &[VisionMessage]) -> Result<VisionPrompt> {
        match self {
            Self::Vision(model) => model.prompt(messages),
            Self::Text(model) => {
                let mut parts = messages.iter().flat_map(|message| &message.content);
                if parts.any(|part| matches!(part, Part::Picture(_))) {
                    return Err(sees_none());
                }
                let tokenizer = model.tokenizer();
                let text = tokenizer.template()?.render_any(messages, true)?;
                Ok(VisionPrompt {
                    ids: tokenizer.encode(&text)?,
                    patches: Patches::default(),
                })
            }
        }
    }

    /// The tokens that `picture` takes of a prompt.
    ///
    /// # Errors
    /// [`ModelError::Picture`] when it cannot be shown to the model, and
    /// [`ModelError::Request`] when the model sees none.
    pub fn picture_tokens(&self, picture: &Picture) -> Result<usize> {
        match self {
            Self::Text(_) => Err(sees_none()),
            Self::Vision(model) => {
                let processor = model.processor();
                let grid = processor.grid(picture)?;
                Ok(grid.merged(processor.config().merge_size))
            }
        }
    }

    /// The CPU's own code, on `flex` alone.
    pub(super) fn decoder(&self) -> Option<&CpuDecoder> {
        match self {
            Self::Text(model) => model.decoder(),
            Self::Vision(model) => model.decoder(),
        }
    }

    /// Whether answers are written in the rows of one batch, see [`super::together`].
    pub(super) fn writes_in_rows(&self) -> bool {
        self.decoder().is_none()
    }

    /// Bytes of a number of the keys and values.
    pub(super) fn kv_number_bytes(&self) -> usize {
        match Module::of(self, None) {
            Ok(module) => module.dtype().size(),
            // The CPU's own code.
            Err(_) => size_of::<f32>(),
        }
    }

    /// How a model that looks at pictures does.
    pub(super) fn vision(&self) -> Option<&Qwen25VlConfig> {
        match self {
            Self::Text(_) => None,
            Self::Vision(model) => Some(model.config()),
        }
    }

    /// Checks a request's prompt and its pictures. Returns the rotary offset of
    /// what follows the prompt.
    pub(super) fn check(&self, request: &EngineRequest) -> Result<i64> {
        match (self, request.pictures.as_deref()) {
            (Self::Text(model), None) => model.check(&request.generation).map(|()| 0),
            (Self::Text(_), Some(_)) => Err(sees_none()),
            (Self::Vision(model), pictures) => {
                model.check(&request.generation, pictures.unwrap_or(&Patches::default()))
            }
        }
    }
}

fn sees_none() -> ModelError {
    ModelError::Request {
        field: "messages",
        reason: "the model does not see pictures".to_owned(),
    }
}
