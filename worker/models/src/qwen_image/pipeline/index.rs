//! `model_index.json` of a pipeline's folder.

use std::path::Path;

use serde::Deserialize;

use super::super::prompt::Template;
use super::super::request::ImageMode;
use super::super::scheduler::MAX_STEPS;
use crate::error::{ModelError, Result};
use crate::load::read_json;

const FILE: &str = "model_index.json";

/// Pictures that `QwenImageEditPlusPipeline` is trained with.
const MOST_PICTURES: usize = 3;

/// Which of the reference's pipelines the folder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum PipelineClass {
    /// A picture from words.
    #[serde(rename = "QwenImagePipeline")]
    Generation,
    /// One picture and words.
    #[serde(rename = "QwenImageEditPipeline")]
    Edit,
    /// Several pictures and words.
    #[serde(rename = "QwenImageEditPlusPipeline")]
    EditPlus,
}

impl PipelineClass {
    const NAMES: &str = "QwenImagePipeline, QwenImageEditPipeline, QwenImageEditPlusPipeline";

    /// What it does.
    pub fn mode(self) -> ImageMode {
        match self {
            Self::Generation => ImageMode::Generation,
            Self::Edit | Self::EditPlus => ImageMode::Edit,
        }
    }

    /// Its chat.
    pub fn template(self) -> Template {
        match self {
            Self::Generation => Template::Generation,
            Self::Edit => Template::Edit,
            Self::EditPlus => Template::EditPlus,
        }
    }

    /// Pictures that a request may bring.
    pub fn most_pictures(self) -> usize {
        match self {
            Self::Generation => 0,
            Self::Edit => 1,
            Self::EditPlus => MOST_PICTURES,
        }
    }
}

/// Settings that the reference has in its code, under the key `illumine`; models
/// that work at other sizes have others. `diffusers` ignores the key.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OwnSettings {
    /// Pixels that a picture to edit is brought to, and the drawn one where a
    /// request names no size; 1024².
    pub area: Option<u32>,
    /// Pixels in which the prompt's encoder sees a picture; 384² where there may be
    /// several, else `area`.
    pub condition_area: Option<u32>,
    /// Width of a generated picture where a request names none; 1328.
    pub width: Option<u32>,
    /// Height of a generated picture where a request names none; 1328.
    pub height: Option<u32>,
    /// Steps where a request names none; 50.
    pub steps: Option<usize>,
    /// Guidance where a request names none; 4.
    pub guidance: Option<f32>,
    /// Tokens of the template whose states are dropped, for another tokenizer than
    /// Qwen2.5's; 34 for generation, 64 for editing.
    pub dropped_tokens: Option<usize>,
}

/// What the file says that matters here.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelIndex {
    /// The pipeline.
    pub class: PipelineClass,
    /// Its own settings.
    pub own: OwnSettings,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "_class_name")]
    class_name: String,
    #[serde(default)]
    illumine: OwnSettings,
}

impl ModelIndex {
    /// Reads it from the folder `dir`.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::UnknownArchitecture`], and
    /// [`ModelError::Malformed`] naming the field.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(FILE);
        let Raw {
            class_name,
            illumine: own,
        } = read_json(&path)?;
        let class = serde_json::from_value(class_name.clone().into());
        let class = class.map_err(|_| ModelError::UnknownArchitecture {
            path: path.clone(),
            found: class_name,
            known: PipelineClass::NAMES.to_owned(),
        })?;
        match own.fault() {
            Some(reason) => Err(ModelError::malformed(path, format!("`illumine`: {reason}"))),
            None => Ok(Self { class, own }),
        }
    }

    /// Pixels of a picture to edit.
    pub fn area(&self) -> u32 {
        self.own.area.unwrap_or(1024 * 1024)
    }

    /// Pixels of a picture as the prompt's encoder sees it.
    pub fn condition_area(&self) -> u32 {
        let usual = match self.class {
            PipelineClass::EditPlus => self.own.area.unwrap_or(u32::MAX).min(384 * 384),
            PipelineClass::Generation | PipelineClass::Edit => self.area(),
        };
        self.own.condition_area.unwrap_or(usual)
    }

    /// Width and height where a request names none.
    pub fn size(&self) -> [u32; 2] {
        let side = match (self.class, self.own.area) {
            (PipelineClass::Generation, None) => 1328,
            _ => f64::from(self.area()).sqrt() as u32,
        };
        [self.own.width, self.own.height].map(|own| own.unwrap_or(side))
    }
}

impl OwnSettings {
    fn fault(&self) -> Option<String> {
        let areas = [("area", self.area), ("condition_area", self.condition_area)];
        let possible = 32 * 32..=4096 * 4096;
        for (field, area) in areas {
            if area.is_some_and(|area| !possible.contains(&area)) {
                return Some(format!("`{field}` must be from 1024 to 16777216 pixels"));
            }
        }
        if self
            .steps
            .is_some_and(|steps| !(1..=MAX_STEPS).contains(&steps))
        {
            return Some(format!("`steps` must be from 1 to {MAX_STEPS}"));
        }
        let usable = |guidance: f32| (0.0..=100.0).contains(&guidance);
        if self.guidance.is_some_and(|guidance| !usable(guidance)) {
            return Some("`guidance` must be from 0 to 100".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ModelIndex> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        ModelIndex::read(dir.path())
    }

    #[test]
    fn released_folders_have_the_sizes_of_the_reference() {
        let index = read(r#"{"_class_name": "QwenImagePipeline", "vae": ["diffusers", "X"]}"#);
        assert_eq!(index.unwrap().size(), [1328, 1328]);
        let index = read(r#"{"_class_name": "QwenImageEditPlusPipeline"}"#).unwrap();
        assert_eq!((index.area(), index.condition_area()), (1 << 20, 384 * 384));
        let index = read(r#"{"_class_name": "QwenImageEditPipeline"}"#).unwrap();
        assert_eq!((index.area(), index.condition_area()), (1 << 20, 1 << 20));
    }

    #[test]
    fn small_models_bring_their_own() {
        let text =
            r#"{"_class_name": "QwenImageEditPipeline", "illumine": {"area": 16384, "steps": 8}}"#;
        let index = read(text).unwrap();
        assert_eq!((index.area(), index.condition_area()), (16_384, 16_384));
        assert_eq!((index.size(), index.own.steps), ([128, 128], Some(8)));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, says) in [
            (
                r#"{"_class_name": "FluxPipeline"}"#,
                "QwenImageEditPlusPipeline",
            ),
            (
                r#"{"_class_name": "QwenImagePipeline", "illumine": {"area": 3}}"#,
                "area",
            ),
            (
                r#"{"_class_name": "QwenImagePipeline", "illumine": {"steps": 0}}"#,
                "steps",
            ),
            (
                r#"{"_class_name": "QwenImagePipeline", "illumine": {"step": 4}}"#,
                "step",
            ),
            (
                r#"{"_class_name": "QwenImagePipeline", "illumine": {"guidance": -1}}"#,
                "guidance",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains(FILE), "{error}");
        }
    }
}
