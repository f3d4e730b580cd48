//! The sizes of the embedded picture model, and what its training is told.

use illumine_models::Qwen3Config;
use illumine_models::qwen_image::scheduler::SchedulerConfig;
use illumine_models::qwen_image::transformer::TransformerConfig;
use illumine_models::qwen25_vl::Qwen25VlConfig;
use illumine_models::qwen25_vl::config::VisionConfig;
use serde::{Deserialize, Serialize};

use super::vocabulary;
use crate::error::{Result, TrainError};
use crate::optim::AdamWOptions;

/// Side of the squares of latents that make one token.
pub const PATCH: usize = 2;
/// Side in pixels of the picture that the prompt's encoder looks at.
pub const VIEW: usize = 64;
/// Pixels along the side of one of its patches.
const VIEW_PATCH: usize = 16;
/// Pixels along the side of what one vector stands for.
pub const VECTOR: usize = 2 * VIEW_PATCH;
/// Width of an attention head.
const HEAD: usize = 32;

/// The sizes of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSizes {
    /// Width of the transformer, a multiple of 32.
    pub width: usize,
    /// Blocks of the transformer.
    pub layers: usize,
    /// Width of the prompt's encoder, a multiple of 32.
    pub text_width: usize,
    /// Layers of the prompt's encoder.
    pub text_layers: usize,
    /// Tokens of its vocabulary.
    pub vocabulary: usize,
}

impl Default for ModelSizes {
    fn default() -> Self {
        Self {
            width: 160,
            layers: 6,
            text_width: 128,
            text_layers: 2,
            vocabulary: 1024,
        }
    }
}

impl ModelSizes {
    /// The transformer for latents of `z_dim` channels.
    pub fn transformer(&self, z_dim: usize) -> TransformerConfig {
        TransformerConfig {
            in_channels: z_dim * PATCH * PATCH,
            out_channels: Some(z_dim),
            patch_size: PATCH,
            num_layers: self.layers,
            attention_head_dim: HEAD,
            num_attention_heads: self.width / HEAD,
            joint_attention_dim: self.text_width,
            axes_dims_rope: [8, 12, 12],
            ..TransformerConfig::default()
        }
    }

    /// The prompt's encoder.
    pub fn prompt_encoder(&self) -> Qwen25VlConfig {
        let heads = self.text_width / HEAD;
        Qwen25VlConfig {
            text: Qwen3Config {
                vocab_size: self.vocabulary,
                hidden_size: self.text_width,
                intermediate_size: 2 * self.text_width,
                num_hidden_layers: self.text_layers,
                num_attention_heads: heads,
                num_key_value_heads: heads,
                head_dim: HEAD,
                rope_theta: 1e4,
                rms_norm_eps: 1e-6,
                tie_word_embeddings: true,
                max_position_embeddings: 1024,
                eos_token_id: vec![vocabulary::PAD_ID],
                pad_token_id: Some(vocabulary::PAD_ID),
                ..Qwen3Config::default()
            },
            mrope_section: vec![4, 6, 6],
            vision: VisionConfig {
                depth: 1,
                hidden_size: 64,
                intermediate_size: 128,
                num_heads: 2,
                patch_size: VIEW_PATCH,
                window_size: VIEW,
                out_hidden_size: self.text_width,
                fullatt_block_indexes: vec![0],
                ..VisionConfig::default()
            },
            image_token_id: vocabulary::IMAGE_ID,
            video_token_id: vocabulary::VIDEO_ID,
        }
    }
}

/// How steps are spread over time, in training and at work: a shift of 2, since few
/// tokens hide little behind noise.
pub fn scheduler() -> SchedulerConfig {
    SchedulerConfig {
        base_shift: SHIFT.ln(),
        max_shift: SHIFT.ln(),
        shift_terminal: None,
        ..SchedulerConfig::qwen_image()
    }
}

/// `σ → s σ / (1 + (s − 1) σ)` (arXiv:2403.03206, eq. 23).
pub const SHIFT: f64 = 2.0;

