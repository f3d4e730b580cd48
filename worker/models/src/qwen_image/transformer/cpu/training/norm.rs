//! Layer norm that the timestep scales and shifts.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::rows::norm_row;
use crate::nhwc::tracked::{numbers, recorded, slice, tensor, tracked};
use crate::rows::{on_best, sum};

on_best! {
    /// A row's derivative into `out`; those of its scale and shift are added to theirs.
    pub(super) fn backward_row(
        x: &[f32],
        grad: &[f32],
        scale: &[f32],
        epsilon: f32,
        out: &mut [f32],
        by_scale_and_shift: (&mut [f32], &mut [f32]),
    ) {
        let (by_scale, by_shift) = by_scale_and_shift;
        let count = x.len() as f32;
        let mean = sum(x, |x| x) / count;
        let variance = sum(x, |x| (x - mean) * (x - mean)) / count;
        let inverse = 1.0 / (variance + epsilon).sqrt();
        for (((((out, x), grad), scale), by_scale), by_shift) in out
            .iter_mut()
            .zip(x)
            .zip(grad)
            .zip(scale)
            .zip(by_scale)
            .zip(by_shift)
        {
            *by_scale += grad * (x - mean) * inverse;
            *by_shift += grad;
            *out = grad * (1.0 + scale);
        }
        let level = sum(out, |x| x) / count;
        let mut along = 0.0;
        for (out, x) in out.iter().zip(x) {
            along += out * (x - mean) * inverse;
        }
        let along = along / count;
        for (out, x) in out.iter_mut().zip(x) {
            *out = inverse * (*out - level - (x - mean) * inverse * along);
        }
    }
}

#[derive(Debug)]
struct Norm;

#[derive(Clone, Debug)]
struct State {
    shape: [usize; 3],
    x: FlexTensor,
    scale: FlexTensor,
    epsilon: f32,
}

impl Backward<Flex, 3> for Norm {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_scale, node_shift] = ops.parents;
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let State {
            shape,
            x,
            scale,
            epsilon,
        } = ops.state;
        let [batch, tokens, width] = shape;
        let item = tokens * width;
        let (x, scale, grad) = (slice(&x), slice(&scale), slice(&grad));
        let mut by_x = vec![0.0; x.len()];
        let (mut by_scale, mut by_shift) = (vec![0.0; scale.len()], vec![0.0; scale.len()]);
        by_x.par_chunks_mut(item)
            .zip(by_scale.par_chunks_mut(width))
            .zip(by_shift.par_chunks_mut(width))
            .enumerate()
            .for_each(|(number, ((by_x, by_scale), by_shift))| {
                let scale = &scale[number * width..][..width];
                let rows = by_x
                    .chunks_mut(width)
                    .zip(x[number * item..].chunks(width))
                    .zip(grad[number * item..].chunks(width));
                for ((out, x), grad) in rows {
                    backward_row(
                        x,
                        grad,
                        scale,
                        epsilon,
                        out,
                        (&mut *by_scale, &mut *by_shift),
                    );
                }
            });
        let small = [batch, 1, width];
        for (node, values, shape) in [
            (node_x, by_x, shape),
            (node_scale, by_scale, small),
            (node_shift, by_shift, small),
        ] {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, &shape));
            }
        }
    }
}

/// Layer norm of `x` `[batch, tokens, width]`, then `· (1 + scale) + shift`, both
/// `[batch, 1, width]`; all recorded.
pub(in super::super::super) fn modulated_norm(
    x: Tensor<3>,
    scale: Tensor<3>,
    shift: Tensor<3>,
    epsilon: f64,
) -> Tensor<3> {
    let shape = x.dims();
    let [_, tokens, width] = shape;
    let epsilon = epsilon as f32;
    let inputs = [tracked(x), tracked(scale), tracked(shift)];
    recorded(Norm, inputs, |[x, scale, shift]| {
        let mut out = vec![0.0; slice(&x).len()];
        let item = tokens * width;
        out.par_chunks_mut(item)
            .zip(slice(&x).par_chunks(item))
            .enumerate()
            .for_each(|(number, (out, x))| {
                let part = number * width..(number + 1) * width;
                let (scale, shift) = (&slice(&scale)[part.clone()], &slice(&shift)[part]);
                for (out, x) in out.chunks_mut(width).zip(x.chunks(width)) {
                    norm_row(x, scale, shift, out, epsilon);
                }
            });
        let state = State {
            shape,
            x,
            scale,
            epsilon,
        };
        (tensor(out, &shape), state)
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Tensor, module::layer_norm};

    use super::super::tests::same;

    #[test]
    fn as_recorded_operation_by_operation() {
        let flat = |x: &Tensor<4>| x.clone().squeeze_dim::<3>(0);
        same(
            [
                (&[1, 3, 5, 37], 2.0),
                (&[1, 3, 1, 37], 1.0),
                (&[1, 3, 1, 37], 1.0),
            ],
            |[x, scale, shift]| super::modulated_norm(flat(x), flat(scale), flat(shift), 1e-6),
            |[x, scale, shift]| {
                let ones = Tensor::<1>::ones([37], &x.device());
                layer_norm(flat(x), ones, None, 1e-6) * (flat(scale) + 1.0) + flat(shift)
            },
        );
    }
}
