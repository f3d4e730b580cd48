//! `preprocessor_config.json` of a Qwen2.5-VL checkpoint.

use std::path::Path;

use serde::Deserialize;

use super::picture::MAX_PIXELS;
use crate::error::{ModelError, Result};
use crate::load::read_json_if_there;

/// The file's name where the processors were saved apart, as released.
const OWN_FILE: &str = "preprocessor_config.json";
/// The file's name where transformers 5 saved them together.
const SHARED_FILE: &str = "processor_config.json";
/// Pillow's number for bicubic.
const BICUBIC: u32 = 3;

/// How pictures become patches, under the reference's names.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessorConfig {
    /// Fewest pixels after resizing (`min_pixels` or `size.shortest_edge`).
    pub min_pixels: usize,
    /// Most pixels after resizing (`max_pixels` or `size.longest_edge`).
    pub max_pixels: usize,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Frames in a patch; a still picture is repeated.
    pub temporal_patch_size: usize,
    /// Side of the square of patches that the tower merges into one vector.
    pub merge_size: usize,
    /// Whether pictures are resized; if not, their sides must fit as they are.
    pub do_resize: bool,
    /// What a level is multiplied with before normalisation.
    pub rescale_factor: Option<f64>,
    /// Mean and standard deviation of each colour, after rescaling.
    pub normalize: Option<([f64; 3], [f64; 3])>,
}

impl Default for ProcessorConfig {
    /// The defaults of `transformers.Qwen2VLImageProcessor`.
    fn default() -> Self {
        Self::from(Raw::default())
    }
}

/// As written, in its several versions.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Raw {
    min_pixels: Option<usize>,
    max_pixels: Option<usize>,
    size: Option<Size>,
    patch_size: Option<usize>,
    temporal_patch_size: Option<usize>,
    merge_size: Option<usize>,
    do_resize: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    rescale_factor: Option<f64>,
    image_mean: Option<[f64; 3]>,
    image_std: Option<[f64; 3]>,
    resample: Option<u32>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Size {
    shortest_edge: Option<usize>,
    longest_edge: Option<usize>,
    min_pixels: Option<usize>,
    max_pixels: Option<usize>,
}

#[derive(Deserialize)]
struct Shared {
    image_processor: Option<Raw>,
}

impl From<Raw> for ProcessorConfig {
    fn from(raw: Raw) -> Self {
        let size = raw.size.unwrap_or_default();
        // Mean and deviation of CLIP's training pictures.
        let mean = [0.481_454_66, 0.457_827_5, 0.408_210_73];
        let deviation = [0.268_629_54, 0.261_302_58, 0.275_777_11];
        Self {
            min_pixels: raw
                .min_pixels
                .or(size.shortest_edge)
                .or(size.min_pixels)
                .unwrap_or(56 * 56),
            max_pixels: raw
                .max_pixels
                .or(size.longest_edge)
                .or(size.max_pixels)
                .unwrap_or(28 * 28 * 1280),
            patch_size: raw.patch_size.unwrap_or(14),
            temporal_patch_size: raw.temporal_patch_size.unwrap_or(2),
            merge_size: raw.merge_size.unwrap_or(2),
            do_resize: raw.do_resize.unwrap_or(true),
            rescale_factor: (raw.do_rescale != Some(false))
                .then(|| raw.rescale_factor.unwrap_or(1.0 / 255.0)),
            normalize: (raw.do_normalize != Some(false)).then(|| {
                (
                    raw.image_mean.unwrap_or(mean),
                    raw.image_std.unwrap_or(deviation),
                )
            }),
        }
    }
}

impl ProcessorConfig {
    /// Reads it from the model folder `dir`: `preprocessor_config.json`, else the
    /// `image_processor` of `processor_config.json`. None where it has neither.
    ///
    /// # Errors
    /// [`ModelError::Io`] and [`ModelError::Malformed`], naming the field.
    pub fn from_folder(dir: &Path) -> Result<Option<Self>> {
        let own = dir.join(OWN_FILE);
        if let Some(raw) = read_json_if_there::<Raw>(&own)? {
            return Self::checked(raw, &own).map(Some);
        }
        let shared = dir.join(SHARED_FILE);
        read_json_if_there::<Shared>(&shared)?
            .map(|file| Self::checked(file.image_processor.unwrap_or_default(), &shared))
            .transpose()
    }

