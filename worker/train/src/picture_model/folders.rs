//! The trained model as Diffusers folders: one that draws, and inside it one that
//! edits, whose weights are links to the first's.
//!
//! ```text
//! demo-image/            model_index.json (QwenImagePipeline)
//!   transformer/ vae/ text_encoder/ tokenizer/ scheduler/
//!   edit/                model_index.json (QwenImageEditPipeline)
//!     processor/         and links to the five folders above
//! ```

use std::path::Path;

use illumine_models::qwen_image::vae::QwenImageVae;
use illumine_models::qwen25_vl::processor_config::ProcessorConfig;
use illumine_models::save::WeightType;
use serde_json::{Value, json};

use super::config::{PictureTraining, VIEW, scheduler};
use super::model::PictureModel;
use super::vocabulary;
use crate::error::{Result, TrainError};
use crate::painter::SIDE;

/// Steps and guidance of the recipe.
pub const STEPS: usize = 8;
/// `true_cfg_scale` of a picture from words.
pub const GUIDANCE: f32 = 4.5;
/// `true_cfg_scale` of an edit.
const EDIT_GUIDANCE: f32 = 3.0;
/// Folders that both pipelines share.
const SHARED: [&str; 5] = [
    "transformer",
    "vae",
    "text_encoder",
    "tokenizer",
    "scheduler",
];

/// How the prompt's encoder is shown a picture.
pub fn processor_config() -> ProcessorConfig {
    ProcessorConfig {
        min_pixels: 32 * 32,
        max_pixels: 4 * VIEW * VIEW,
        patch_size: 16,
        ..ProcessorConfig::default()
    }
}

/// Writes both pipelines below `folder`, weights in bf16.
///
/// # Errors
/// [`TrainError::Io`], [`TrainError::Model`], [`TrainError::Tokenizer`].
pub fn save(
    folder: &Path,
    model: &PictureModel,
    config: &PictureTraining,
    vae: &QwenImageVae,
    tokenizer: &tokenizers::Tokenizer,
) -> Result<()> {
    let bf16 = WeightType::Bf16;
    model.transformer.save(&folder.join("transformer"), bf16)?;
    let encoder = model.encoder(&config.sizes.prompt_encoder());
    encoder.save(&folder.join("text_encoder"), bf16)?;
    vae.save(&folder.join("vae"), bf16)?;
    vocabulary::save(tokenizer, &folder.join("tokenizer"))?;
    let scheduler = serde_json::to_value(scheduler()).unwrap_or_default();
    write(&folder.join("scheduler/scheduler_config.json"), &scheduler)?;
    write(
        &folder.join("model_index.json"),
        &index("QwenImagePipeline"),
    )?;

    let edit = folder.join("edit");
    write(
        &edit.join("model_index.json"),
        &index("QwenImageEditPipeline"),
    )?;
    let processor = processor_config();
    let (mean, deviation) = processor.normalize.unwrap_or_default();
    let preprocessor = json!({
        "image_processor_type": "Qwen2VLImageProcessor",
        "min_pixels": processor.min_pixels,
        "max_pixels": processor.max_pixels,
        "patch_size": processor.patch_size,
        "temporal_patch_size": processor.temporal_patch_size,
        "merge_size": processor.merge_size,
        "image_mean": mean,
        "image_std": deviation,
    });
    write(
        &edit.join("processor/preprocessor_config.json"),
        &preprocessor,
    )?;
    SHARED.iter().try_for_each(|name| link(&edit, name))
}

fn index(class: &str) -> Value {
    let mut index = json!({
        "_class_name": class,
        "_diffusers_version": "0.42.1",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "Qwen2_5_VLForConditionalGeneration"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "transformer": ["diffusers", "QwenImageTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKLQwenImage"],
        "illumine": {
            "area": SIDE * SIDE,
            "steps": STEPS,
            "guidance": GUIDANCE,
            "dropped_tokens": vocabulary::DROPPED_TOKENS,
        },
    });
    if class == "QwenImageEditPipeline" {
        index["processor"] = json!(["transformers", "Qwen2VLProcessor"]);
        index["illumine"]["guidance"] = json!(EDIT_GUIDANCE);
        index["illumine"]["condition_area"] = json!(VIEW * VIEW);
    }
    index
}

fn write(path: &Path, value: &Value) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| TrainError::io(folder, error))?;
    }
    let text =
        serde_json::to_string_pretty(value).map_err(|error| TrainError::checkpoint(path, error))?;
    std::fs::write(path, text + "\n").map_err(|error| TrainError::io(path, error))
}

/// `edit/NAME` → `../NAME`; a copy where the system has no links.
fn link(edit: &Path, name: &str) -> Result<()> {
    let path = edit.join(name);
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    #[cfg(unix)]
    let made = std::os::unix::fs::symlink(Path::new("..").join(name), &path);
    #[cfg(not(unix))]
    let made = copy(&edit.join("..").join(name), &path);
    made.map_err(|error| TrainError::io(&path, error))
}

#[cfg(not(unix))]
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
