//! Rotary position embedding in the half-rotating convention.
//!
//! Source: Su et al., *RoFormer* (arXiv:2104.09864), eq. 34, with dimension `i`
//! paired to `i + head_dim/2` as in `rotate_half` of the reference, not to its
//! neighbour.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Cosines and sines of a batch of positions, each `[batch, 1, tokens, head_dim/2]`.
#[derive(Clone, Debug)]
pub struct Rotary {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

/// `θ^(-2i/head_dim)` for `i` in `0..head_dim/2`, in radians per position.
pub fn inverse_frequencies(head_dim: usize, theta: f64) -> Vec<f32> {
    // The reference computes the exponent and the power in f32.
    (0..head_dim / 2)
        .map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / head_dim as f32))
        .collect()
}

impl Rotary {
    /// Angles for `positions` of shape `[batch, tokens]`.
    pub fn new(positions: Tensor<2, Int>, head_dim: usize, theta: f64) -> Self {
        let device: Device = positions.device();
        let frequencies = inverse_frequencies(head_dim, theta);
        let half = frequencies.len();
        let frequencies =
            Tensor::<4>::from_data(TensorData::new(frequencies, [1, 1, 1, half]), &device);
        let [batch, tokens] = positions.dims();
        let angles = positions.float().reshape([batch, 1, tokens, 1]) * frequencies;
        Self {
            cos: angles.clone().cos(),
            sin: angles.sin(),
        }
    }

    /// Rotates heads `x` of shape `[batch, heads, tokens, head_dim]`.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let half = self.cos.dims()[3];
        let first = x.clone().narrow(3, 0, half);
        let second = x.narrow(3, half, half);
        let rotated_first = first.clone() * self.cos.clone() - second.clone() * self.sin.clone();
        let rotated_second = second * self.cos.clone() + first * self.sin.clone();
        Tensor::cat(vec![rotated_first, rotated_second], 3)
    }
}
