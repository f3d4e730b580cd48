//! Two-dimensional rotary embedding: half of the frequencies turn with a
//! patch's row, half with its column.
//!
//! Follows `Qwen2_5_VLVisionRotaryEmbedding` and `get_vision_position_ids`.

use burn::tensor::{Device, Tensor, TensorData};

use super::layout::Layout;
use crate::qwen3::rotary::{Rotary, inverse_frequencies};

/// Angles of every patch in the layout's order, for heads of `head_dim`.
pub fn vision_rotary(
    layout: &Layout,
    merge: usize,
    head_dim: usize,
    theta: f64,
    device: &Device,
) -> Rotary {
    let frequencies = inverse_frequencies(head_dim / 2, theta);
    let mut angles = Vec::with_capacity(layout.squares.len() * merge * merge * head_dim / 2);
    for [square_row, square_column] in &layout.squares {
        for row in square_row * merge..(square_row + 1) * merge {
            for column in square_column * merge..(square_column + 1) * merge {
                angles.extend(frequencies.iter().map(|f| row as f32 * f));
                angles.extend(frequencies.iter().map(|f| column as f32 * f));
            }
        }
    }
    let shape = [1, 1, layout.squares.len() * merge * merge, head_dim / 2];
    Rotary::from_angles(Tensor::from_data(TensorData::new(angles, shape), device))
}
