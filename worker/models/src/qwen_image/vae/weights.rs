//! Parameters by the names of a Diffusers folder, to load and to save them.
//!
//! In the reference a kernel also spans three frames of a film. Before the first
//! frame there are zeros, so that of a single picture only the last frame of each
//! kernel counts, and the convolutions over time alone (`time_conv`) are never used:
//! what is loaded is that frame, and what is saved has zeros in the others.

use std::path::Path;

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::config::VaeConfig;
use super::encoder::{DownBlock, Halving};
use super::layers::{Attention, Conv, Middle, PixelNorm, Residual};
use super::model::QwenImageVae;
use crate::device::read_f32;
use crate::error::{ModelError, Result};
use crate::load::Weights;
use crate::qwen_image::transformer::weights::STEM;
use crate::save::{StoredTensor, WeightType, save_tensors, write_json};

/// A part of the model that holds weights, or that a folder has beside them.
#[derive(Debug)]
enum Part<'a> {
    /// A kernel over this many frames, rows and columns.
    Film(&'a mut Conv, usize),
    /// A kernel over rows and columns.
    Flat(&'a mut Conv),
    /// A scale, with this many axes in all.
    Scale(&'a mut PixelNorm, usize),
    /// `time_conv`: channels out and in.
    Time(usize, usize),
}

type Parts<'a> = Vec<(String, Part<'a>)>;

impl QwenImageVae {
    /// Loads the folder `dir` onto `device`, tensor by tensor, as `dtype` (f32 or
    /// bf16; give an autodiff device to train).
    ///
    /// # Errors
    /// Those of [`VaeConfig::read`] and of reading weights, at the first tensor that is
    /// missing or has another shape than the configuration says.
    pub fn load(dir: &Path, device: &Device, dtype: DType) -> Result<Self> {
        let config = VaeConfig::read(dir)?;
        let mut weights = Weights::open_named(dir, STEM)?;
        // Parameters are made when first used: none is, before it is replaced.
        let mut model = Self::init(config, device)?;
        for (name, part) in model.named_parts() {
            match part {
                Part::Time(..) => {}
                Part::Scale(norm, axes) => {
                    let [width] = norm.gamma.dims();
                    let mut shape = vec![1; axes];
                    shape[0] = width;
                    let values = weights.read(&format!("{name}.gamma"), &shape)?;
                    let data = TensorData::new(values, [width]);
                    norm.gamma = Param::from_tensor(Tensor::from_data(data, (device, dtype)));
                }
                Part::Film(conv, frames) => {
                    load_conv(conv, &name, Some(frames), &mut weights, (device, dtype))?;
                }
                Part::Flat(conv) => {
                    load_conv(conv, &name, None, &mut weights, (device, dtype))?;
                }
            }
        }
        Ok(model)
    }

    /// Writes `config.json` and the weights into `dir`, which is made when it does not
    /// exist; `diffusers` loads the folder as it is.
    ///
    /// # Errors
    /// [`ModelError::Io`], and [`ModelError::Device`] when the weights cannot be read
    /// back.
    pub fn save(&self, dir: &Path, weight_type: WeightType) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|source| ModelError::io(dir, source))?;
        // Cheap: the copy shares the weights.
        let mut model = self.clone();
        let mut tensors = Vec::new();
        let mut store = |name: String, shape: &[usize], values: &[f32]| {
            tensors.push(StoredTensor::new(name, shape, values, weight_type));
        };
        for (name, part) in model.named_parts() {
            match part {
                Part::Time(output, input) => {
                    let zeros = vec![0.0; output * input * 3];
                    store(format!("{name}.weight"), &[output, input, 3, 1, 1], &zeros);
                    store(format!("{name}.bias"), &[output], &zeros[..output]);
                }
                Part::Scale(norm, axes) => {
                    let values = read_f32(norm.gamma.val())?;
                    let mut shape = vec![1; axes];
                    shape[0] = values.len();
                    store(format!("{name}.gamma"), &shape, &values);
                }
                Part::Film(conv, frames) => {
                    let ([side, _, input, output], values) = kernel(conv)?;
                    let square = side * side;
                    let mut film = vec![0.0; values.len() * frames];
                    let kernels = film.chunks_exact_mut(frames * square);
                    for (film, values) in kernels.zip(values.chunks_exact(square)) {
                        film[(frames - 1) * square..].copy_from_slice(values);
                    }
                    let shape = [output, input, frames, side, side];
                    store(format!("{name}.weight"), &shape, &film);
                    let bias = read_f32(conv.bias.val())?;
                    store(format!("{name}.bias"), &[output], &bias);
                }
                Part::Flat(conv) => {
                    let ([side, _, input, output], values) = kernel(conv)?;
                    let shape = [output, input, side, side];
                    store(format!("{name}.weight"), &shape, &values);
                    let bias = read_f32(conv.bias.val())?;
                    store(format!("{name}.bias"), &[output], &bias);
                }
            }
        }
        let path = dir.join(format!("{STEM}.safetensors"));
        save_tensors(&path, &tensors, weight_type)?;
        write_json(&dir.join("config.json"), &self.config)
    }

    /// All parts by their names in the reference.
    fn named_parts(&mut self) -> Parts<'_> {
        let film = |name: &str, conv| (name.to_owned(), Part::Film(conv, 3));
        let mut parts: Parts<'_> = Vec::new();
        let encoder = &mut self.parts.encoder;
        parts.push(film("encoder.conv_in", &mut encoder.conv_in));
        for (number, block) in encoder.down_blocks.iter_mut().enumerate() {
            let at = format!("encoder.down_blocks.{number}");
            match block {
                DownBlock::Residual(block) => residual(&mut parts, &at, block),
                DownBlock::Halve(Halving { conv, time }) => {
                    let width = conv.bias.dims()[0];
                    if *time {
                        parts.push((format!("{at}.time_conv"), Part::Time(width, width)));
                    }
                    parts.push((format!("{at}.resample.1"), Part::Flat(conv)));
                }
            }
        }
        middle(&mut parts, "encoder.mid_block", &mut encoder.mid_block);
        let norm = Part::Scale(&mut encoder.norm_out, 4);
        parts.push(("encoder.norm_out".to_owned(), norm));
        parts.push(film("encoder.conv_out", &mut encoder.conv_out));
        for (name, conv) in [
            ("quant_conv", &mut self.parts.quant_conv),
            ("post_quant_conv", &mut self.parts.post_quant_conv),
        ] {
            parts.push((name.to_owned(), Part::Film(conv, 1)));
        }
        let decoder = &mut self.parts.decoder;
        parts.push(film("decoder.conv_in", &mut decoder.conv_in));
        middle(&mut parts, "decoder.mid_block", &mut decoder.mid_block);
        for (number, block) in decoder.up_blocks.iter_mut().enumerate() {
            let at = format!("decoder.up_blocks.{number}");
            for (number, resnet) in block.resnets.iter_mut().enumerate() {
                residual(&mut parts, &format!("{at}.resnets.{number}"), resnet);
            }
            if let Some(conv) = &mut block.upsample {
                let at = format!("{at}.upsamplers.0");
                let width = 2 * conv.bias.dims()[0];
                if block.time {
                    parts.push((format!("{at}.time_conv"), Part::Time(2 * width, width)));
                }
                parts.push((format!("{at}.resample.1"), Part::Flat(conv)));
            }
        }
        let norm = Part::Scale(&mut decoder.norm_out, 4);
        parts.push(("decoder.norm_out".to_owned(), norm));
        parts.push(film("decoder.conv_out", &mut decoder.conv_out));
        parts
    }
}

