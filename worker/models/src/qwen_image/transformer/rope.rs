//! Rotary positions of text and pictures on three axes (MSRoPE).
//!
//! Follows `QwenEmbedRope` with `scale_rope`: a picture's rows and columns count
//! from its middle, so that sizes share a centre; its frame is its place among the
//! pictures; text goes along the diagonal, from beyond the largest half side.
//! Neighbouring dimensions form a pair (arXiv:2104.09864, eq. 34), not the halves
//! of a head as in Qwen's decoders.

use std::sync::Arc;

use burn::tensor::{DType, Tensor, TensorData};

use crate::device::Device;

/// `θ`, fixed in the reference.
const THETA: f32 = 10_000.0;

/// A picture in packed latents (`img_shapes` of the reference).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageShape {
    /// 1 for a picture.
    pub frames: usize,
    /// Tokens down.
    pub height: usize,
    /// Tokens across.
    pub width: usize,
}

impl ImageShape {
    /// A picture of `height` × `width` tokens.
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            frames: 1,
            height,
            width,
        }
    }

    /// Tokens in all.
    pub fn tokens(&self) -> usize {
        self.frames * self.height * self.width
    }
}

/// Frame, row and column of each token: the text's, then the pictures' in order.
pub fn positions(shapes: &[ImageShape], text_tokens: usize) -> Vec<[i64; 3]> {
    let halves = shapes
        .iter()
        .map(|shape| (shape.height / 2).max(shape.width / 2));
    let first = halves.max().unwrap_or(0);
    let text = (first..first + text_tokens).map(|at| [at as i64; 3]);
    let pictures = shapes.iter().enumerate().flat_map(|(index, shape)| {
        // The half that is rounded up lies before the centre.
        let centred = |at: usize, side: usize| at as i64 - (side - side / 2) as i64;
        let (height, width) = (shape.height, shape.width);
        (0..shape.tokens()).map(move |token| {
            let frame = index + token / (height * width);
            let row = token / width % height;
            [
                frame as i64,
                centred(row, height),
                centred(token % width, width),
            ]
        })
    });
    text.chain(pictures).collect()
}

/// Cosines and sines of some tokens, each `[tokens × head_dim]`.
pub(super) type Tables = Arc<[Vec<f32>; 2]>;

/// Cosines and sines of the tokens of both streams, text before pictures, each
/// `[1, tokens, 1, head_dim]` in f32.
#[derive(Clone, Debug)]
pub struct Rope {
    cos: Tensor<4>,
    /// Negated at the first of each pair.
    sin: Tensor<4>,
    /// `[1, tokens, 1, head_dim/2, 2]`: a cosine and a sine for each pair.
    #[cfg(feature = "tch")]
    turns: Tensor<5>,
}

impl Rope {
    /// The angles of `positions` for heads whose dimensions are shared out by `axes`.
    pub fn new(positions: &[[i64; 3]], axes: [usize; 3], device: &Device) -> Self {
        let head_dim: usize = axes.iter().sum();
        let frequencies: Vec<(usize, f32)> = axes
            .iter()
            .enumerate()
            .flat_map(|(axis, &width)| {
                let exponent = move |pair: usize| (2 * pair) as f32 / width as f32;
                (0..width / 2).map(move |pair| (axis, 1.0 / THETA.powf(exponent(pair))))
            })
            .collect();
        let mut cos = Vec::with_capacity(positions.len() * head_dim);
        let mut sin = Vec::with_capacity(positions.len() * head_dim);
        for position in positions {
            for &(axis, frequency) in &frequencies {
                let angle = f64::from(position[axis] as f32 * frequency);
                let (s, c) = angle.sin_cos();
                cos.extend([c as f32; 2]);
                sin.extend([-s as f32, s as f32]);
            }
        }
        #[cfg(feature = "tch")]
        let turns = {
            let pairs = cos.iter().zip(&sin).skip(1).step_by(2);
            let values: Vec<f32> = pairs.flat_map(|(cos, sin)| [*cos, *sin]).collect();
            let shape = [1, positions.len(), 1, head_dim / 2, 2];
            Tensor::from_data(TensorData::new(values, shape), (device, DType::F32))
        };
        let shape = [1, positions.len(), 1, head_dim];
        let table =
            |values| Tensor::from_data(TensorData::new(values, shape), (device, DType::F32));
        Self {
            cos: table(cos),
            sin: table(sin),
            #[cfg(feature = "tch")]
            turns,
        }
    }

    /// Cosines and sines, the latter negated at the first of each pair.
    pub(super) fn tables(&self) -> [Tensor<4>; 2] {
        [self.cos.clone(), self.sin.clone()]
    }

    /// [`Self::tables`] of the first `text_tokens` and of the others, flat.
    pub(super) fn parts(&self, text_tokens: usize) -> [Tables; 2] {
        let read = |table: Tensor<4>| -> Vec<f32> {
            table.into_data().try_into_vec::<f32>().unwrap_or_default()
        };
        let [cos, sin] = self.tables().map(read);
        let head_dim = self.cos.dims()[3];
        let cut = text_tokens * head_dim;
        [0..cut, cut..cos.len()]
            .map(|part| Arc::new([cos[part.clone()].to_vec(), sin[part].to_vec()]))
    }

    /// Turns heads `[batch, tokens, heads, head_dim]`, in f32 as in the reference.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "tch")]
        if let Some(turned) = crate::torch::turn_pairs(&x, &self.turns) {
            return turned;
        }
        let ([batch, tokens, heads, head_dim], dtype) = (x.dims(), x.dtype());
        let x = x.cast(DType::F32);
        let other = x
            .clone()
            .reshape([batch, tokens, heads, head_dim / 2, 2])
            .flip([4])
            .reshape([batch, tokens, heads, head_dim]);
        (x * self.cos.clone() + other * self.sin.clone()).cast(dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_count_from_their_middle_and_text_lies_beyond() {
        let shapes = [ImageShape::new(2, 3), ImageShape::new(1, 2)];
        let positions = positions(&shapes, 2);
        let expected = [
            [1, 1, 1],
            [2, 2, 2],
            [0, -1, -2],
            [0, -1, -1],
            [0, -1, 0],
            [0, 0, -2],
            [0, 0, -1],
            [0, 0, 0],
            [1, -1, -1],
            [1, -1, 0],
        ];
        assert_eq!(positions, expected);
    }

    #[test]
    fn neighbours_turn_together() {
        let device = Device::flex();
        let rope = Rope::new(&[[3, 0, 0]], [2, 2, 0], &device);
        let x = Tensor::<1>::from_floats([1.0, 2.0, 5.0, 7.0], &device).reshape([1, 1, 1, 4]);
        let turned = rope.apply(x).into_data().try_into_vec::<f32>().unwrap();
        let (sin, cos) = 3.0_f32.sin_cos();
        let expected = [cos - 2.0 * sin, sin + 2.0 * cos, 5.0, 7.0];
        for (a, b) in turned.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{turned:?} {expected:?}");
        }
    }
}
