//! `config.json` of a Qwen2.5-VL checkpoint.
//!
//! Follows `configuration_qwen2_5_vl.py`. Two layouts are read: the released one,
//! with the decoder's fields at the top, and that of transformers 5, with
//! `text_config` and `vision_config`.

use serde::Deserialize;

use crate::error::{ModelError, Result};
use crate::qwen3::Qwen3Config;

/// Largest size of anything in the configuration, far above every model.
const MAX_SIZE: usize = 1 << 24;

/// The shapes of a Qwen2.5-VL model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Raw")]
pub struct Qwen25VlConfig {
    /// The decoder; its shapes go by the same names as Qwen3's.
    pub text: Qwen3Config,
    /// Rotary frequencies that turn with the frame, row and column, in turns:
    /// the sizes of consecutive runs of the half head.
    pub mrope_section: Vec<usize>,
    /// The vision tower.
    pub vision: VisionConfig,
    /// Token in whose places the vectors of pictures stand.
    pub image_token_id: u32,
    /// Token of videos, which are not supported.
    pub video_token_id: u32,
}

/// The shapes of the vision tower, under the reference's names.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    /// Number of blocks.
    pub depth: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Colours of a pixel; always 3.
    pub in_channels: usize,
    /// The same as older folders have it; those that were saved again have both names.
    pub in_chans: Option<usize>,
    /// Side of a patch, in pixels.
    pub patch_size: usize,
    /// Frames in a patch.
    pub temporal_patch_size: usize,
    /// Side of the square of patches merged into one vector.
    pub spatial_merge_size: usize,
    /// Side of an attention window, in pixels.
    pub window_size: usize,
    /// Width of the merged vectors: the decoder's.
    pub out_hidden_size: usize,
    /// Blocks that attend over the whole picture.
    pub fullatt_block_indexes: Vec<usize>,
    /// The activation; always `silu`.
    pub hidden_act: String,
    /// Rotary positions, where they are not the usual ones.
    pub rope_parameters: Option<VisionRope>,
}

/// Of the vision tower.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct VisionRope {
    /// Base of the frequencies.
    pub rope_theta: Option<f64>,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            depth: 32,
            hidden_size: 3584,
            intermediate_size: 3420,
            num_heads: 16,
            in_channels: 3,
            in_chans: None,
            patch_size: 14,
            temporal_patch_size: 2,
            spatial_merge_size: 2,
            window_size: 112,
            out_hidden_size: 3584,
            fullatt_block_indexes: vec![7, 15, 23, 31],
            hidden_act: "silu".to_owned(),
            rope_parameters: None,
        }
    }
}

impl VisionConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Numbers in one patch.
    pub fn patch_width(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Side of an attention window, in merged squares.
    pub fn window_squares(&self) -> usize {
        self.window_size / self.spatial_merge_size / self.patch_size
    }

    /// Base of the rotary frequencies.
    pub fn rope_theta(&self) -> f64 {
        let own = self.rope_parameters.as_ref().and_then(|r| r.rope_theta);
        own.unwrap_or(10_000.0)
    }
}

/// As written, in either layout.
#[derive(Deserialize)]
struct Raw {
    text_config: Option<RawText>,
    #[serde(flatten)]
    flat: RawText,
    #[serde(default)]
    vision_config: VisionConfig,
    #[serde(default = "image_token_id")]
    image_token_id: u32,
    #[serde(default = "video_token_id")]
    video_token_id: u32,
}

/// The decoder's fields. All are optional here, since either place may be empty.
#[derive(Deserialize)]
struct RawText {
    vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    rms_norm_eps: Option<f64>,
    rope_theta: Option<f64>,
    rope_scaling: Option<RawRope>,
    rope_parameters: Option<RawRope>,
    tie_word_embeddings: Option<bool>,
    max_position_embeddings: Option<usize>,
    hidden_act: Option<String>,
    use_sliding_window: Option<bool>,
    eos_token_id: Option<OneOrMany>,
    bos_token_id: Option<u32>,
    pad_token_id: Option<u32>,
}

#[derive(Deserialize)]
struct RawRope {
    rope_theta: Option<f64>,
    mrope_section: Option<Vec<usize>>,
    rope_type: Option<String>,
    /// As older folders have it. Those of `transformers` 4.50 and later have both names.
    #[serde(rename = "type")]
    old_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u32),
    Many(Vec<u32>),
}

fn image_token_id() -> u32 {
    151_655
}
fn video_token_id() -> u32 {
    151_656
}

impl TryFrom<Raw> for Qwen25VlConfig {
    type Error = ModelError;

