//! The feed-forward of a decode step, dense or sparse. Follows
//! [`crate::qwen3::mlp`] and [`crate::qwen3::moe`].

use rayon::prelude::*;

use super::exp::swiglu;
use super::low_rank::{self, Changes, LayerChange, MlpChange};
use super::matrix::Matrix;

/// Rows whose gates a thread takes at least: fewer are done before another is awake.
const ROWS: usize = 8;

/// The block after attention.
#[derive(Clone, Debug)]
pub(super) enum FeedForward {
    Dense(Mlp),
    Sparse(Moe),
}

/// A SwiGLU block.
#[derive(Clone, Debug)]
pub(super) struct Mlp {
    /// Rows: gate, up.
    pub(super) gate_up: Matrix,
    pub(super) down: Matrix,
}

/// A router and its experts.
#[derive(Clone, Debug)]
pub(super) struct Moe {
    pub(super) router: Matrix,
    pub(super) experts: Vec<Mlp>,
    pub(super) experts_per_token: usize,
    pub(super) normalise: bool,
}

/// Buffers that a step reuses.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    mlp: MlpBuffers,
    router: Vec<f32>,
    choices: Vec<Choice>,
    inputs: Vec<f32>,
    outputs: Vec<f32>,
}

/// Those of one block.
#[derive(Clone, Debug, Default)]
struct MlpBuffers {
    gate_up: Vec<f32>,
    inner: Vec<f32>,
    low_rank: low_rank::Buffers,
}

/// An expert that a token is shown to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Choice {
    expert: usize,
    token: usize,
    share: f32,
}

impl FeedForward {
    /// `inputs` and `outputs` are `[tokens, hidden]`.
    pub(super) fn apply(
        &self,
        inputs: &[f32],
        outputs: &mut [f32],
        changes: &Changes<'_, LayerChange>,
        buffers: &mut Buffers,
    ) {
        match self {
            Self::Dense(mlp) => {
                let changes = changes.part(|change| Some(&change.mlp));
                mlp.apply(inputs, outputs, &changes, &mut buffers.mlp);
            }
            Self::Sparse(moe) => moe.apply(inputs, outputs, changes, buffers),
        }
    }

    /// Bytes of weights that one token reads.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Dense(mlp) => mlp.bytes(),
            Self::Sparse(moe) => {
                let expert = moe.experts.first().map_or(0, Mlp::bytes);
                moe.router.bytes() + moe.experts_per_token * expert
            }
        }
    }
}

impl Mlp {
    fn bytes(&self) -> usize {
        self.gate_up.bytes() + self.down.bytes()
    }

    fn apply(
        &self,
        inputs: &[f32],
        outputs: &mut [f32],
        changes: &Changes<'_, MlpChange>,
        buffers: &mut MlpBuffers,
    ) {
        let MlpBuffers {
            gate_up,
            inner,
            low_rank,
        } = buffers;
        let tokens = inputs.len() / self.gate_up.columns();
        let width = self.gate_up.rows() / 2;
        gate_up.resize(tokens * 2 * width, 0.0);
        inner.resize(tokens * width, 0.0);
        self.gate_up.apply(inputs, gate_up);
        let gates = changes.part(|change| change.gate.as_ref());
        gates.add(inputs, gate_up, 0, low_rank);
        let ups = changes.part(|change| change.up.as_ref());
        ups.add(inputs, gate_up, width, low_rank);
        let rows = gate_up
            .par_chunks_exact(2 * width)
            .with_min_len(ROWS)
            .zip(inner.par_chunks_exact_mut(width));
        rows.for_each(|(row, product)| {
            let (gate, up) = row.split_at(width);
            swiglu(gate, up, product);
        });
        self.down.apply(inner, outputs);
        let downs = changes.part(|change| change.down.as_ref());
        downs.add(inner, outputs, 0, low_rank);
    }
}