/// A training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PictureTraining {
    /// The model.
    pub sizes: ModelSizes,
    /// Pictures to generate in an update.
    pub generation_batch: usize,
    /// Pictures to edit in an update.
    pub edit_batch: usize,
    /// Updates.
    pub steps: u64,
    /// At its peak.
    pub learning_rate: f64,
    /// Updates until the peak.
    pub warmup: u64,
    /// Percent of prompts that are left out, for guidance.
    pub dropped_prompts: usize,
    /// Percent of examples without a thing (of edits: that neither add nor recolour one)
    /// that give their place to another, since things are learnt last.
    pub hard_examples: usize,
    /// How much more a thing weighs than what is around it, late in drawing.
    pub focus: f64,
    /// Of the cross-entropy of what prompts ask for.
    pub attribute_weight: f64,
    /// Of the averaged weights, which are what is kept in the end.
    pub average_decay: f64,
    /// Of weights, noise, times and the order of pictures.
    pub seed: u64,
    /// Updates between checkpoints.
    pub checkpoint_every: u64,
    /// The optimizer's numbers.
    pub optimizer: AdamWOptions,
}

impl Default for PictureTraining {
    fn default() -> Self {
        Self {
            sizes: ModelSizes::default(),
            generation_batch: 32,
            edit_batch: 14,
            steps: 11_000,
            learning_rate: 6e-3,
            warmup: 150,
            dropped_prompts: 10,
            hard_examples: 50,
            focus: 3.0,
            attribute_weight: 0.02,
            average_decay: 0.998,
            seed: 1,
            checkpoint_every: 250,
            optimizer: AdamWOptions {
                muon: true,
                ..AdamWOptions::default()
            },
        }
    }
}

impl PictureTraining {
    /// Checks each value.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the first that cannot be used.
    pub fn validate(&self) -> Result<()> {
        let sizes = &self.sizes;
        let widths = [("width", sizes.width), ("text_width", sizes.text_width)];
        for (field, width) in widths {
            if width == 0 || !width.is_multiple_of(HEAD) {
                let reason = format!("{width} is no multiple of {HEAD}");
                return Err(TrainError::Config { field, reason });
            }
        }
        let positive = [
            ("layers", sizes.layers as f64),
            ("text_layers", sizes.text_layers as f64),
            ("generation_batch", self.generation_batch as f64),
            ("edit_batch", self.edit_batch as f64),
            ("learning_rate", self.learning_rate),
            ("checkpoint_every", self.checkpoint_every as f64),
        ];
        if let Some((field, value)) = positive
            .iter()
            .find(|(_, value)| value.is_nan() || *value <= 0.0)
        {
            return Err(TrainError::Config {
                field,
                reason: format!("{value} is not above 0"),
            });
        }
        let percent = [
            ("dropped_prompts", self.dropped_prompts),
            ("hard_examples", self.hard_examples),
        ];
        if let Some((field, value)) = percent.into_iter().find(|(_, value)| *value > 100) {
            let reason = format!("{value} is a percentage: 0 to 100");
            return Err(TrainError::Config { field, reason });
        }
        if sizes.vocabulary < vocabulary::LEAST {
            return Err(TrainError::Config {
                field: "vocabulary",
                reason: format!(
                    "{} is below the {} of bytes and marks",
                    sizes.vocabulary,
                    vocabulary::LEAST
                ),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_above_all_is_refused_by_its_name() {
        PictureTraining::default().validate().unwrap();
        let refused = |training: PictureTraining| training.validate().unwrap_err().to_string();
        let hard = PictureTraining {
            hard_examples: 101,
            ..PictureTraining::default()
        };
        assert!(refused(hard).contains("hard_examples"));
        let dropped = PictureTraining {
            dropped_prompts: 150,
            ..PictureTraining::default()
        };
        assert!(refused(dropped).contains("dropped_prompts"));
    }
}
