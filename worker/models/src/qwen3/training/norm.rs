//! RMS norm over the last axis.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::nn::RmsNorm;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::ROWS;
use crate::nhwc::tracked::{Place, numbers, place, plain, recorded, slice, tensor, tracked};
use crate::rows::{on_best, sum};

on_best! {
    pub(super) fn forward_row(x: &[f32], scale: &[f32], epsilon: f32, out: &mut [f32]) {
        let inverse = 1.0 / (sum(x, |x| x * x) / x.len() as f32 + epsilon).sqrt();
        for ((out, x), scale) in out.iter_mut().zip(x).zip(scale) {
            *out = x * inverse * scale;
        }
    }
}

on_best! {
    /// A row's derivative in place of that of its outcome; the scale's is added to
    /// `by_scale`.
    pub(super) fn backward_row(x: &[f32], scale: &[f32], epsilon: f32, grad: &mut [f32], by_scale: &mut [f32]) {
        let count = x.len() as f32;
        let inverse = 1.0 / (sum(x, |x| x * x) / count + epsilon).sqrt();
        for (((grad, x), scale), by_scale) in grad.iter_mut().zip(x).zip(scale).zip(by_scale) {
            *by_scale += *grad * x * inverse;
            *grad *= scale;
        }
        let mut lanes = [0.0_f32; 16];
        let ((grads, rest), (xs, rest_of_x)) = (grad.as_chunks::<16>(), x.as_chunks::<16>());
        for (grad, x) in grads.iter().zip(xs) {
            for ((lane, grad), x) in lanes.iter_mut().zip(grad).zip(x) {
                *lane += grad * x;
            }
        }
        let along = lanes.iter().sum::<f32>()
            + rest.iter().zip(rest_of_x).map(|(grad, x)| grad * x).sum::<f32>();
        let along = along * inverse * inverse / count;
        for (grad, x) in grad.iter_mut().zip(x) {
            *grad = inverse * (*grad - x * along);
        }
    }
}

pub(super) use {backward_row as backward_norm, forward_row as forward_norm};

#[derive(Debug)]
struct Norm;

#[derive(Clone, Debug)]
struct State {
    x: FlexTensor,
    scale: FlexTensor,
    epsilon: f32,
}

impl Backward<Flex, 2> for Norm {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node_x, node_scale] = ops.parents;
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let State { x, scale, epsilon } = ops.state;
        let shape: Vec<usize> = x.layout().shape().to_vec();
        let (x, scale) = (slice(&x), slice(&scale));
        let width = scale.len();
        let mut by_x = slice(&grad).to_vec();
        let mut by_scale = vec![0.0; by_x.len().div_ceil(width * ROWS) * width];
        by_x.par_chunks_mut(width * ROWS)
            .zip(x.par_chunks(width * ROWS))
            .zip(by_scale.par_chunks_mut(width))
            .for_each(|((by_x, x), by_scale)| {
                for (by_x, x) in by_x.chunks_mut(width).zip(x.chunks(width)) {
                    backward_row(x, scale, epsilon, by_x, by_scale);
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

/// The sum of rows of `width` numbers.
pub(super) fn added_up(rows: &[f32], width: usize) -> Vec<f32> {
    let mut total = vec![0.0; width];
    for row in rows.chunks(width) {
        for (total, part) in total.iter_mut().zip(row) {
            *total += part;
        }
    }
    total
}

/// `x / √(mean x² + ε) · γ`, the mean over the last axis.
pub(crate) fn rms_norm<const D: usize>(norm: &RmsNorm, x: &Tensor<D>) -> Option<Tensor<D>> {
    let (place, scale) = (place(x), norm.gamma.val());
    if place != self::place(&scale) {
        return None;
    }
    let shape = x.dims();
    let compute = |[x, scale]: [FlexTensor; 2]| {
        let (values, by) = (slice(&x), slice(&scale));
        let (width, epsilon) = (by.len(), norm.epsilon as f32);
        let mut out = vec![0.0; values.len()];
        out.par_chunks_mut(width * ROWS)
            .zip(values.par_chunks(width * ROWS))
            .for_each(|(out, x)| {
                for (out, x) in out.chunks_mut(width).zip(x.chunks(width)) {
                    forward_row(x, by, epsilon, out);
                }
            });
        (tensor(out, &shape), State { x, scale, epsilon })
    };
    match place {
        Place::Cpu => {
            let (out, _) = compute([plain(x.clone()), plain(scale)]);
            Some(Tensor::from_primitive::<Flex>(out))
        }
        Place::CpuAutodiff => {
            let inputs = [tracked(x.clone()), tracked(scale)];
            Some(recorded(Norm, inputs, compute))
        }
        Place::Elsewhere => None,
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::nn::RmsNorm;

    use super::super::tests::same;

    #[test]
    fn as_operation_by_operation() {
        same(
            [(&[2, 5, 21, 37], 2.0), (&[1, 1, 1, 37], 1.0)],
            |[x, scale]| {
                let scale = scale.clone().reshape([37]);
                let norm = RmsNorm {
                    gamma: Param::initialized(burn::module::ParamId::new(), scale),
                    epsilon: 1e-6,
                };
                super::rms_norm(&norm, x).unwrap()
            },
            |[x, scale]| {
                let length = (x.clone().square().mean_dim(3) + 1e-6).sqrt();
                x.clone() / length * scale.clone()
            },
        );
    }
}