impl Moe {
    /// Reads the weights of the chosen experts alone, each once for all tokens
    /// that chose it.
    fn apply(
        &self,
        inputs: &[f32],
        outputs: &mut [f32],
        changes: &Changes<'_, LayerChange>,
        buffers: &mut Buffers,
    ) {
        let hidden = self.router.columns();
        let tokens = inputs.len() / hidden;
        buffers.router.resize(tokens * self.experts.len(), 0.0);
        self.router.apply(inputs, &mut buffers.router);
        buffers.choices.clear();
        for (token, logits) in buffers
            .router
            .chunks_exact_mut(self.experts.len())
            .enumerate()
        {
            self.choose(token, logits, &mut buffers.choices);
        }
        buffers
            .choices
            .sort_unstable_by_key(|choice| (choice.expert, choice.token));

        outputs.fill(0.0);
        for choices in buffers.choices.chunk_by(|a, b| a.expert == b.expert) {
            buffers.inputs.clear();
            for choice in choices {
                let row = &inputs[choice.token * hidden..][..hidden];
                buffers.inputs.extend_from_slice(row);
            }
            buffers.outputs.resize(buffers.inputs.len(), 0.0);
            let expert = choices[0].expert;
            let changes = changes
                .of_rows(choices.iter().map(|choice| choice.token))
                .part(|change| change.experts.get(expert));
            self.experts[expert].apply(
                &buffers.inputs,
                &mut buffers.outputs,
                &changes,
                &mut buffers.mlp,
            );
            for (choice, row) in choices.iter().zip(buffers.outputs.chunks_exact(hidden)) {
                let sum = &mut outputs[choice.token * hidden..][..hidden];
                for (sum, value) in sum.iter_mut().zip(row) {
                    *sum += choice.share * value;
                }
            }
        }
    }

    /// The experts of one token by its router logits, which are used up.
    fn choose(&self, token: usize, logits: &mut [f32], choices: &mut Vec<Choice>) {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for logit in logits.iter_mut() {
            *logit = (*logit - largest).exp();
            sum += *logit;
        }
        let start = choices.len();
        for _ in 0..self.experts_per_token {
            let mut expert = 0;
            for (candidate, weight) in logits.iter().enumerate() {
                // The first of equals, and of what is not a number.
                if *weight > logits[expert] {
                    expert = candidate;
                }
            }
            choices.push(Choice {
                expert,
                token,
                share: logits[expert] / sum,
            });
            logits[expert] = f32::NEG_INFINITY;
        }
        if self.normalise {
            let total: f32 = choices[start..].iter().map(|choice| choice.share).sum();
            for choice in &mut choices[start..] {
                choice.share /= total;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::matrix::Precision;
    use super::*;

    fn moe(normalise: bool) -> Moe {
        let mlp = Mlp {
            gate_up: Matrix::of(&[1.0; 4], 2, Precision::Exact),
            down: Matrix::of(&[1.0; 2], 1, Precision::Exact),
        };
        Moe {
            router: Matrix::of(&[0.0; 8], 2, Precision::Exact),
            experts: vec![mlp; 4],
            experts_per_token: 2,
            normalise,
        }
    }

    #[test]
    fn the_largest_are_chosen_and_shares_sum_to_one_when_asked() {
        let logits = [0.1_f32.ln(), 0.4_f32.ln(), 0.2_f32.ln(), 0.3_f32.ln()];
        for (normalise, expected) in [(false, [0.4, 0.3]), (true, [4.0 / 7.0, 3.0 / 7.0])] {
            let mut choices = Vec::new();
            moe(normalise).choose(5, &mut logits.clone(), &mut choices);
            let experts: Vec<usize> = choices.iter().map(|choice| choice.expert).collect();
            assert_eq!(experts, [1, 3]);
            for (choice, share) in choices.iter().zip(expected) {
                assert!((choice.share - share).abs() < 1e-6);
                assert_eq!(choice.token, 5);
            }
        }
    }

    #[test]
    fn a_token_counts_the_bytes_of_its_own_experts() {
        let moe = FeedForward::Sparse(moe(true));
        // bf16: the router 8, each of two experts 4 + 2.
        assert_eq!(moe.bytes(), 2 * (8 + 2 * (4 + 2)));
    }
}