    fn try_from(raw: Raw) -> Result<Self> {
        let tied_outside = raw.flat.tie_word_embeddings;
        let outer_eos = raw.flat.eos_token_id;
        let text = match raw.text_config {
            Some(text) => RawText {
                eos_token_id: text.eos_token_id.or(outer_eos),
                ..text
            },
            None => RawText {
                eos_token_id: outer_eos,
                ..raw.flat
            },
        };
        let tied = tied_outside == Some(true) || text.tie_word_embeddings == Some(true);
        let rope = text.rope_parameters.or(text.rope_scaling);
        let act = text.hidden_act.as_deref().unwrap_or("silu");
        if act != "silu" || raw.vision_config.hidden_act != "silu" {
            return Err(invalid("hidden_act", "only silu is known"));
        }
        if text.use_sliding_window == Some(true) {
            return Err(invalid("use_sliding_window", "true is not supported"));
        }
        let (mut theta, mut section) = (text.rope_theta, None);
        if let Some(rope) = rope {
            let kind = rope.rope_type.as_deref().or(rope.old_type.as_deref());
            if !matches!(kind, None | Some("default" | "mrope")) {
                let reason = format!("`{}` is not supported", kind.unwrap_or_default());
                return Err(invalid("rope_type", reason));
            }
            theta = rope.rope_theta.or(theta);
            section = rope.mrope_section;
        }
        let needed = |field, value: Option<usize>| {
            value.ok_or_else(|| invalid(field, "is missing, also in `text_config`"))
        };
        let hidden_size = needed("hidden_size", text.hidden_size)?;
        let num_attention_heads = needed("num_attention_heads", text.num_attention_heads)?;
        let decoder = Qwen3Config {
            vocab_size: needed("vocab_size", text.vocab_size)?,
            hidden_size,
            intermediate_size: needed("intermediate_size", text.intermediate_size)?,
            num_hidden_layers: needed("num_hidden_layers", text.num_hidden_layers)?,
            num_attention_heads,
            num_key_value_heads: text.num_key_value_heads.unwrap_or(num_attention_heads),
            head_dim: hidden_size / num_attention_heads.max(1),
            rms_norm_eps: text.rms_norm_eps.unwrap_or(1e-5),
            rope_theta: theta.unwrap_or(1e6),
            tie_word_embeddings: tied,
            max_position_embeddings: text.max_position_embeddings.unwrap_or(32_768),
            eos_token_id: match text.eos_token_id {
                None => Vec::new(),
                Some(OneOrMany::One(id)) => vec![id],
                Some(OneOrMany::Many(ids)) => ids,
            },
            bos_token_id: text.bos_token_id,
            pad_token_id: text.pad_token_id,
            ..Qwen3Config::default()
        };
        let config = Self {
            text: decoder,
            mrope_section: section.unwrap_or_else(|| vec![16, 24, 24]),
            vision: raw.vision_config,
            image_token_id: raw.image_token_id,
            video_token_id: raw.video_token_id,
        };
        config.validate()?;
        Ok(config)
    }
}

impl Qwen25VlConfig {
    /// Checks that the fields fit each other.
    fn validate(&self) -> Result<()> {
        self.text.validate()?;
        let (text, vision) = (&self.text, &self.vision);
        let sizes = [
            ("vocab_size", text.vocab_size),
            ("hidden_size", text.hidden_size),
            ("intermediate_size", text.intermediate_size),
            ("vision_config.depth", vision.depth),
            ("vision_config.hidden_size", vision.hidden_size),
            ("vision_config.intermediate_size", vision.intermediate_size),
            ("vision_config.num_heads", vision.num_heads),
            ("vision_config.window_size", vision.window_size),
        ];
        let sides = [
            ("vision_config.patch_size", vision.patch_size),
            (
                "vision_config.temporal_patch_size",
                vision.temporal_patch_size,
            ),
            (
                "vision_config.spatial_merge_size",
                vision.spatial_merge_size,
            ),
        ];
        let within = |(field, value), most| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(invalid(
                field,
                format!("is {value}; 1 to {most} is expected"),
            )),
        };
        sizes
            .into_iter()
            .try_for_each(|size| within(size, MAX_SIZE))?;
        sides.into_iter().try_for_each(|side| within(side, 256))?;

        let heads = text.num_attention_heads;
        let half = text.head_dim / 2;
        let rules = [
            (
                "num_attention_heads",
                text.hidden_size.is_multiple_of(heads),
                format!("{heads} does not divide hidden_size = {}", text.hidden_size),
            ),
            (
                "mrope_section",
                self.mrope_section
                    .iter()
                    .try_fold(0_usize, |sum, &n| sum.checked_add(n))
                    == Some(half),
                format!(
                    "{:?} does not sum to half a head, {half}",
                    self.mrope_section
                ),
            ),
            (
                "vision_config.num_heads",
                vision.hidden_size.is_multiple_of(4 * vision.num_heads),
                format!(
                    "hidden_size = {} is not heads of a multiple of 4",
                    vision.hidden_size
                ),
            ),
            (
                "vision_config.in_channels",
                vision.in_channels == 3 && vision.in_chans.is_none_or(|colours| colours == 3),
                "pictures have 3, whether it is called that or `in_chans`".to_owned(),
            ),
            (
                "vision_config.window_size",
                vision.window_squares() > 0,
                format!("{} is less than one merged patch", vision.window_size),
            ),
            (
                "vision_config.out_hidden_size",
                vision.out_hidden_size == text.hidden_size,
                format!(
                    "{} is not the decoder's {}",
                    vision.out_hidden_size, text.hidden_size
                ),
            ),
            (
                "vision_config.rope_parameters.rope_theta",
                vision.rope_theta().is_finite() && vision.rope_theta() > 0.0,
                "must be a positive number".to_owned(),
            ),
            (
                "image_token_id",
                (self.image_token_id as usize) < text.vocab_size,
                format!("{} is outside the vocabulary", self.image_token_id),
            ),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((field, _, reason)) => Err(invalid(field, reason)),
            None => Ok(()),
        }
    }
}

fn invalid(field: &'static str, reason: impl Into<String>) -> ModelError {
    ModelError::Config {
        field,
        reason: reason.into(),
    }
}
