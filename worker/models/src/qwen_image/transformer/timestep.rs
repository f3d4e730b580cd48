//! A timestep as a vector. Follows `QwenTimestepProjEmbeddings`.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::tensor::{DType, Tensor, TensorData, activation::silu};

use super::config::TIMESTEP_CHANNELS;
use crate::device::Device;
use crate::lora::Linear;

/// The longest wavelength, `max_period` of the reference.
const MAX_PERIOD: f64 = 10_000.0;
/// The transformer is given times in 0..1 and embeds them in 0..1000.
const SCALE: f32 = 1000.0;

/// Two projections with SiLU between them.
#[derive(Module, Debug)]
pub struct TimestepEmbedding {
    /// `[256, inner]`
    pub linear_1: Linear,
    /// `[inner, inner]`
    pub linear_2: Linear,
}

/// As nested in the reference.
#[derive(Module, Debug)]
pub struct TimestepProjEmbeddings {
    /// The projections.
    pub timestep_embedder: TimestepEmbedding,
}

impl TimestepProjEmbeddings {
    /// Fresh weights.
    pub fn init(inner: usize, device: &Device) -> Self {
        Self {
            timestep_embedder: TimestepEmbedding {
                linear_1: LinearConfig::new(TIMESTEP_CHANNELS, inner)
                    .init(device)
                    .into(),
                linear_2: LinearConfig::new(inner, inner).init(device).into(),
            },
        }
    }

    /// Times `[batch]` in 0..1 → `[batch, inner]` in `dtype`.
    pub fn forward(&self, timestep: Tensor<1>, dtype: DType) -> Tensor<2> {
        let embedder = &self.timestep_embedder;
        let x = embedder.linear_1.forward(sinusoids(timestep).cast(dtype));
        embedder.linear_2.forward(silu(x))
    }
}

/// Cosines, then sines, of the times at 128 wavelengths: `[batch, 256]` in f32
/// (arXiv:1706.03762, §3.5, with the cosines first).
fn sinusoids(timestep: Tensor<1>) -> Tensor<2> {
    let half = TIMESTEP_CHANNELS / 2;
    let step = -(MAX_PERIOD.ln() as f32);
    let frequencies: Vec<f32> = (0..half)
        .map(|i| (step * i as f32 / half as f32).exp())
        .collect();
    let data = TensorData::new(frequencies, [1, half]);
    let frequencies = Tensor::<2>::from_data(data, (&timestep.device(), DType::F32));
    let times = timestep.cast(DType::F32).unsqueeze_dim::<2>(1);
    let angles = times * frequencies * SCALE;
    Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1)
}
