//! Parameters by the names of a Diffusers folder, to load and to save them.
//!
//! `config.json` and `diffusion_pytorch_model.safetensors`, or its shards with
//! `diffusion_pytorch_model.safetensors.index.json`. Projections are `[out, in]`
//! in the file and `[in, out]` here.

use std::path::Path;

use burn::module::Param;
use burn::nn::RmsNorm;
use burn::tensor::{DType, Tensor, TensorData};

use super::block::FeedForward;
use super::config::TransformerConfig;
use super::model::QwenImageTransformer;
use crate::device::{Device, read_f32};
use crate::error::{ModelError, Result};
use crate::load::{Weights, transpose};
use crate::lora::Linear;
use crate::save::{StoredTensor, WeightType, save_tensors, write_json};

/// The files' name before `.safetensors`.
pub const STEM: &str = "diffusion_pytorch_model";

/// A part of the model that holds weights.
#[derive(Debug)]
pub enum Part<'a> {
    /// A projection with its bias, of widths `[in, out]`.
    Linear(&'a mut Linear, [usize; 2]),
    /// A norm of a width.
    Norm(&'a mut RmsNorm, usize),
}

impl QwenImageTransformer {
    /// Loads the folder `dir` onto `device`, tensor by tensor, as `dtype` (f32 or
    /// bf16; give an autodiff device to train).
    ///
    /// # Errors
    /// Those of [`TransformerConfig::read`] and of reading weights, at the first
    /// tensor that is missing or has another shape than the configuration says.
    pub fn load(dir: &Path, device: &Device, dtype: DType) -> Result<Self> {
        let config = TransformerConfig::read(dir)?;
        let mut weights = Weights::open_named(dir, STEM)?;
        // Parameters are made when first used: none is, before it is replaced.
        let mut model = Self::init(&config, device);
        let parameter = |name: &str, shape: &[usize], weights: &mut Weights| {
            weights
                .read(name, shape)
                .map(|values| (values, (device, dtype)))
        };
        for (name, part) in model.parts() {
            let weight = format!("{name}.weight");
            match part {
                Part::Linear(linear, [input, output]) => {
                    let (values, options) = parameter(&weight, &[output, input], &mut weights)?;
                    let values = transpose(&values, output, input);
                    let data = TensorData::new(values, [input, output]);
                    linear.weight = Param::from_tensor(Tensor::from_data(data, options));
                    let bias = format!("{name}.bias");
                    let (values, options) = parameter(&bias, &[output], &mut weights)?;
                    let data = TensorData::new(values, [output]);
                    linear.bias = Some(Param::from_tensor(Tensor::from_data(data, options)));
                }
                Part::Norm(norm, width) => {
                    let (values, options) = parameter(&weight, &[width], &mut weights)?;
                    let data = TensorData::new(values, [width]);
                    norm.gamma = Param::from_tensor(Tensor::from_data(data, options));
                }
            }
        }
        Ok(model)
    }

    /// Writes `config.json` and the weights into `dir`, which is made when it does
    /// not exist; `diffusers` loads the folder as it is. Adapters are not written.
    ///
    /// # Errors
    /// [`ModelError::Io`], and [`ModelError::Device`] when the weights cannot be
    /// read back.
    pub fn save(&self, dir: &Path, weight_type: WeightType) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|source| ModelError::io(dir, source))?;
        // Cheap: the copy shares the weights.
        let mut model = self.clone();
        let mut tensors = Vec::new();
        for (name, part) in model.parts() {
            let weight = format!("{name}.weight");
            match part {
                Part::Linear(linear, [input, output]) => {
                    let values = transpose(&read_f32(linear.weight.val())?, input, output);
                    tensors.push(StoredTensor::new(
                        weight,
                        &[output, input],
                        &values,
                        weight_type,
                    ));
                    if let Some(bias) = &linear.bias {
                        let (name, values) = (format!("{name}.bias"), read_f32(bias.val())?);
                        tensors.push(StoredTensor::new(name, &[output], &values, weight_type));
                    }
                }
                Part::Norm(norm, width) => {
                    let values = read_f32(norm.gamma.val())?;
                    tensors.push(StoredTensor::new(weight, &[width], &values, weight_type));
                }
            }
        }
        let path = dir.join(format!("{STEM}.safetensors"));
        save_tensors(&path, &tensors, weight_type)?;
        write_json(&dir.join("config.json"), &self.config)
    }

    /// All parts by their names in the reference, in the model's order.
    pub fn parts(&mut self) -> Vec<(String, Part<'_>)> {
        let config = &self.config;
        let (inner, head) = (config.inner_dim(), config.attention_head_dim);
        let (channels, joint) = (config.in_channels, config.joint_attention_dim);
        let out_width = config.out_width();
        let embedder = &mut self.time_text_embed.timestep_embedder;
        let time = "time_text_embed.timestep_embedder";
        let linear =
            |name: String, linear, input, output| (name, Part::Linear(linear, [input, output]));
        let mut parts = vec![
            linear(
                format!("{time}.linear_1"),
                &mut embedder.linear_1,
                super::config::TIMESTEP_CHANNELS,
                inner,
            ),
            linear(
                format!("{time}.linear_2"),
                &mut embedder.linear_2,
                inner,
                inner,
            ),
            ("txt_norm".to_owned(), Part::Norm(&mut self.txt_norm, joint)),
            linear("img_in".to_owned(), &mut self.img_in, channels, inner),
            linear("txt_in".to_owned(), &mut self.txt_in, joint, inner),
        ];
        for (number, block) in self.transformer_blocks.iter_mut().enumerate() {
            let at = |part: &str| format!("transformer_blocks.{number}.{part}");
            let attn = &mut block.attn;
            parts.extend([
                linear(at("img_mod.1"), &mut block.img_mod, inner, 6 * inner),
                linear(at("txt_mod.1"), &mut block.txt_mod, inner, 6 * inner),
                linear(at("attn.to_q"), &mut attn.to_q, inner, inner),
                linear(at("attn.to_k"), &mut attn.to_k, inner, inner),
                linear(at("attn.to_v"), &mut attn.to_v, inner, inner),
                linear(at("attn.add_q_proj"), &mut attn.add_q_proj, inner, inner),
                linear(at("attn.add_k_proj"), &mut attn.add_k_proj, inner, inner),
                linear(at("attn.add_v_proj"), &mut attn.add_v_proj, inner, inner),
                linear(at("attn.to_out.0"), &mut attn.to_out, inner, inner),
                linear(at("attn.to_add_out"), &mut attn.to_add_out, inner, inner),
                (at("attn.norm_q"), Part::Norm(&mut attn.norm_q, head)),
                (at("attn.norm_k"), Part::Norm(&mut attn.norm_k, head)),
                (
                    at("attn.norm_added_q"),
                    Part::Norm(&mut attn.norm_added_q, head),
                ),
                (
                    at("attn.norm_added_k"),
                    Part::Norm(&mut attn.norm_added_k, head),
                ),
            ]);
            for (name, mlp) in [
                ("img_mlp", &mut block.img_mlp),
                ("txt_mlp", &mut block.txt_mlp),
            ] {
                let FeedForward { up, down } = mlp;
                parts.push(linear(
                    at(&format!("{name}.net.0.proj")),
                    up,
                    inner,
                    4 * inner,
                ));
                parts.push(linear(at(&format!("{name}.net.2")), down, 4 * inner, inner));
            }
        }
        parts.extend([
            linear(
                "norm_out.linear".to_owned(),
                &mut self.norm_out.linear,
                inner,
                2 * inner,
            ),
            linear("proj_out".to_owned(), &mut self.proj_out, inner, out_width),
        ]);
        parts
    }
}
