//! A fresh model to be trained, and a trained one as a folder.
//!
//! `config.json` and `model.safetensors` under the names of the released checkpoints;
//! projections are `[out, in]` in the file and `[in, out]` here.

use std::path::Path;

use burn::nn::{Embedding, EmbeddingConfig, Initializer, LinearConfig, RmsNorm, RmsNormConfig};
use burn::tensor::Device;
use serde_json::json;

use super::config::Qwen25VlConfig;
use super::model::Qwen25Vl;
use super::text::TextDecoder;
use super::text::attention::TextAttention;
use super::text::decoder::TextLayer;
use super::vision::VisionTower;
use super::vision::attention::VisionAttention;
use super::vision::block::VisionBlock;
use super::vision::merger::PatchMerger;
use super::weights::VISION_NORM_EPS;
use crate::device::read_f32;
use crate::error::{ModelError, Result};
use crate::load::transpose;
use crate::lora::Linear;
use crate::qwen3::mlp::Mlp;
use crate::save::{StoredTensor, WeightType, save_tensors, write_json};

/// Spread of fresh embeddings (`initializer_range` of the reference).
const EMBEDDING_DEVIATION: f64 = 0.02;

/// A part that holds weights, with its sizes.
enum Part<'a> {
    /// `[in, out]`; the file's tensor may have more axes.
    Linear(&'a Linear, Option<Vec<usize>>),
    Norm(&'a RmsNorm),
    Embedding(&'a Embedding),
}

impl Qwen25Vl {
    /// Fresh weights on `device` (an autodiff device for training).
    pub fn init(config: &Qwen25VlConfig, device: &Device) -> Self {
        let (text, vision) = (&config.text, &config.vision);
        let linear = |input, output, bias| -> Linear {
            let config = LinearConfig::new(input, output).with_bias(bias);
            config.init(device).into()
        };
        let norm = |width, epsilon| {
            let config = RmsNormConfig::new(width).with_epsilon(epsilon);
            config.init(device)
        };
        let mlp = |hidden, inner, bias| Mlp {
            gate_proj: linear(hidden, inner, bias),
            up_proj: linear(hidden, inner, bias),
            down_proj: linear(inner, hidden, bias),
        };
        let (hidden, width) = (text.hidden_size, vision.hidden_size);
        let heads = |heads: usize| heads * text.head_dim;
        let layers = (0..text.num_hidden_layers).map(|_| TextLayer {
            input_layernorm: norm(hidden, text.rms_norm_eps),
            self_attn: TextAttention {
                q_proj: linear(hidden, heads(text.num_attention_heads), true),
                k_proj: linear(hidden, heads(text.num_key_value_heads), true),
                v_proj: linear(hidden, heads(text.num_key_value_heads), true),
                o_proj: linear(heads(text.num_attention_heads), hidden, false),
                head_dim: text.head_dim,
            },
            post_attention_layernorm: norm(hidden, text.rms_norm_eps),
            mlp: mlp(hidden, text.intermediate_size, false),
        });
        let blocks = (0..vision.depth).map(|number| VisionBlock {
            norm1: norm(width, VISION_NORM_EPS),
            attn: VisionAttention {
                qkv: linear(width, 3 * width, true),
                proj: linear(width, width, true),
                num_heads: vision.num_heads,
            },
            norm2: norm(width, VISION_NORM_EPS),
            mlp: mlp(width, vision.intermediate_size, true),
            full_attention: vision.fullatt_block_indexes.contains(&number),
        });
        let square = width * vision.spatial_merge_size * vision.spatial_merge_size;
        let spread = Initializer::Normal {
            mean: 0.0,
            std: EMBEDDING_DEVIATION,
        };
        Self {
            visual: VisionTower {
                patch_embed: linear(vision.patch_width(), width, false),
                blocks: blocks.collect(),
                merger: PatchMerger {
                    ln_q: norm(width, VISION_NORM_EPS),
                    up: linear(square, square, true),
                    down: linear(square, vision.out_hidden_size, true),
                },
                merge: vision.spatial_merge_size,
                window: vision.window_squares(),
                rope_theta: vision.rope_theta(),
            },
            language_model: TextDecoder {
                embed_tokens: EmbeddingConfig::new(text.vocab_size, hidden)
                    .with_initializer(spread)
                    .init(device),
                layers: layers.collect(),
                norm: norm(hidden, text.rms_norm_eps),
                lm_head: (!text.tie_word_embeddings)
                    .then(|| linear(hidden, text.vocab_size, false)),
            },
            config: config.clone(),
        }
    }

    /// Writes `config.json` and the weights into `dir`, which is made when it does
    /// not exist; `transformers` loads the folder as it is. Adapters are not written.
    ///
    /// # Errors
    /// [`ModelError::Io`], and [`ModelError::Device`] when the weights cannot be read
    /// back.
    pub fn save(&self, dir: &Path, weight_type: WeightType) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|source| ModelError::io(dir, source))?;
        let mut tensors = Vec::new();
        let mut store = |name: String, shape: &[usize], values: &[f32]| {
            tensors.push(StoredTensor::new(name, shape, values, weight_type));
        };
        for (name, part) in self.parts() {
            let weight = format!("{name}.weight");
            match part {
                Part::Linear(linear, shape) => {
                    let [input, output] = linear.weight.dims();
                    let values = transpose(&read_f32(linear.weight.val())?, input, output);
                    store(
                        weight,
                        &shape.unwrap_or_else(|| vec![output, input]),
                        &values,
                    );
                    if let Some(bias) = &linear.bias {
                        store(format!("{name}.bias"), &[output], &read_f32(bias.val())?);
                    }
                }
                Part::Norm(norm) => {
                    store(weight, &norm.gamma.dims(), &read_f32(norm.gamma.val())?);
                }
                Part::Embedding(table) => {
                    store(weight, &table.weight.dims(), &read_f32(table.weight.val())?);
                }
            }
        }
        save_tensors(&dir.join("model.safetensors"), &tensors, weight_type)?;
        let dtype = match weight_type {
            WeightType::F32 => "float32",
            WeightType::Bf16 => "bfloat16",
        };
        write_json(&dir.join("config.json"), &self.config.to_json(dtype))
    }

    fn parts(&self) -> Vec<(String, Part<'_>)> {
        let plain = |name: String, linear| (name, Part::Linear(linear, None));
        let norm = |name: String, norm| (name, Part::Norm(norm));
        let (visual, text) = (&self.visual, &self.language_model);
        let vision = &self.config.vision;
        let kernel = vec![
            vision.hidden_size,
            vision.in_channels,
            vision.temporal_patch_size,
            vision.patch_size,
            vision.patch_size,
        ];
        let mut parts = vec![(
            "visual.patch_embed.proj".to_owned(),
            Part::Linear(&visual.patch_embed, Some(kernel)),
        )];
        for (number, block) in visual.blocks.iter().enumerate() {
            let at = |part: &str| format!("visual.blocks.{number}.{part}");
            parts.extend([
                norm(at("norm1"), &block.norm1),
                plain(at("attn.qkv"), &block.attn.qkv),
                plain(at("attn.proj"), &block.attn.proj),
                norm(at("norm2"), &block.norm2),
                plain(at("mlp.gate_proj"), &block.mlp.gate_proj),
                plain(at("mlp.up_proj"), &block.mlp.up_proj),
                plain(at("mlp.down_proj"), &block.mlp.down_proj),
            ]);
        }
        let merger = &visual.merger;
        parts.extend([
            norm("visual.merger.ln_q".to_owned(), &merger.ln_q),
            plain("visual.merger.mlp.0".to_owned(), &merger.up),
            plain("visual.merger.mlp.2".to_owned(), &merger.down),
            (
                "model.embed_tokens".to_owned(),
                Part::Embedding(&text.embed_tokens),
            ),
        ]);
        for (number, layer) in text.layers.iter().enumerate() {
            let at = |part: &str| format!("model.layers.{number}.{part}");
            parts.extend([
                norm(at("input_layernorm"), &layer.input_layernorm),
                plain(at("self_attn.q_proj"), &layer.self_attn.q_proj),
                plain(at("self_attn.k_proj"), &layer.self_attn.k_proj),
                plain(at("self_attn.v_proj"), &layer.self_attn.v_proj),
                plain(at("self_attn.o_proj"), &layer.self_attn.o_proj),
                norm(
                    at("post_attention_layernorm"),
                    &layer.post_attention_layernorm,
                ),
                plain(at("mlp.gate_proj"), &layer.mlp.gate_proj),
                plain(at("mlp.up_proj"), &layer.mlp.up_proj),
                plain(at("mlp.down_proj"), &layer.mlp.down_proj),
            ]);
        }
        parts.push(norm("model.norm".to_owned(), &text.norm));
        if let Some(head) = &text.lm_head {
            parts.push(plain("lm_head".to_owned(), head));
        }
        parts
    }
}

