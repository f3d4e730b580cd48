//! The embedded picture model: its two pipelines travel inside the program.

use std::fs;
use std::io;

use illumine_models::qwen_image::ImageMode;
use tempfile::TempDir;

/// What names it.
pub const NAME: &str = "demo";

type File = (&'static str, &'static [u8]);

macro_rules! file {
    ($name:literal) => {
        file!($name, $name)
    };
    ($name:literal, $from:literal) => {
        (
            $name,
            include_bytes!(concat!("../../models/demo-image/", $from)).as_slice(),
        )
    };
}

/// What both pipelines read.
const SHARED: [File; 9] = [
    file!("scheduler/scheduler_config.json"),
    file!("text_encoder/config.json"),
    file!("text_encoder/model.safetensors"),
    file!("tokenizer/tokenizer.json"),
    file!("tokenizer/tokenizer_config.json"),
    file!("transformer/config.json"),
    file!("transformer/diffusion_pytorch_model.safetensors"),
    file!("vae/config.json"),
    file!("vae/diffusion_pytorch_model.safetensors"),
];

const GENERATION: [File; 1] = [file!("model_index.json")];

const EDIT: [File; 2] = [
    file!("model_index.json", "edit/model_index.json"),
    file!(
        "processor/preprocessor_config.json",
        "edit/processor/preprocessor_config.json"
    ),
];

/// Writes the pipeline's folder to a temporary place, which goes when the value does.
///
/// # Errors
/// If the temporary folder cannot be written.
pub fn unpack(mode: ImageMode) -> io::Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("illumine-demo-image-")
        .tempdir()?;
    let own = match mode {
        ImageMode::Generation => GENERATION.as_slice(),
        ImageMode::Edit => EDIT.as_slice(),
    };
    for (name, bytes) in SHARED.iter().chain(own) {
        let path = folder.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    Ok(folder)
}
