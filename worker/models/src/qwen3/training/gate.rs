//! The gate of the feed-forward.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::nhwc::tracked::{Place, numbers, place, plain, recorded, slice, tensor, tracked};
use crate::qwen3::cpu::exp::{exp, swiglu as forward};
use crate::rows::on_best;

/// Numbers that a thread takes at a time.
const CHUNK: usize = 1 << 14;

on_best! {
    /// The derivatives by gate and up, where that of the outcome is `grad`.
    pub(super) fn backward(gate: &[f32], up: &[f32], grad: &[f32], by_gate: &mut [f32], by_up: &mut [f32]) {
        let inputs = gate.iter().zip(up).zip(grad);
        for (((&x, &up), &grad), (by_gate, by_up)) in inputs.zip(by_gate.iter_mut().zip(by_up)) {
            let share = 1.0 / (1.0 + exp(-x));
            *by_up = grad * x * share;
            *by_gate = grad * up * share * (1.0 + x * (1.0 - share));
        }
    }
}

#[derive(Debug)]
struct Gate;

impl Backward<Flex, 2> for Gate {
    type State = [FlexTensor; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let [gate, up] = &ops.state;
        let shape: Vec<usize> = gate.layout().shape().to_vec();
        let (gate, up, grad) = (slice(gate), slice(up), slice(&grad));
        let (mut by_gate, mut by_up) = (vec![0.0; gate.len()], vec![0.0; gate.len()]);
        by_gate
            .par_chunks_mut(CHUNK)
            .zip(by_up.par_chunks_mut(CHUNK))
            .zip(gate.par_chunks(CHUNK))
            .zip(up.par_chunks(CHUNK))
            .zip(grad.par_chunks(CHUNK))
            .for_each(|((((by_gate, by_up), gate), up), grad)| {
                backward(gate, up, grad, by_gate, by_up);
            });
        for (node, values) in ops.parents.into_iter().zip([by_gate, by_up]) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor(values, &shape));
            }
        }
    }
}

/// `silu(gate) · up`.
pub(crate) fn swiglu<const D: usize>(gate: &Tensor<D>, up: &Tensor<D>) -> Option<Tensor<D>> {
    let place = place(gate);
    if place != self::place(up) {
        return None;
    }
    let shape = gate.dims();
    let compute = |[gate, up]: [FlexTensor; 2]| {
        let mut out = vec![0.0; slice(&gate).len()];
        out.par_chunks_mut(CHUNK)
            .zip(slice(&gate).par_chunks(CHUNK))
            .zip(slice(&up).par_chunks(CHUNK))
            .for_each(|((out, gate), up)| forward(gate, up, out));
        (tensor(out, &shape), [gate, up])
    };
    match place {
        Place::Cpu => {
            let (out, _) = compute([plain(gate.clone()), plain(up.clone())]);
            Some(Tensor::from_primitive::<Flex>(out))
        }
        Place::CpuAutodiff => {
            let inputs = [tracked(gate.clone()), tracked(up.clone())];
            Some(recorded(Gate, inputs, compute))
        }
        Place::Elsewhere => None,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::silu;

    use super::super::tests::same;

    #[test]
    fn as_operation_by_operation() {
        let shape: &[usize] = &[2, 3, 70, 41];
        same(
            [(shape, 2.0), (shape, 1.0)],
            |[gate, up]| super::swiglu(gate, up).unwrap(),
            |[gate, up]| silu(gate.clone()) * up.clone(),
        );
    }
}