impl Qwen25VlConfig {
    /// In the layout of the released checkpoints, the decoder's fields at the top.
    fn to_json(&self, dtype: &str) -> serde_json::Value {
        let (text, vision) = (&self.text, &self.vision);
        json!({
            "architectures": ["Qwen2_5_VLForConditionalGeneration"],
            "model_type": "qwen2_5_vl",
            "dtype": dtype,
            "torch_dtype": dtype,
            "vocab_size": text.vocab_size,
            "hidden_size": text.hidden_size,
            "intermediate_size": text.intermediate_size,
            "num_hidden_layers": text.num_hidden_layers,
            "num_attention_heads": text.num_attention_heads,
            "num_key_value_heads": text.num_key_value_heads,
            "rms_norm_eps": text.rms_norm_eps,
            "rope_theta": text.rope_theta,
            "rope_scaling": {"type": "mrope", "mrope_section": self.mrope_section},
            "tie_word_embeddings": text.tie_word_embeddings,
            "max_position_embeddings": text.max_position_embeddings,
            "hidden_act": "silu",
            "use_sliding_window": false,
            "eos_token_id": text.eos_token_id,
            "pad_token_id": text.pad_token_id,
            "image_token_id": self.image_token_id,
            "video_token_id": self.video_token_id,
            "vision_config": {
                "model_type": "qwen2_5_vl",
                "depth": vision.depth,
                "hidden_size": vision.hidden_size,
                "intermediate_size": vision.intermediate_size,
                "num_heads": vision.num_heads,
                "in_channels": vision.in_channels,
                "patch_size": vision.patch_size,
                "temporal_patch_size": vision.temporal_patch_size,
                "spatial_merge_size": vision.spatial_merge_size,
                "spatial_patch_size": vision.patch_size,
                "window_size": vision.window_size,
                "out_hidden_size": vision.out_hidden_size,
                "fullatt_block_indexes": vision.fullatt_block_indexes,
                "hidden_act": "silu",
                "rope_parameters": {"rope_theta": vision.rope_theta()},
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::VisionConfig;
    use super::super::model::Inputs;
    use super::super::processor::{Grid, Patches};
    use super::*;
    use crate::load::ModelFolder;
    use crate::qwen3::Qwen3Config;

    #[test]
    fn a_saved_model_is_loaded_as_it_was() {
        let config = Qwen25VlConfig {
            text: Qwen3Config {
                vocab_size: 40,
                hidden_size: 16,
                intermediate_size: 24,
                num_hidden_layers: 2,
                num_attention_heads: 2,
                num_key_value_heads: 1,
                head_dim: 8,
                rope_theta: 1e4,
                tie_word_embeddings: true,
                ..Qwen3Config::default()
            },
            mrope_section: vec![2, 1, 1],
            vision: VisionConfig {
                depth: 2,
                hidden_size: 8,
                intermediate_size: 12,
                num_heads: 2,
                patch_size: 4,
                window_size: 8,
                out_hidden_size: 16,
                fullatt_block_indexes: vec![1],
                ..VisionConfig::default()
            },
            image_token_id: 3,
            video_token_id: 4,
        };
        let device = Device::flex();
        let model = Qwen25Vl::init(&config, &device);
        let dir = tempfile::tempdir().unwrap();
        model.save(dir.path(), WeightType::F32).unwrap();
        let folder = ModelFolder::open(dir.path()).unwrap();
        let loaded = folder.load_vision_model(&device).unwrap();

        let grid = Grid { t: 1, h: 2, w: 4 };
        let count = 8 * config.vision.patch_width();
        let inputs = Inputs {
            input_ids: vec![7, 3, 3, 9],
            attention_mask: vec![1; 4],
            tokens: 4,
            patches: Patches {
                pixel_values: (0..count).map(|n| (n as f32 * 0.37).sin()).collect(),
                image_grid_thw: vec![grid],
            },
        };
        let run = |model: &Qwen25Vl| read_f32(model.hidden_states(&inputs, &device).unwrap());
        assert_eq!(run(&model).unwrap(), run(&loaded).unwrap());
        assert_eq!(loaded.num_parameters(), model.num_parameters());
    }
}
