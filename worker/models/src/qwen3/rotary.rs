//! Rotary position embedding in the half-rotating convention.
//!
//! Source: Su et al., *RoFormer* (arXiv:2104.09864), eq. 34, with dimension `i`
//! paired to `i + head_dim/2` as in `rotate_half` of the reference, not to its
//! neighbour. Stretched frequencies follow `modeling_rope_utils.py`, number type
//! by number type.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::config::Qwen3Config;
use super::rope::{RopeScaling, Yarn};

/// What turns a position into cosines and sines.
#[derive(Clone, Debug, PartialEq)]
pub struct Frequencies {
    /// Radians per position of each pair of dimensions, `[head_dim/2]`.
    pub inverse: Vec<f32>,
    /// Multiplies cosines and sines; 1 without YaRN.
    pub attention_factor: f32,
}

impl Frequencies {
    /// Those of a model.
    pub fn new(config: &Qwen3Config) -> Self {
        let (head_dim, theta) = (config.head_dim, config.rope_theta);
        let unscaled = inverse_frequencies(head_dim, theta);
        match &config.rope_scaling {
            RopeScaling::None => Self {
                inverse: unscaled,
                attention_factor: 1.0,
            },
            RopeScaling::Linear { factor } => Self {
                inverse: unscaled.iter().map(|f| f / *factor as f32).collect(),
                attention_factor: 1.0,
            },
            RopeScaling::Yarn(yarn) => Self {
                inverse: yarn_frequencies(yarn, head_dim, theta),
                attention_factor: yarn.attention_factor() as f32,
            },
        }
    }
}

/// `θ^(-2i/head_dim)` for `i` in `0..head_dim/2`, in radians per position.
pub fn inverse_frequencies(head_dim: usize, theta: f64) -> Vec<f32> {
    wavelengths(head_dim, theta).map(|w| 1.0 / w).collect()
}

/// `θ^(2i/head_dim)`, exponent and power in f32 as in the reference.
fn wavelengths(head_dim: usize, theta: f64) -> impl Iterator<Item = f32> {
    (0..head_dim / 2).map(move |i| (theta as f32).powf((2 * i) as f32 / head_dim as f32))
}

/// arXiv:2309.00071, definition 2 ("NTK-by-parts"), eq. 17 to 20.
fn yarn_frequencies(yarn: &Yarn, head_dim: usize, theta: f64) -> Vec<f32> {
    // The dimension that turns `rotations` times over the original context.
    let dimension = |rotations: f64| {
        let turns =
            yarn.original_max_position_embeddings as f64 / (rotations * 2.0 * std::f64::consts::PI);
        head_dim as f64 * turns.ln() / (2.0 * theta.ln())
    };
    let (mut low, mut high) = (dimension(yarn.beta_fast), dimension(yarn.beta_slow));
    if yarn.truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(head_dim as f64 - 1.0));
    if low == high {
        high += 0.001;
    }
    let (low, width) = (low as f32, (high - low) as f32);
    wavelengths(head_dim, theta)
        .enumerate()
        .map(|(i, wavelength)| {
            let ramp = ((i as f32 - low) / width).clamp(0.0, 1.0);
            let kept = 1.0 - ramp;
            let interpolated = 1.0 / (yarn.factor as f32 * wavelength);
            interpolated * (1.0 - kept) + 1.0 / wavelength * kept
        })
        .collect()
}

/// Cosines and sines of a batch of positions, each `[batch, 1, tokens, head_dim/2]`.
#[derive(Clone, Debug)]
pub struct Rotary {
    cos: Tensor<4>,
    sin: Tensor<4>,
    /// The same for both halves, the first one's sines negated, `[batch, 1, tokens, head_dim]`:
    /// for devices that turn both in one operation.
    #[cfg(feature = "tch")]
    whole: [Tensor<4>; 2],
}

impl Rotary {
    /// Angles for `positions` of shape `[batch, tokens]`.
    pub fn new(positions: Tensor<2, Int>, frequencies: &Frequencies) -> Self {
        let device: Device = positions.device();
        let half = frequencies.inverse.len();
        let data = TensorData::new(frequencies.inverse.clone(), [1, 1, 1, half]);
        let [batch, tokens] = positions.dims();
        let angles = positions.float().reshape([batch, 1, tokens, 1])
            * Tensor::<4>::from_data(data, &device);
        let rotary = Self::from_angles(angles);
        match frequencies.attention_factor {
            1.0 => rotary,
            factor => Self::of(rotary.cos * factor, rotary.sin * factor),
        }
    }

    /// Angles of shape `[batch, 1, tokens, head_dim/2]`, in radians.
    pub fn from_angles(angles: Tensor<4>) -> Self {
        Self::of(angles.clone().cos(), angles.sin())
    }

    fn of(cos: Tensor<4>, sin: Tensor<4>) -> Self {
        Self {
            #[cfg(feature = "tch")]
            whole: [
                Tensor::cat(vec![cos.clone(), cos.clone()], 3),
                Tensor::cat(vec![sin.clone().neg(), sin.clone()], 3),
            ],
            cos,
            sin,
        }
    }

    /// Rotates heads `x` of shape `[batch, heads, tokens, head_dim]`, in f32.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "tch")]
        if let Some(turned) = crate::torch::turn_halves(&x, &self.whole[0], &self.whole[1]) {
            return turned;
        }
        let (half, dtype) = (self.cos.dims()[3], x.dtype());
        let x = x.cast(DType::F32);
        let first = x.clone().narrow(3, 0, half);
        let second = x.narrow(3, half, half);
        let rotated_first = first.clone() * self.cos.clone() - second.clone() * self.sin.clone();
        let rotated_second = second * self.cos.clone() + first * self.sin.clone();
        Tensor::cat(vec![rotated_first, rotated_second], 3).cast(dtype)
    }
}