    fn checked(raw: Raw, path: &Path) -> Result<Self> {
        let resample = raw.resample.unwrap_or(BICUBIC);
        let config = Self::from(raw);
        let found = match resample {
            BICUBIC => config.fault(),
            _ => Some(format!(
                "`resample` is {resample}; only 3, bicubic, is known"
            )),
        };
        match found {
            Some(reason) => Err(ModelError::malformed(path, reason)),
            None => Ok(config),
        }
    }

    /// Pixels by which both sides of a resized picture divide.
    pub fn factor(&self) -> usize {
        self.patch_size * self.merge_size
    }

    /// Numbers in one patch: three colours of a block.
    pub fn patch_width(&self) -> usize {
        3 * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// What makes it unusable, in words.
    pub(super) fn fault(&self) -> Option<String> {
        let sides = [
            ("patch_size", self.patch_size),
            ("temporal_patch_size", self.temporal_patch_size),
            ("merge_size", self.merge_size),
        ];
        for (field, value) in sides {
            if !(1..=256).contains(&value) {
                return Some(format!("`{field}` is {value}; 1 to 256 is expected"));
            }
        }
        if self.min_pixels == 0 || self.min_pixels > self.max_pixels {
            return Some(format!(
                "`min_pixels` = {} must be above 0 and at most `max_pixels` = {}",
                self.min_pixels, self.max_pixels
            ));
        }
        if self.max_pixels as u64 > MAX_PIXELS {
            return Some(format!(
                "`max_pixels` = {} is above {MAX_PIXELS}",
                self.max_pixels
            ));
        }
        let usable = |value: f64| value.is_finite() && value > 0.0;
        if self.rescale_factor.is_some_and(|factor| !usable(factor)) {
            return Some("`rescale_factor` must be a positive number".to_owned());
        }
        let (mean, deviation) = self.normalize?;
        if !mean.into_iter().all(f64::is_finite) || !deviation.into_iter().all(usable) {
            return Some("`image_mean` must be numbers, `image_std` positive ones".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ProcessorConfig {
        serde_json::from_str::<Raw>(text).unwrap().into()
    }

    #[test]
    fn the_bounds_have_two_spellings_and_the_outer_one_wins() {
        let outer = read(r#"{"min_pixels": 7, "max_pixels": 9}"#);
        let inner = read(r#"{"size": {"shortest_edge": 7, "longest_edge": 9}}"#);
        let both = read(r#"{"min_pixels": 7, "size": {"shortest_edge": 1, "longest_edge": 9}}"#);
        assert_eq!((outer.min_pixels, outer.max_pixels), (7, 9));
        assert_eq!(outer, inner);
        assert_eq!(outer, both);
        assert_eq!(read("{}").max_pixels, 1_003_520);
    }

    #[test]
    fn the_shared_file_is_read_where_there_is_no_own_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = || ProcessorConfig::from_folder(dir.path()).unwrap();
        assert_eq!(folder(), None);
        let shared = r#"{"image_processor": {"patch_size": 4}, "processor_class": "X"}"#;
        std::fs::write(dir.path().join(SHARED_FILE), shared).unwrap();
        assert_eq!(folder().unwrap().patch_size, 4);
        std::fs::write(dir.path().join(OWN_FILE), r#"{"patch_size": 8}"#).unwrap();
        assert_eq!(folder().unwrap().patch_size, 8);
    }

    #[test]
    fn faults_name_file_and_field() {
        let dir = tempfile::tempdir().unwrap();
        for (text, field) in [
            (r#"{"patch_size": 0}"#, "patch_size"),
            (r#"{"merge_size": 1000000}"#, "merge_size"),
            (r#"{"min_pixels": 90, "max_pixels": 80}"#, "min_pixels"),
            (r#"{"max_pixels": 90000000000}"#, "max_pixels"),
            (r#"{"image_std": [1, 0, 1]}"#, "image_std"),
            (r#"{"resample": 2}"#, "resample"),
            (r#"{"rescale_factor": -1}"#, "rescale_factor"),
        ] {
            std::fs::write(dir.path().join(OWN_FILE), text).unwrap();
            let error = ProcessorConfig::from_folder(dir.path()).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(field) && error.contains(OWN_FILE), "{error}");
        }
    }
}
