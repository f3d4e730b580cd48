//! `vae/config.json` of a Diffusers folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ModelError, Result};
use crate::load::read_json;

/// The class that the file must name.
pub const CLASS: &str = "AutoencoderKLQwenImage";
/// Widths that are believed; the released model has 96.
const MAX_WIDTH: usize = 1 << 12;

/// The shapes, under the reference's names and with its defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Always [`CLASS`].
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Channels at full size.
    pub base_dim: usize,
    /// Channels of a latent.
    pub z_dim: usize,
    /// Channels at each size, as multiples of `base_dim`; each is half as large as the
    /// one before.
    pub dim_mult: Vec<usize>,
    /// Residual blocks at each size of the encoder; the decoder has one more.
    pub num_res_blocks: usize,
    /// Sizes at which the encoder attends, which must be none: the reference cannot run
    /// it.
    pub attn_scales: Vec<f64>,
    /// Which halvings also halve time, of a film; of a picture none does.
    pub temperal_downsample: Vec<bool>,
    /// Colours.
    pub input_channels: usize,
    /// Mean of each latent channel over pictures.
    pub latents_mean: Vec<f32>,
    /// Standard deviation of each latent channel.
    pub latents_std: Vec<f32>,
    /// What else the file says.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            class_name: CLASS.to_owned(),
            base_dim: 96,
            z_dim: 16,
            dim_mult: vec![1, 2, 4, 4],
            num_res_blocks: 2,
            attn_scales: Vec::new(),
            temperal_downsample: vec![false, true, true],
            input_channels: 3,
            latents_mean: vec![
                -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134,
                -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
            ],
            latents_std: vec![
                2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526,
                2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
            ],
            other: BTreeMap::new(),
        }
    }
}

impl VaeConfig {
    /// Reads `config.json` of the folder `dir` and checks it.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::UnknownArchitecture`] and
    /// [`ModelError::Malformed`] naming the field.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let config: Self = read_json(&path)?;
        if config.class_name != CLASS {
            return Err(ModelError::UnknownArchitecture {
                path,
                found: config.class_name,
                known: CLASS.to_owned(),
            });
        }
        match config.fault() {
            Some(reason) => Err(ModelError::malformed(path, reason)),
            None => Ok(config),
        }
    }

    /// Pixels by pixels that one latent stands for: the side.
    pub fn factor(&self) -> usize {
        1 << (self.dim_mult.len() - 1)
    }

    /// What makes it unusable, in words.
    pub fn fault(&self) -> Option<String> {
        let sizes = [
            ("base_dim", self.base_dim),
            ("z_dim", self.z_dim),
            ("num_res_blocks", self.num_res_blocks),
            ("input_channels", self.input_channels),
        ];
        if let Some((field, size)) = sizes.iter().find(|(_, n)| !(1..=MAX_WIDTH).contains(n)) {
            return Some(format!(
                "`{field}`: {size} is not between 1 and {MAX_WIDTH}"
            ));
        }
        if !(1..=8).contains(&self.dim_mult.len())
            || self.dim_mult.iter().any(|n| !(1..=64).contains(n))
        {
            return Some(
                "`dim_mult`: between one and eight numbers from 1 to 64 are needed".to_owned(),
            );
        }
        if !self.attn_scales.is_empty() {
            return Some("`attn_scales`: attention between halvings is not supported".to_owned());
        }
        // A picture is halved once less than there are sizes.
        if self.temperal_downsample.len() + 1 != self.dim_mult.len() {
            return Some("`temperal_downsample`: has to be one shorter than `dim_mult`".to_owned());
        }
        for (index, multiple) in self.dim_mult.iter().enumerate().skip(1) {
            if !(self.base_dim * multiple).is_multiple_of(2) {
                return Some(format!("`dim_mult`: channels at size {index} are odd"));
            }
        }
        for (field, values) in [
            ("latents_mean", &self.latents_mean),
            ("latents_std", &self.latents_std),
        ] {
            if values.len() != self.z_dim {
                return Some(format!(
                    "`{field}`: has {} numbers, `z_dim` is {}",
                    values.len(),
                    self.z_dim
                ));
            }
            if values.iter().any(|value| !value.is_finite()) {
                return Some(format!("`{field}`: has a number that is none"));
            }
        }
        if self.latents_std.iter().any(|&value| value <= 0.0) {
            return Some("`latents_std`: has to be above 0".to_owned());
        }
        None
    }
}
