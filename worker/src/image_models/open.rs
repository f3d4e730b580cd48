//! From a model's name to a studio.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use illumine_models::device::parse_device;
use illumine_models::qwen_image::studio::{Opener, Studio, StudioConfig};
use illumine_models::qwen_image::{ImageMode, ImagePipeline, LoadOptions, QwenImage};

/// `[burn:]<folder>[@device]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSpec {
    /// A Diffusers folder.
    pub model: String,
    /// As `--device` takes it.
    pub device: String,
}

impl ModelSpec {
    /// Reads it; without a device of its own it runs on `device`.
    pub fn parse(text: &str, device: &str) -> Self {
        let text = text.trim();
        let text = text.strip_prefix("burn:").unwrap_or(text);
        match text.rsplit_once('@') {
            Some((model, own)) if !own.is_empty() && !own.contains('/') => Self {
                model: model.to_owned(),
                device: own.to_owned(),
            },
            _ => Self {
                model: text.to_owned(),
                device: device.to_owned(),
            },
        }
    }
}

/// A studio and what its model is called.
#[derive(Clone, Debug)]
pub struct Opened {
    pub studio: Studio,
    /// As configured, without the device.
    pub name: String,
}

/// Opens `spec` for `mode`; blocks while it loads.
///
/// # Errors
/// What is wrong with the device or the folder, naming file and field.
pub fn open(
    spec: &ModelSpec,
    mode: ImageMode,
    config: StudioConfig,
    options: &LoadOptions,
) -> anyhow::Result<Opened> {
    let device = parse_device(&spec.device)?;
    let folder = PathBuf::from(&spec.model);
    ensure!(
        folder.is_dir(),
        "the picture model `{}` is no folder; name one in Diffusers' layout",
        spec.model
    );
    let options = options.clone();
    let opener: Opener = Box::new(move || {
        let model = QwenImage::load_for(&folder, &device, &options)?;
        Ok(Arc::new(model) as Arc<dyn ImagePipeline>)
    });
    let studio = Studio::start(opener, config)
        .with_context(|| format!("the picture model `{}` cannot be loaded", spec.model))?;
    if studio.info().mode != mode {
        let (is, wanted) = match mode {
            ImageMode::Generation => ("edits pictures", "draws from words"),
            ImageMode::Edit => ("draws from words", "edits pictures"),
        };
        bail!(
            "the picture model `{}` {is}; one that {wanted} is needed here (see `_class_name` in its model_index.json)",
            spec.model
        );
    }
    Ok(Opened {
        studio,
        name: format!("burn:{}", spec.model),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_name_its_device() {
        let spec = |text: &str| {
            let spec = ModelSpec::parse(text, "flex");
            (spec.model, spec.device)
        };
        let pair = |model: &str, device: &str| (model.to_owned(), device.to_owned());
        assert_eq!(spec("demo"), pair("demo", "flex"));
        assert_eq!(spec("burn:/models/q@cuda:1"), pair("/models/q", "cuda:1"));
        assert_eq!(spec("/a@b/c"), pair("/a@b/c", "flex"));
        assert_eq!(spec("/a@b/c@libtorch"), pair("/a@b/c", "libtorch"));
    }
}
