//! Log-probabilities of chosen tokens, and the entropy of what they were chosen from.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::ROWS;
use crate::nhwc::tracked::{Place, numbers, place, plain, recorded, slice, tensor, tracked};
use crate::qwen3::cpu::exp::exp;
use crate::rows::{on_best, sum};

on_best! {
    /// `total` of a row is the logarithm of the sum of the exponentials of what is divided by
    /// the temperature; `mean` the mean of that, under the distribution.
    pub(super) fn forward_row(logits: &[f32], inverse: f32, total: &mut f32, mean: &mut f32) {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let (lanes, rest) = logits.as_chunks::<16>();
        let (mut sums, mut means) = ([0.0_f32; 16], [0.0_f32; 16]);
        for chunk in lanes {
            for ((sum, mean), &x) in sums.iter_mut().zip(&mut means).zip(chunk) {
                let moved = (x - largest) * inverse;
                let weight = exp(moved);
                *sum += weight;
                *mean += weight * moved;
            }
        }
        let of_rest = |x: f32| exp((x - largest) * inverse);
        let all = sum(&sums, |x| x) + sum(rest, of_rest);
        let weighed = sum(&means, |x| x) + sum(rest, |x| of_rest(x) * (x - largest) * inverse);
        *total = largest * inverse + all.ln();
        *mean = largest * inverse + weighed / all;
    }
}

on_best! {
    /// The derivative by a row of logits: `by_logp` and `by_entropy` are those of its
    /// outcomes, without the chosen token's own part.
    pub(super) fn backward_row(
        logits: &[f32],
        inverse: f32,
        total: f32,
        mean: f32,
        by_outcomes: [f32; 2],
        out: &mut [f32],
    ) {
        let [by_logp, by_entropy] = by_outcomes;
        for (out, &x) in out.iter_mut().zip(logits) {
            let scaled = x * inverse;
            let share = exp(scaled - total);
            // The entropy is `total − mean`, and its derivative `−share · (scaled − mean)`.
            *out = -inverse * share * (by_logp + by_entropy * (scaled - mean));
        }
    }
}

#[derive(Debug)]
struct Chosen;

#[derive(Clone, Debug)]
struct State {
    logits: FlexTensor,
    targets: Vec<usize>,
    inverse: f32,
    /// Of each row, see [`forward_row`].
    totals: Vec<f32>,
    means: Vec<f32>,
}

impl Backward<Flex, 1> for Chosen {
    type State = State;

    fn backward(self, ops: Ops<State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [node] = ops.parents;
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let Some(node) = node else { return };
        let State {
            logits,
            targets,
            inverse,
            totals,
            means,
        } = ops.state;
        let shape: Vec<usize> = logits.layout().shape().to_vec();
        let (logits, count) = (slice(&logits), targets.len());
        let (by_logp, by_entropy) = slice(&grad).split_at(count);
        let width = (logits.len() / count.max(1)).max(1);
        let mut out = vec![0.0; logits.len()];
        out.par_chunks_mut(width)
            .with_min_len(ROWS)
            .zip(logits.par_chunks(width))
            .enumerate()
            .for_each(|(at, (out, logits))| {
                let slopes = [by_logp[at], by_entropy[at]];
                backward_row(logits, inverse, totals[at], means[at], slopes, out);
                out[targets[at]] += inverse * by_logp[at];
            });
        grads.register::<Flex>(node.id, tensor(out, &shape));
    }
}

/// Of logits `[1, count, vocab]` divided by `temperature`: the log-probability of each of the
/// `count` targets, and the entropy, both `[count]`, in nats.
///
/// # Panics
/// When there are not as many targets as rows, or one is beyond the vocabulary.
pub fn chosen(logits: &Tensor<3>, targets: &[i64], temperature: f64) -> Option<[Tensor<1>; 2]> {
    let [_, count, width] = logits.dims();
    assert_eq!(count, targets.len(), "targets");
    let targets: Vec<usize> = targets.iter().map(|&target| target as usize).collect();
    assert!(targets.iter().all(|target| *target < width), "vocabulary");
    let inverse = (1.0 / temperature) as f32;
    let compute = |[logits]: [FlexTensor; 1]| {
        let values = slice(&logits);
        let (mut totals, mut means) = (vec![0.0; count], vec![0.0; count]);
        values
            .par_chunks(width)
            .with_min_len(ROWS)
            .zip(&mut totals)
            .zip(&mut means)
            .for_each(|((logits, total), mean)| forward_row(logits, inverse, total, mean));
        let rows = values.chunks(width).zip(&targets).zip(&totals);
        let mut out: Vec<f32> = rows
            .map(|((logits, &target), total)| logits[target] * inverse - total)
            .collect();
        out.extend(totals.iter().zip(&means).map(|(total, mean)| total - mean));
        let state = State {
            logits,
            targets,
            inverse,
            totals,
            means,
        };
        (tensor(out, &[2, count]), state)
    };
    let both: Tensor<2> = match place(logits) {
        Place::Cpu => Tensor::from_primitive::<Flex>(compute([plain(logits.clone())]).0),
        Place::CpuAutodiff => recorded(Chosen, [tracked(logits.clone())], compute),
        Place::Elsewhere => return None,
    };
    Some([0, 1].map(|row| both.clone().narrow(0, row, 1).reshape([count])))
}

#[cfg(test)]
mod tests {
    use burn::tensor::activation::log_softmax;
    use burn::tensor::{Int, Tensor, TensorData};

    use super::super::tests::same;

    #[test]
    fn as_operation_by_operation() {
        let (count, width) = (70, 37);
        let targets: Vec<i64> = (0..count as i64).map(|at| at * 7 % 37).collect();
        same(
            [(&[1, 1, count, width], 3.0)],
            |[logits]| {
                let logits = logits.clone().reshape([1, count, width]);
                Tensor::stack::<2>(super::chosen(&logits, &targets, 0.7).unwrap().to_vec(), 0)
            },
            |[logits]| {
                let all = log_softmax(logits.clone().reshape([count, width]) / 0.7, 1);
                let data = TensorData::new(targets.clone(), [count, 1]);
                let places = Tensor::<2, Int>::from_data(data, &all.device());
                let entropy = (all.clone().exp() * all.clone()).sum_dim(1).neg();
                let rows = [all.gather(1, places), entropy].map(|x| x.reshape([count]));
                Tensor::stack::<2>(rows.to_vec(), 0)
            },
        );
    }
}
