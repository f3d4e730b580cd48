//! GELU in its tanh form.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::nhwc::tracked::{numbers, recorded, slice, tensor, tracked};
use crate::qwen3::cpu::exp::exp;
use crate::rows::on_best;

/// Numbers that a thread takes at a time.
const CHUNK: usize = 1 << 14;
/// √(2/π)
const SLOPE: f32 = 0.797_884_6;
const CUBIC: f32 = 0.044_715;

on_best! {
    /// `x σ(2u)` with `u = √(2/π) (x + 0.044715 x³)`.
    pub(super) fn forward(x: &[f32], out: &mut [f32]) {
        for (out, &x) in out.iter_mut().zip(x) {
            let u = SLOPE * (x + CUBIC * x * x * x);
            *out = x / (1.0 + exp(-2.0 * u));
        }
    }
}

on_best! {
    /// The derivative times that of the outcome.
    pub(super) fn backward(x: &[f32], grad: &[f32], out: &mut [f32]) {
        for ((out, &x), &grad) in out.iter_mut().zip(x).zip(grad) {
            let u = SLOPE * (x + CUBIC * x * x * x);
            let slope = SLOPE * (1.0 + 3.0 * CUBIC * x * x);
            let share = 1.0 / (1.0 + exp(-2.0 * u));
            *out = grad * share * (1.0 + 2.0 * x * (1.0 - share) * slope);
        }
    }
}

#[derive(Debug)]
struct Gelu;

impl Backward<Flex, 1> for Gelu {
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let Some(node) = node else { return };
        let (x, grad) = (slice(&ops.state), slice(&grad));
        let mut out = vec![0.0; x.len()];
        out.par_chunks_mut(CHUNK)
            .zip(x.par_chunks(CHUNK))
            .zip(grad.par_chunks(CHUNK))
            .for_each(|((out, x), grad)| backward(x, grad, out));
        let shape: Vec<usize> = ops.state.layout().shape().to_vec();
        grads.register::<Flex>(node.id, tensor(out, &shape));
    }
}

/// GELU of a recorded tensor.
pub(in super::super::super) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let shape = x.dims();
    recorded(Gelu, [tracked(x)], |[x]| {
        let mut out = vec![0.0; slice(&x).len()];
        out.par_chunks_mut(CHUNK)
            .zip(slice(&x).par_chunks(CHUNK))
            .for_each(|(out, x)| forward(x, out));
        (tensor(out, &shape), x)
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::gelu_approximate;

    use super::super::tests::same;

    #[test]
    fn as_recorded_operation_by_operation() {
        same(
            [(&[2, 3, 5, 7], 2.0)],
            |[x]| super::gelu(x.clone()),
            |[x]| gelu_approximate(x.clone()),
        );
    }
}
