//! Passes over rows of tokens.

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{tensor, values};
use crate::qwen3::cpu::exp::exp;
use crate::rows::{on_best, sum};

/// Rows that a thread takes at a time.
const ROWS: usize = 16;

on_best! {
    /// GELU by its tanh form, `x / (1 + e^(−2u))`, of `row + bias`.
    pub(super) fn gelu_row(row: &mut [f32], bias: &[f32]) {
        // √(2/π)
        const SLOPE: f32 = 0.797_884_6;
        for (x, bias) in row.iter_mut().zip(bias) {
            let value = *x + bias;
            let u = SLOPE * (value + 0.044_715 * value * value * value);
            *x = value / (1.0 + exp(-2.0 * u));
        }
    }
}

on_best! {
    /// `x + gate · (y + bias)`.
    pub(super) fn leave_row(x: &mut [f32], y: &[f32], gate: &[f32], bias: &[f32]) {
        for (((x, y), gate), bias) in x.iter_mut().zip(y).zip(gate).zip(bias) {
            *x += gate * (y + bias);
        }
    }
}

on_best! {
    /// `out = norm(x) · (1 + scale) + shift`.
    pub(super) fn norm_row(x: &[f32], scale: &[f32], shift: &[f32], out: &mut [f32], epsilon: f32) {
        let count = x.len() as f32;
        let mean = sum(x, |x| x) / count;
        let variance = sum(x, |x| (x - mean) * (x - mean)) / count;
        let inverse = 1.0 / (variance + epsilon).sqrt();
        for (((out, x), scale), shift) in out.iter_mut().zip(x).zip(scale).zip(shift) {
            *out = (x - mean) * inverse * (1.0 + scale) + shift;
        }
    }
}

on_best! {
    /// `softmax(scores)` in place.
    pub(super) fn softmax(scores: &mut [f32]) {
        let (lanes, rest) = scores.as_chunks::<16>();
        let mut most = [f32::NEG_INFINITY; 16];
        for chunk in lanes {
            for (most, &x) in most.iter_mut().zip(chunk) {
                *most = if x > *most { x } else { *most };
            }
        }
        let largest = most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
        for score in scores.iter_mut() {
            *score = exp(*score - largest);
        }
        let inverse = 1.0 / sum(scores, |x| x);
        for score in scores {
            *score *= inverse;
        }
    }
}

/// GELU (tanh) of `x + bias`, `[batch, tokens, width]`.
pub(in super::super) fn gelu(x: Tensor<3>, bias: Tensor<1>) -> Tensor<3> {
    let (shape, bias) = (x.dims(), values(bias));
    let mut x = values(x);
    let width = bias.len();
    x.par_chunks_mut(width * ROWS).for_each(|rows| {
        for row in rows.chunks_mut(width) {
            gelu_row(row, &bias);
        }
    });
    tensor(x, shape)
}

/// `x + gate · (y + bias)`: `x` and `y` `[batch, tokens, width]`, `gate`
/// `[batch, 1, width]`.
pub(in super::super) fn leave(
    x: Tensor<3>,
    y: Tensor<3>,
    gate: Tensor<3>,
    bias: Tensor<1>,
) -> Tensor<3> {
    let shape = x.dims();
    let [_, tokens, width] = shape;
    let (y, gate, bias) = (values(y), values(gate), values(bias));
    let mut x = values(x);
    let rows = x
        .par_chunks_mut(width * ROWS)
        .zip(y.par_chunks(width * ROWS));
    rows.enumerate().for_each(|(number, (x, y))| {
        for (at, (x, y)) in x.chunks_mut(width).zip(y.chunks(width)).enumerate() {
            let item = (number * ROWS + at) / tokens;
            leave_row(x, y, &gate[item * width..][..width], &bias);
        }
    });
    tensor(x, shape)
}

/// Layer norm of `x` `[batch, tokens, width]`, then `· (1 + scale) + shift`, both
/// `[batch, 1, width]`.
pub(in super::super) fn modulated_norm(
    x: Tensor<3>,
    scale: Tensor<3>,
    shift: Tensor<3>,
    epsilon: f64,
) -> Tensor<3> {
    let shape = x.dims();
    let [_, tokens, width] = shape;
    let (x, scale, shift) = (values(x), values(scale), values(shift));
    let mut out = vec![0.0; x.len()];
    let rows = out
        .par_chunks_mut(width * ROWS)
        .zip(x.par_chunks(width * ROWS));
    rows.enumerate().for_each(|(number, (out, x))| {
        for (at, (out, x)) in out.chunks_mut(width).zip(x.chunks(width)).enumerate() {
            let item = (number * ROWS + at) / tokens;
            let part = item * width..(item + 1) * width;
            norm_row(x, &scale[part.clone()], &shift[part], out, epsilon as f32);
        }
    });
    tensor(out, shape)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, activation::gelu_approximate, module::layer_norm};

    use super::*;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 2.0), &Device::flex())
    }

    fn same(ours: Tensor<3>, theirs: Tensor<3>) {
        assert_eq!(ours.dims(), theirs.dims());
        for (a, b) in values(ours).iter().zip(values(theirs)) {
            assert!((a - b).abs() < 2e-5 * (1.0 + b.abs()), "{a} {b}");
        }
    }

    #[test]
    fn softmax_sums_to_one_and_shows_what_is_no_number() {
        let mut scores: Vec<f32> = (0..37).map(|i| (i * 7 % 13) as f32).collect();
        let exact: f64 = scores.iter().map(|x| f64::from(*x).exp()).sum();
        softmax(&mut scores);
        assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        assert!((f64::from(scores[0]) - 1.0 / exact).abs() < 1e-8);
        let mut hidden = [0.5, -1e30, 0.5];
        softmax(&mut hidden);
        assert_eq!(hidden.map(|x| (x * 2.0).round()), [1.0, 0.0, 1.0]);
        let mut broken = vec![1.0, f32::NAN, 2.0];
        softmax(&mut broken);
        assert!(broken.iter().all(|x| x.is_nan()));
    }

    #[test]
    fn the_same_as_operation_by_operation() {
        let (x, y) = (random([3, 21, 37]), random([3, 21, 37]));
        let (scale, shift, bias) = (random([3, 1, 37]), random([3, 1, 37]), random([37]));
        let wide = bias.clone().reshape([1, 1, 37]);
        let expected = gelu_approximate(x.clone() + wide.clone());
        same(gelu(x.clone(), bias.clone()), expected);
        let expected = x.clone() + (y.clone() + wide) * shift.clone();
        same(leave(x.clone(), y, shift.clone(), bias), expected);
        let ones = Tensor::ones([37], &Device::flex());
        let expected = layer_norm(x.clone(), ones, None, 1e-6) * (scale.clone() + 1.0);
        same(
            modulated_norm(x, scale, shift.clone(), 1e-6),
            expected + shift,
        );
    }
}
