//! RMS norm over each head, and its turning by position.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::nhwc::tracked::{numbers, recorded, slice, tensor, tracked};
use crate::rows::{on_best, sum};

on_best! {
    /// A head, normalised, scaled and turned by cosines and sines.
    pub(super) fn forward_head(x: &[f32], scale: &[f32], turn: (&[f32], &[f32]), epsilon: f32, out: &mut [f32]) {
        let inverse = 1.0 / (sum(x, |x| x * x) / x.len() as f32 + epsilon).sqrt();
        for ((out, x), scale) in out.iter_mut().zip(x).zip(scale) {
            *out = x * inverse * scale;
        }
        let (pairs, _) = out.as_chunks_mut::<2>();
        let ((cos, _), (sin, _)) = (turn.0.as_chunks::<2>(), turn.1.as_chunks::<2>());
        for ((pair, cos), sin) in pairs.iter_mut().zip(cos).zip(sin) {
            let [a, b] = *pair;
            *pair = [a * cos[0] + b * sin[0], b * cos[1] + a * sin[1]];
        }
    }
}

on_best! {
    /// A head's derivative into `out`; that of the scale is added to `by_scale`.
    pub(super) fn backward_head(
        x: &[f32],
        grad: &[f32],
        scale: &[f32],
        turn: (&[f32], &[f32]),
        epsilon: f32,
        out: &mut [f32],
        by_scale: &mut [f32],
    ) {
        let count = x.len() as f32;
        let inverse = 1.0 / (sum(x, |x| x * x) / count + epsilon).sqrt();
        let ((pairs, _), (grads, _)) = (out.as_chunks_mut::<2>(), grad.as_chunks::<2>());
        let ((cos, _), (sin, _)) = (turn.0.as_chunks::<2>(), turn.1.as_chunks::<2>());
        for (((pair, grad), cos), sin) in pairs.iter_mut().zip(grads).zip(cos).zip(sin) {
            let [a, b] = *grad;
            *pair = [a * cos[0] + b * sin[1], b * cos[1] + a * sin[0]];
        }
        let mut along = 0.0;
        for (((out, x), scale), by_scale) in out.iter_mut().zip(x).zip(scale).zip(by_scale) {
            *by_scale += *out * x * inverse;
            *out *= scale;
            along += *out * x * inverse;
        }
        let along = along / count;
        for (out, x) in out.iter_mut().zip(x) {
            *out = inverse * (*out - x * inverse * along);
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
    tables: Arc<[Vec<f32>; 2]>,
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
            tables,
            epsilon,
        } = ops.state;
        let [batch, tokens, heads, width] = shape;
        let item = tokens * heads * width;
        let (x, scale, grad) = (slice(&x), slice(&scale), slice(&grad));
        let mut by_x = vec![0.0; x.len()];
        let mut by_scale = vec![0.0; batch * width];
        by_x.par_chunks_mut(item)
            .zip(by_scale.par_chunks_mut(width))
            .enumerate()
            .for_each(|(number, (by_x, by_scale))| {
                let heads_of = by_x
                    .chunks_mut(width)
                    .zip(x[number * item..].chunks(width))
                    .zip(grad[number * item..].chunks(width));
                for (at, ((out, x), grad)) in heads_of.enumerate() {
                    let row = at / heads * width;
                    let turn = (&tables[0][row..row + width], &tables[1][row..row + width]);
                    backward_head(x, grad, scale, turn, epsilon, out, by_scale);
                }
            });
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, tensor(by_x, &shape));
        }
        if let Some(node) = node_scale {
            let mut total = vec![0.0; width];
            for part in by_scale.chunks(width) {
                for (total, part) in total.iter_mut().zip(part) {
                    *total += part;
                }
            }
            grads.register::<Flex>(node.id, tensor(total, &[width]));
        }
    }
}

/// Heads `x` `[batch, tokens, heads, width]`, each normalised, times `scale`
/// `[width]`, and turned by the cosines and sines `[tokens × width]` of `tables`, the
/// sines negated at the first of each pair.
pub(in super::super::super) fn normed_and_turned(
    x: Tensor<4>,
    scale: Tensor<1>,
    tables: Arc<[Vec<f32>; 2]>,
    epsilon: f64,
) -> Tensor<4> {
    let shape = x.dims();
    let [_, tokens, heads, width] = shape;
    let epsilon = epsilon as f32;
    recorded(Turn, [tracked(x), tracked(scale)], |[x, scale]| {
        let mut out = vec![0.0; slice(&x).len()];
        let item = tokens * heads * width;
        out.par_chunks_mut(item)
            .zip(slice(&x).par_chunks(item))
            .for_each(|(out, x)| {
                for (at, (out, x)) in out.chunks_mut(width).zip(x.chunks(width)).enumerate() {
                    let row = at / heads * width;
                    let turn = (&tables[0][row..row + width], &tables[1][row..row + width]);
                    forward_head(x, slice(&scale), turn, epsilon, out);
                }
            });
        let state = State {
            shape,
            x,
            scale,
            tables,
            epsilon,
        };
        (tensor(out, &shape), state)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::Device;

    use super::super::super::super::rope::Rope;
    use super::super::tests::same;

    #[test]
    fn as_recorded_operation_by_operation() {
        let positions: Vec<[i64; 3]> = (0..5).map(|at| [at, 2 * at - 3, 1 - at]).collect();
        let rope = Rope::new(&positions, [2, 4, 6], &Device::flex().autodiff());
        let tables = rope.tables().map(|table| {
            let values = table.into_data().try_into_vec::<f32>();
            values.unwrap()
        });
        let tables = Arc::new(tables);
        same(
            [(&[3, 5, 2, 12], 2.0), (&[1, 1, 1, 12], 1.0)],
            |[x, scale]| {
                super::normed_and_turned(
                    x.clone(),
                    scale.clone().reshape([12]),
                    tables.clone(),
                    1e-6,
                )
            },
            |[x, scale]| {
                let length = (x.clone().square().mean_dim(3) + 1e-6).sqrt();
                rope.apply(x.clone() / length * scale.clone())
            },
        );
    }
}
