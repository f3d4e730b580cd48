//! `transformer/config.json` of a Diffusers folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ModelError, Result};
use crate::load::read_json;

/// The class that the file must name.
pub const CLASS: &str = "QwenImageTransformer2DModel";
/// Width of the sinusoids of a timestep, fixed in the reference.
pub const TIMESTEP_CHANNELS: usize = 256;
/// Widths that are believed; the released model has 3072.
const MAX_WIDTH: usize = 1 << 16;

/// The shapes, under the reference's names and with its defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransformerConfig {
    /// Always [`CLASS`].
    #[serde(rename = "_class_name")]
    pub class_name: String,
    /// Side of the squares of latents that are packed into one token.
    pub patch_size: usize,
    /// Numbers of a packed token: latent channels × `patch_size`².
    pub in_channels: usize,
    /// Latent channels of the velocity; `in_channels` when absent.
    pub out_channels: Option<usize>,
    /// Blocks.
    pub num_layers: usize,
    /// Width of a head.
    pub attention_head_dim: usize,
    /// Heads.
    pub num_attention_heads: usize,
    /// Width of the prompt encoder's states.
    pub joint_attention_dim: usize,
    /// For a distilled variant that the reference itself cannot run; must be off.
    pub guidance_embeds: bool,
    /// Dimensions of a head that turn with frame, row and column.
    pub axes_dims_rope: [usize; 3],
    /// Qwen-Image-Edit-2511: the source pictures' tokens are modulated as at time 0.
    pub zero_cond_t: bool,
    /// Of Qwen-Image-Layered; must be off.
    pub use_additional_t_cond: bool,
    /// Of Qwen-Image-Layered; must be off.
    pub use_layer3d_rope: bool,
    /// What else the file says.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Default for TransformerConfig {
    fn default() -> Self {
        Self {
            class_name: CLASS.to_owned(),
            patch_size: 2,
            in_channels: 64,
            out_channels: Some(16),
            num_layers: 60,
            attention_head_dim: 128,
            num_attention_heads: 24,
            joint_attention_dim: 3584,
            guidance_embeds: false,
            axes_dims_rope: [16, 56, 56],
            zero_cond_t: false,
            use_additional_t_cond: false,
            use_layer3d_rope: false,
            other: BTreeMap::new(),
        }
    }
}

impl TransformerConfig {
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

    /// Width of both streams.
    pub fn inner_dim(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }

    /// Numbers of a packed token of the velocity.
    pub fn out_width(&self) -> usize {
        self.patch_size * self.patch_size * self.out_channels.unwrap_or(self.in_channels)
    }

    /// What makes it unusable, in words.
    pub fn fault(&self) -> Option<String> {
        let layered = "Qwen-Image-Layered is not supported; use Qwen-Image or Qwen-Image-Edit";
        let refused = [
            (
                "guidance_embeds",
                self.guidance_embeds,
                "embedded guidance is not supported; use a model with true guidance",
            ),
            ("use_additional_t_cond", self.use_additional_t_cond, layered),
            ("use_layer3d_rope", self.use_layer3d_rope, layered),
        ];
        if let Some((field, _, why)) = refused.iter().find(|(_, is_set, _)| *is_set) {
            return Some(format!("`{field}`: {why}"));
        }
        let unknown = |(_, value): &(&String, &Value)| **value == Value::Bool(true);
        if let Some((field, _)) = self.other.iter().find(unknown) {
            return Some(format!(
                "`{field}` is true, and what it asks for is not known"
            ));
        }
        let sizes = [
            ("patch_size", self.patch_size),
            ("in_channels", self.in_channels),
            ("out_channels", self.out_channels.unwrap_or(1)),
            ("num_layers", self.num_layers),
            ("attention_head_dim", self.attention_head_dim),
            ("num_attention_heads", self.num_attention_heads),
            ("joint_attention_dim", self.joint_attention_dim),
        ];
        let wild = sizes
            .iter()
            .find(|(_, size)| !(1..=MAX_WIDTH).contains(size));
        if let Some((field, size)) = wild {
            return Some(format!("`{field}` is {size}; 1 to {MAX_WIDTH} is expected"));
        }
        let axes = self.axes_dims_rope;
        let fits = axes
            .iter()
            .all(|axis| axis.is_multiple_of(2) && *axis <= MAX_WIDTH)
            && axes.iter().sum::<usize>() == self.attention_head_dim;
        (!fits).then(|| {
            format!(
                "`axes_dims_rope` = {axes:?} must be even and sum to `attention_head_dim` = {}",
                self.attention_head_dim
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_released_file_is_read_with_its_left_over_field() {
        let text = r#"{"_class_name": "QwenImageTransformer2DModel", "_diffusers_version": "0.34.0",
            "attention_head_dim": 128, "axes_dims_rope": [16, 56, 56], "guidance_embeds": false,
            "in_channels": 64, "joint_attention_dim": 3584, "num_attention_heads": 24,
            "num_layers": 60, "out_channels": 16, "patch_size": 2, "pooled_projection_dim": 768}"#;
        let config: TransformerConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.fault(), None);
        assert_eq!((config.inner_dim(), config.out_width()), (3072, 64));
        let back = serde_json::to_value(&config).unwrap();
        assert_eq!(back["pooled_projection_dim"], 768);
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for (text, says) in [
            (r#"{"guidance_embeds": true}"#, "guidance_embeds"),
            (r#"{"use_layer3d_rope": true}"#, "Layered"),
            (r#"{"use_new_idea": true}"#, "use_new_idea"),
            (r#"{"num_layers": 0}"#, "num_layers"),
            (r#"{"axes_dims_rope": [16, 56, 55]}"#, "axes_dims_rope"),
            (r#"{"axes_dims_rope": [16, 56, 58]}"#, "attention_head_dim"),
            (r#"{"_class_name": "FluxTransformer2DModel"}"#, "Flux"),
        ] {
            std::fs::write(dir.path().join("config.json"), text).unwrap();
            let error = TransformerConfig::read(dir.path()).unwrap_err().to_string();
            assert!(
                error.contains(says) && error.contains("config.json"),
                "{error}"
            );
        }
    }
}
