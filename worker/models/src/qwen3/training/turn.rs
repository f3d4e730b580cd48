//! The norm over each head, and its turning by position.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::nn::RmsNorm;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::Turns;
use super::norm::{added_up, backward_norm, forward_norm};
use crate::nhwc::tracked::{Place, numbers, place, plain, recorded, slice, tensor, tracked};
use crate::rows::on_best;

on_best! {
    /// Turns a head in place, dimension `i` with `i + width/2`, by cosines and `sign` times
    /// the sines: back with −1.
    pub(super) fn turn_row(head: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
        let (first, second) = head.split_at_mut(cos.len());
        for (((a, b), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
            let sin = sign * sin;
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

#[derive(Debug)]
struct Turn;

#[derive(Clone, Debug)]
struct State {
    shape: [usize; 4],
    x: FlexTensor,
    scale: FlexTensor,
    turns: Turns,
    epsilon: f32,
}

impl Backward<Flex, 2> for Turn {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_scale] = ops.parents;
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let State {
            shape,
            x,
            scale,
            turns: Turns(turns),
            epsilon,
        } = ops.state;
        let [batch, tokens, heads, width] = shape;
        let item = tokens * heads * width;
        let (x, scale) = (slice(&x), slice(&scale));
        let mut by_x = slice(&grad).to_vec();
        let mut by_scale = vec![0.0; batch * width];
        by_x.par_chunks_mut(item)
            .zip(x.par_chunks(item))
            .zip(by_scale.par_chunks_mut(width))
            .for_each(|((by_x, x), by_scale)| {
                let of_heads = by_x.chunks_mut(width).zip(x.chunks(width));
                for (at, (by_x, x)) in of_heads.enumerate() {
                    let [cos, sin] = row(&turns, at / heads, width);
                    turn_row(by_x, cos, sin, -1.0);
                    backward_norm(x, scale, epsilon, by_x, by_scale);
                }
            });
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, tensor(by_x, &shape));
        }
        if let Some(node) = node_scale {
            grads.register::<Flex>(node.id, tensor(added_up(&by_scale, width), &[width]));
        }
    }
}

/// Cosines and sines of a position.
fn row(turns: &[Vec<f32>; 2], position: usize, width: usize) -> [&[f32]; 2] {
    let half = width / 2;
    [0, 1].map(|of| &turns[of][position * half..][..half])
}

/// Heads `x` `[batch, tokens, heads, width]`, each normalised and turned by its position,
/// which is its place.
pub(in super::super) fn normed_and_turned(
    x: &Tensor<4>,
    norm: &RmsNorm,
    turns: &Turns,
) -> Option<Tensor<4>> {
    let (place, scale) = (place(x), norm.gamma.val());
    if place != self::place(&scale) {
        return None;
    }
    let shape = x.dims();
    let compute = |[x, scale]: [FlexTensor; 2]| {
        let [_, tokens, heads, width] = shape;
        let (values, by, epsilon) = (slice(&x), slice(&scale), norm.epsilon as f32);
        let mut out = vec![0.0; values.len()];
        let item = tokens * heads * width;
        out.par_chunks_mut(item)
            .zip(values.par_chunks(item))
            .for_each(|(out, x)| {
                for (at, (out, x)) in out.chunks_mut(width).zip(x.chunks(width)).enumerate() {
                    let [cos, sin] = row(&turns.0, at / heads, width);
                    forward_norm(x, by, epsilon, out);
                    turn_row(out, cos, sin, 1.0);
                }
            });
        let state = State {
            shape,
            x,
            scale,
            turns: turns.clone(),
            epsilon,
        };
        (tensor(out, &shape), state)
    };
    match place {
        Place::Cpu => {
            let (out, _) = compute([plain(x.clone()), plain(scale)]);
            Some(Tensor::from_primitive::<Flex>(out))
        }
        Place::CpuAutodiff => {
            let inputs = [tracked(x.clone()), tracked(scale)];
            Some(recorded(Turn, inputs, compute))
        }
        Place::Elsewhere => None,
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{Param, ParamId};
    use burn::nn::RmsNorm;
    use burn::tensor::Tensor;

    use super::super::super::rotary::{Frequencies, Rotary};
    use super::super::{Turns, tests::same};

    #[test]
    fn as_operation_by_operation() {
        let frequencies = Frequencies {
            inverse: vec![1.0, 0.5, 0.1, 0.02, 0.003],
            attention_factor: 1.25,
        };
        same(
            [(&[3, 7, 2, 10], 2.0), (&[1, 1, 1, 10], 1.0)],
            |[x, scale]| {
                let norm = RmsNorm {
                    gamma: Param::initialized(ParamId::new(), scale.clone().reshape([10])),
                    epsilon: 1e-6,
                };
                let turns = Turns::new(7, &frequencies);
                super::normed_and_turned(x, &norm, &turns).unwrap()
            },
            |[x, scale]| {
                let positions = Tensor::arange(0..7, &x.device()).reshape([1, 7]);
                let length = (x.clone().square().mean_dim(3) + 1e-6).sqrt();
                let normed = x.clone() / length * scale.clone();
                let rotary = Rotary::new(positions, &frequencies);
                rotary.apply(normed.swap_dims(1, 2)).swap_dims(1, 2)
            },
        );
    }
}
