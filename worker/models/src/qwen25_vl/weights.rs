//! A checkpoint's tensors to the module's parameters.
//!
//! Released checkpoints name the parts `visual.*` and `model.*`, those of newer
//! releases of `transformers` `model.visual.*` and `model.language_model.*`
//! (`transformers/conversion_mapping.py`); the head is `lm_head` in both.

use burn::module::Param;
use burn::nn::{Embedding, RmsNorm};
use burn::tensor::{DType, Tensor, TensorData};

use super::config::Qwen25VlConfig;
use super::model::Qwen25Vl;
use super::text::TextDecoder;
use super::text::attention::TextAttention;
use super::text::decoder::TextLayer;
use super::vision::VisionTower;
use super::vision::attention::VisionAttention;
use super::vision::block::VisionBlock;
use super::vision::merger::PatchMerger;
use crate::device::Device;
use crate::error::Result;
use crate::load::{Weights, transpose};
use crate::lora::Linear;
use crate::qwen3::Qwen3Config;
use crate::qwen3::cpu::{CpuDecoder, Precision};
use crate::qwen3::mlp::Mlp;
use crate::qwen3::weights::WeightSpec;

/// What the names of the decoder's tensors begin with in newer releases.
pub(crate) const TEXT: &str = "model.language_model";

/// Of every norm of the tower, fixed in the reference.
pub(crate) const VISION_NORM_EPS: f64 = 1e-6;

/// A model on `device` with the values of `weights`, in f32.
///
/// # Errors
/// Those of [`Weights::read`], at the first tensor that is missing or has
/// another shape than `config` says.
pub fn load_qwen25_vl(
    config: &Qwen25VlConfig,
    weights: &mut Weights,
    device: &Device,
) -> Result<Qwen25Vl> {
    load_qwen25_vl_as(config, weights, device, DType::F32)
}

/// [`load_qwen25_vl`] with the weights as `dtype`, f32 or bf16.
///
/// # Errors
/// As [`load_qwen25_vl`].
pub fn load_qwen25_vl_as(
    config: &Qwen25VlConfig,
    weights: &mut Weights,
    device: &Device,
    dtype: DType,
) -> Result<Qwen25Vl> {
    let (vision, text) = names(weights);
    let mut reader = Reader {
        weights,
        device,
        dtype,
    };
    Ok(Qwen25Vl {
        visual: reader.tower(config, vision)?,
        language_model: reader.decoder(config, text)?,
        config: config.clone(),
    })
}

/// The tower on `device` in f32, and the decoder for the CPU's own code.
///
/// # Errors
/// As [`load_qwen25_vl`].
pub fn load_cpu(
    config: &Qwen25VlConfig,
    weights: &mut Weights,
    device: &Device,
    precision: Precision,
) -> Result<(VisionTower, CpuDecoder)> {
    let (vision, text) = names(weights);
    let decoder = CpuDecoder::load_qwen25_vl(weights, config, text, precision)?;
    let mut reader = Reader {
        weights,
        device,
        dtype: DType::F32,
    };
    let tower = reader.tower(config, vision)?;
    Ok((tower, decoder))
}

/// What the names of the tower's and the decoder's tensors begin with.
fn names(weights: &Weights) -> (&'static str, &'static str) {
    match weights.contains(&format!("{TEXT}.embed_tokens.weight")) {
        true => ("model.visual", TEXT),
        false => ("visual", "model"),
    }
}

/// The decoder's tensors, named behind `at` but for the head, in the order in which
/// the CPU's own code takes them.
pub(crate) fn text_specs(text: &Qwen3Config, at: &str) -> Vec<WeightSpec> {
    let (hidden, inner) = (text.hidden_size, text.intermediate_size);
    let query = text.num_attention_heads * text.head_dim;
    let key = text.num_key_value_heads * text.head_dim;
    let spec = |name: String, shape: &[usize]| WeightSpec {
        name,
        shape: shape.to_vec(),
    };
    let table = [text.vocab_size, hidden];
    let mut specs = vec![spec(format!("{at}.embed_tokens.weight"), &table)];
    for layer in 0..text.num_hidden_layers {
        let at = |part: &str| format!("{at}.layers.{layer}.{part}");
        specs.extend([
            spec(at("self_attn.q_proj.weight"), &[query, hidden]),
            spec(at("self_attn.k_proj.weight"), &[key, hidden]),
            spec(at("self_attn.v_proj.weight"), &[key, hidden]),
            spec(at("self_attn.q_proj.bias"), &[query]),
            spec(at("self_attn.k_proj.bias"), &[key]),
            spec(at("self_attn.v_proj.bias"), &[key]),
            spec(at("self_attn.o_proj.weight"), &[hidden, query]),
            spec(at("mlp.gate_proj.weight"), &[inner, hidden]),
            spec(at("mlp.up_proj.weight"), &[inner, hidden]),
            spec(at("mlp.down_proj.weight"), &[hidden, inner]),
            spec(at("input_layernorm.weight"), &[hidden]),
            spec(at("post_attention_layernorm.weight"), &[hidden]),
        ]);
    }
    specs.push(spec(format!("{at}.norm.weight"), &[hidden]));
    if !text.tie_word_embeddings {
        specs.push(spec("lm_head.weight".to_owned(), &table));
    }
    specs
}

struct Reader<'a> {
    weights: &'a mut Weights,
    device: &'a Device,
    dtype: DType,
}

