//! Multimodal rotary embedding: the frequencies of a head in runs that turn with
//! frame, row and column in turns.
//!
//! Follows `Qwen2_5_VLRotaryEmbedding.recomposition_frequencies`.

use burn::tensor::{Device, Tensor, TensorData};

use super::positions::{AXES, Positions};
use crate::qwen3::rotary::{Rotary, inverse_frequencies};

/// Angles of `positions`, for heads of `head_dim`; `sections` sum to half of it.
pub fn multimodal_rotary(
    positions: &Positions,
    sections: &[usize],
    head_dim: usize,
    theta: f64,
    device: &Device,
) -> Rotary {
    let axis_of = sections.iter().enumerate();
    let axis_of = axis_of.flat_map(|(run, &size)| std::iter::repeat_n(run % AXES, size));
    let frequencies: Vec<(usize, f32)> =
        axis_of.zip(inverse_frequencies(head_dim, theta)).collect();
    let mut angles = Vec::with_capacity(positions.axes.len() * frequencies.len());
    for place in &positions.axes {
        angles.extend(frequencies.iter().map(|(axis, f)| place[*axis] as f32 * f));
    }
    let batch = positions.axes.len() / positions.tokens.max(1);
    let shape = [batch, 1, positions.tokens, frequencies.len()];
    Rotary::from_angles(Tensor::from_data(TensorData::new(angles, shape), device))
}