fn residual<'a>(parts: &mut Parts<'a>, at: &str, block: &'a mut Residual) {
    parts.extend([
        (format!("{at}.norm1"), Part::Scale(&mut block.norm1, 4)),
        (format!("{at}.conv1"), Part::Film(&mut block.conv1, 3)),
        (format!("{at}.norm2"), Part::Scale(&mut block.norm2, 4)),
        (format!("{at}.conv2"), Part::Film(&mut block.conv2, 3)),
    ]);
    if let Some(conv) = &mut block.conv_shortcut {
        parts.push((format!("{at}.conv_shortcut"), Part::Film(conv, 1)));
    }
}

fn attention<'a>(parts: &mut Parts<'a>, at: &str, block: &'a mut Attention) {
    parts.extend([
        (format!("{at}.norm"), Part::Scale(&mut block.norm, 3)),
        (format!("{at}.to_qkv"), Part::Flat(&mut block.to_qkv)),
        (format!("{at}.proj"), Part::Flat(&mut block.proj)),
    ]);
}

fn middle<'a>(parts: &mut Parts<'a>, at: &str, block: &'a mut Middle) {
    residual(parts, &format!("{at}.resnets.0"), &mut block.first);
    attention(parts, &format!("{at}.attentions.0"), &mut block.attention);
    residual(parts, &format!("{at}.resnets.1"), &mut block.second);
}

/// Reads kernel and bias; of a kernel over `frames` its last one.
fn load_conv(
    conv: &mut Conv,
    name: &str,
    frames: Option<usize>,
    weights: &mut Weights,
    options: (&Device, DType),
) -> Result<()> {
    let [side, _, input, output] = conv.weight.dims();
    let square = side * side;
    let mut shape = vec![output, input];
    shape.extend(frames);
    shape.extend([side, side]);
    let values = weights.read(&format!("{name}.weight"), &shape)?;
    let frames = frames.unwrap_or(1);
    let mut turned = vec![0.0; square * input * output];
    for (number, film) in values.chunks_exact(frames * square).enumerate() {
        let (o, i) = (number / input, number % input);
        for (tap, value) in film[(frames - 1) * square..].iter().enumerate() {
            turned[(tap * input + i) * output + o] = *value;
        }
    }
    let data = TensorData::new(turned, [side, side, input, output]);
    conv.weight = Param::from_tensor(Tensor::from_data(data, options));
    let bias = weights.read(&format!("{name}.bias"), &[output])?;
    let data = TensorData::new(bias, [output]);
    conv.bias = Param::from_tensor(Tensor::from_data(data, options));
    Ok(())
}

/// A kernel's sizes and its values as `[out, in, side, side]`.
fn kernel(conv: &Conv) -> Result<([usize; 4], Vec<f32>)> {
    let shape = conv.weight.dims();
    let values = read_f32(conv.weight.val().permute([3, 2, 0, 1]))?;
    Ok((shape, values))
}