impl Reader<'_> {
    fn tower(&mut self, config: &Qwen25VlConfig, at: &str) -> Result<VisionTower> {
        let vision = &config.vision;
        let (hidden, inner) = (vision.hidden_size, vision.intermediate_size);
        let mut blocks = Vec::new();
        for number in 0..vision.depth {
            let at = format!("{at}.blocks.{number}");
            blocks.push(VisionBlock {
                norm1: self.norm(&format!("{at}.norm1"), hidden, VISION_NORM_EPS)?,
                attn: VisionAttention {
                    qkv: self.biased(&format!("{at}.attn.qkv"), hidden, 3 * hidden)?,
                    proj: self.biased(&format!("{at}.attn.proj"), hidden, hidden)?,
                    num_heads: vision.num_heads,
                },
                norm2: self.norm(&format!("{at}.norm2"), hidden, VISION_NORM_EPS)?,
                mlp: Mlp {
                    gate_proj: self.biased(&format!("{at}.mlp.gate_proj"), hidden, inner)?,
                    up_proj: self.biased(&format!("{at}.mlp.up_proj"), hidden, inner)?,
                    down_proj: self.biased(&format!("{at}.mlp.down_proj"), inner, hidden)?,
                },
                full_attention: vision.fullatt_block_indexes.contains(&number),
            });
        }
        let square = hidden * vision.spatial_merge_size * vision.spatial_merge_size;
        Ok(VisionTower {
            patch_embed: self.patch_embed(config, at)?,
            blocks,
            merger: PatchMerger {
                ln_q: self.norm(&format!("{at}.merger.ln_q"), hidden, VISION_NORM_EPS)?,
                up: self.biased(&format!("{at}.merger.mlp.0"), square, square)?,
                down: self.biased(
                    &format!("{at}.merger.mlp.2"),
                    square,
                    vision.out_hidden_size,
                )?,
            },
            merge: vision.spatial_merge_size,
            window: vision.window_squares(),
            rope_theta: vision.rope_theta(),
        })
    }

    /// The kernels of the convolution, flattened: `[patch width, hidden]`.
    fn patch_embed(&mut self, config: &Qwen25VlConfig, at: &str) -> Result<Linear> {
        let vision = &config.vision;
        let shape = [
            vision.hidden_size,
            vision.in_channels,
            vision.temporal_patch_size,
            vision.patch_size,
            vision.patch_size,
        ];
        let kernels = self
            .weights
            .read(&format!("{at}.patch_embed.proj.weight"), &shape)?;
        let weight = self.matrix(&kernels, vision.hidden_size, vision.patch_width());
        Ok(Linear::new(weight, None))
    }

    fn decoder(&mut self, config: &Qwen25VlConfig, at: &str) -> Result<TextDecoder> {
        let text = &config.text;
        let (hidden, inner, eps) = (text.hidden_size, text.intermediate_size, text.rms_norm_eps);
        let query = text.num_attention_heads * text.head_dim;
        let key = text.num_key_value_heads * text.head_dim;
        let table = [text.vocab_size, hidden];
        let embedding = self
            .weights
            .read(&format!("{at}.embed_tokens.weight"), &table)?;
        let mut layers = Vec::new();
        for number in 0..text.num_hidden_layers {
            let at = format!("{at}.layers.{number}");
            let attention = format!("{at}.self_attn");
            layers.push(TextLayer {
                input_layernorm: self.norm(&format!("{at}.input_layernorm"), hidden, eps)?,
                self_attn: TextAttention {
                    q_proj: self.biased(&format!("{attention}.q_proj"), hidden, query)?,
                    k_proj: self.biased(&format!("{attention}.k_proj"), hidden, key)?,
                    v_proj: self.biased(&format!("{attention}.v_proj"), hidden, key)?,
                    o_proj: self.plain(&format!("{attention}.o_proj"), query, hidden)?,
                    head_dim: text.head_dim,
                },
                post_attention_layernorm: self.norm(
                    &format!("{at}.post_attention_layernorm"),
                    hidden,
                    eps,
                )?,
                mlp: Mlp {
                    gate_proj: self.plain(&format!("{at}.mlp.gate_proj"), hidden, inner)?,
                    up_proj: self.plain(&format!("{at}.mlp.up_proj"), hidden, inner)?,
                    down_proj: self.plain(&format!("{at}.mlp.down_proj"), inner, hidden)?,
                },
            });
        }
        Ok(TextDecoder {
            embed_tokens: Embedding {
                weight: self.parameter(embedding, table),
            },
            layers,
            norm: self.norm(&format!("{at}.norm"), hidden, eps)?,
            lm_head: match text.tie_word_embeddings {
                true => None,
                false => Some(self.plain("lm_head", hidden, text.vocab_size)?),
            },
        })
    }

    /// A projection `[out, in]` of the file, without bias.
    fn plain(&mut self, name: &str, input: usize, output: usize) -> Result<Linear> {
        let values = self
            .weights
            .read(&format!("{name}.weight"), &[output, input])?;
        Ok(Linear::new(self.matrix(&values, output, input), None))
    }

    fn biased(&mut self, name: &str, input: usize, output: usize) -> Result<Linear> {
        let linear = self.plain(name, input, output)?;
        let bias = self.weights.read(&format!("{name}.bias"), &[output])?;
        Ok(Linear {
            bias: Some(self.parameter(bias, [output])),
            ..linear
        })
    }

    fn norm(&mut self, name: &str, width: usize, epsilon: f64) -> Result<RmsNorm> {
        let scale = self.weights.read(&format!("{name}.weight"), &[width])?;
        Ok(RmsNorm {
            gamma: self.parameter(scale, [width]),
            epsilon,
        })
    }

    /// `[rows, columns]` of the file, transposed to what a product reads.
    fn matrix(&self, values: &[f32], rows: usize, columns: usize) -> Param<Tensor<2>> {
        self.parameter(transpose(values, rows, columns), [columns, rows])
    }

    fn parameter<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Param<Tensor<D>> {
        Param::from_tensor(Tensor::from_data(
            TensorData::new(values, shape),
            (self.device, self.dtype),
        ))
    }
}
