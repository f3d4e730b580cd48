//! From a model's name to a studio.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use illumine_models::device::{Device, parse_device_and_precision};
use illumine_models::engine::default_budget;
use illumine_models::qwen_image::studio::{Opener, Studio, StudioConfig};
use illumine_models::qwen_image::{ImageMode, ImagePipeline, LoadOptions, ModelIndex, QwenImage};
use tempfile::TempDir;

use super::demo;

/// `[burn:]<folder>[@device]`; the folder `demo` is the embedded model.
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

    fn is_demo(&self) -> bool {
        self.model == demo::NAME
    }

    /// Where its files are.
    fn folder(&self, mode: ImageMode) -> anyhow::Result<Folder> {
        if self.is_demo() {
            let unpacked = demo::unpack(mode).context("the embedded picture model")?;
            return Ok(Folder::Unpacked(unpacked));
        }
        Ok(Folder::Named(PathBuf::from(&self.model)))
    }

    /// The weights of a picture model keep their own numbers: a choice for those of
    /// the policy, as in `flex:int8`, names the device alone.
    fn device(&self) -> anyhow::Result<Device> {
        let (device, _) = parse_device_and_precision(&self.device)?;
        Ok(device)
    }

    /// Whether a model for `mode` is there, by its folder's index alone.
    ///
    /// # Errors
    /// What is missing or wrong, naming file and field, and what helps.
    pub fn check(&self, mode: ImageMode) -> anyhow::Result<()> {
        self.device()?;
        if self.is_demo() {
            return Ok(());
        }
        let folder = Path::new(&self.model);
        ensure!(
            folder.is_dir(),
            "the picture model `{}` is no folder; name one in Diffusers' layout, or `demo`",
            self.model
        );
        let index = ModelIndex::read(folder)
            .with_context(|| format!("the picture model `{}` cannot be read", self.model))?;
        if index.class.mode() != mode {
            let (is, wanted) = match mode {
                ImageMode::Generation => ("edits pictures", "draws from words"),
                ImageMode::Edit => ("draws from words", "edits pictures"),
            };
            bail!(
                "the picture model `{}` {is}; one that {wanted} is needed here (see `_class_name` in its model_index.json)",
                self.model
            );
        }
        Ok(())
    }
}

/// A folder that is there as long as the value is.
#[derive(Debug)]
enum Folder {
    Named(PathBuf),
    Unpacked(TempDir),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Unpacked(folder) => folder.path(),
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

/// Opens `spec` for `mode`; blocks while it loads. On the CPU, drawing may take half of
/// what is free now where `config` sets no bound.
///
/// # Errors
/// What is wrong with the device or the folder, naming file and field.
pub fn open(
    spec: &ModelSpec,
    mode: ImageMode,
    config: StudioConfig,
    options: &LoadOptions,
) -> anyhow::Result<Opened> {
    spec.check(mode)?;
    let device = spec.device()?;
    let folder = spec.folder(mode)?;
    let options = options.clone();
    // What is free on a GPU is not known here.
    let on_cpu = device == Device::flex();
    let config = StudioConfig {
        memory: config
            .memory
            .or_else(|| on_cpu.then(|| default_budget() as u64)),
        ..config
    };
    let opener: Opener = Box::new(move || {
        let model = QwenImage::load_for(folder.path(), &device, &options)?;
        Ok(Arc::new(model) as Arc<dyn ImagePipeline>)
    });
    let studio = Studio::start(opener, config)
        .with_context(|| format!("the picture model `{}` cannot be loaded", spec.model))?;
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

    #[test]
    fn weights_of_the_policy_choose_no_device_of_pictures() {
        assert!(ModelSpec::parse("demo", "flex:int8").device().is_ok());
        let wrong = ModelSpec::parse("demo", "abacus").check(ImageMode::Edit);
        assert!(format!("{:#}", wrong.unwrap_err()).contains("abacus"));
    }

    #[test]
    fn what_is_no_model_is_said_before_it_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let spec = ModelSpec::parse(&folder.path().display().to_string(), "flex");
        let says = |spec: &ModelSpec, mode| format!("{:#}", spec.check(mode).unwrap_err());
        let nowhere = ModelSpec::parse("/does/not/exist", "flex");
        assert!(says(&nowhere, ImageMode::Edit).contains("`/does/not/exist` is no folder"));
        assert!(says(&spec, ImageMode::Edit).contains("model_index.json"));
        let index = folder.path().join("model_index.json");
        std::fs::write(&index, r#"{"_class_name": "QwenImagePipeline"}"#).unwrap();
        assert!(spec.check(ImageMode::Generation).is_ok());
        assert!(says(&spec, ImageMode::Edit).contains("one that edits pictures is needed"));
    }
}
