//! Adapters in a pass over the model: `y += scale · B (A x)`, for the rows of a batch
//! that have one, each its own.
//!
//! Source: see [`crate::lora`]. The base's weights are read once for all rows,
//! whatever their adapters and numbers; rows of one adapter share its factors'
//! products. Both add in an order that does not depend on the company.

use super::matrix::{Matrix, Precision};
use crate::lora::{Adapter, Factors};
use crate::qwen3::Qwen3Config;

/// An adapter laid out for the decode step.
#[derive(Clone, Debug)]
pub struct CpuAdapter {
    layers: Vec<LayerChange>,
}

/// What an adapter changes in a layer.
#[derive(Clone, Debug)]
pub(super) struct LayerChange {
    pub(super) query: Option<LowRank>,
    pub(super) key: Option<LowRank>,
    pub(super) value: Option<LowRank>,
    pub(super) output: Option<LowRank>,
    pub(super) mlp: MlpChange,
    /// One an expert, in a sparse layer.
    pub(super) experts: Vec<MlpChange>,
}

/// What an adapter changes in a SwiGLU block.
#[derive(Clone, Debug)]
pub(super) struct MlpChange {
    pub(super) gate: Option<LowRank>,
    pub(super) up: Option<LowRank>,
    pub(super) down: Option<LowRank>,
}

/// The change of one projection. Its numbers are exact, whatever the base's are.
#[derive(Clone, Debug)]
pub(super) struct LowRank {
    /// `[rank, in]`
    a: Matrix,
    /// `[out, rank]`
    b: Matrix,
    scale: f32,
}

impl CpuAdapter {
    /// The parts of `adapter`, which was read for a model of this configuration.
    pub fn new(adapter: &Adapter, config: &Qwen3Config) -> Self {
        Self::named(adapter, config, "model")
    }

    /// [`Self::new`] for a decoder whose modules' names begin with `at`.
    pub fn named(adapter: &Adapter, config: &Qwen3Config, at: &str) -> Self {
        let layer = |number: usize| {
            let at = format!("{at}.layers.{number}");
            let change = |part: &str| {
                let factors = adapter.factors(&format!("{at}.{part}"));
                factors.map(LowRank::new)
            };
            let mlp = |block: &str| MlpChange {
                gate: change(&format!("{block}.gate_proj")),
                up: change(&format!("{block}.up_proj")),
                down: change(&format!("{block}.down_proj")),
            };
            let experts = config.sparse(number).map_or(0, |moe| moe.num_experts);
            LayerChange {
                query: change("self_attn.q_proj"),
                key: change("self_attn.k_proj"),
                value: change("self_attn.v_proj"),
                output: change("self_attn.o_proj"),
                mlp: mlp("mlp"),
                experts: (0..experts)
                    .map(|expert| mlp(&format!("mlp.experts.{expert}")))
                    .collect(),
            }
        };
        Self {
            layers: (0..config.num_hidden_layers).map(layer).collect(),
        }
    }

    pub(super) fn layer(&self, index: usize) -> Option<&LayerChange> {
        self.layers.get(index)
    }
}

impl LowRank {
    fn new(factors: &Factors) -> Self {
        let (rank, exact) = (factors.rank, Precision::Exact);
        Self {
            a: Matrix::of(&factors.a, factors.a.len() / rank, exact),
            b: Matrix::of(&factors.b, rank, exact),
            scale: factors.scale,
        }
    }
}

/// For each row of a batch, the part of its adapter that changes something here.
#[derive(Debug)]
pub(super) struct Changes<'a, T> {
    /// Empty when no row has one.
    by_row: Vec<Option<&'a T>>,
}

/// Buffers that a step reuses.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffers {
    rows: Vec<usize>,
    inputs: Vec<f32>,
    inner: Vec<f32>,
    products: Vec<f32>,
}

impl<'a, T> Changes<'a, T> {
    pub(super) fn new(by_row: impl IntoIterator<Item = Option<&'a T>>) -> Self {
        let mut by_row: Vec<Option<&T>> = by_row.into_iter().collect();
        if by_row.iter().all(Option::is_none) {
            by_row.clear();
        }
        Self { by_row }
    }

    /// A part of each.
    pub(super) fn part<U>(&self, part: impl Fn(&'a T) -> Option<&'a U>) -> Changes<'a, U> {
        Changes::new(self.by_row.iter().map(|change| change.and_then(&part)))
    }

    /// Those of some of the rows.
    pub(super) fn of_rows(&self, rows: impl IntoIterator<Item = usize>) -> Self {
        match self.by_row.is_empty() {
            true => Self { by_row: Vec::new() },
            false => Self::new(rows.into_iter().map(|row| self.by_row[row])),
        }
    }
}

impl Changes<'_, LowRank> {
    /// Adds each row's change of `inputs` `[rows, in]` to its `outputs`
    /// `[rows, width]`, from column `start` on.
    pub(super) fn add(
        &self,
        inputs: &[f32],
        outputs: &mut [f32],
        start: usize,
        buffers: &mut Buffers,
    ) {
        let count = self.by_row.len();
        if count == 0 {
            return;
        }
        let (columns, width) = (inputs.len() / count, outputs.len() / count);
        for (first, change) in self.by_row.iter().enumerate() {
            let Some(change) = *change else { continue };
            let same = |other: &Option<&LowRank>| other.is_some_and(|o| std::ptr::eq(o, change));
            if self.by_row[..first].iter().any(same) {
                continue;
            }
            buffers.rows.clear();
            buffers.inputs.clear();
            for row in (first..count).filter(|&row| same(&self.by_row[row])) {
                buffers.rows.push(row);
                let input = &inputs[row * columns..][..columns];
                buffers.inputs.extend_from_slice(input);
            }
            let (rank, out) = (change.a.rows(), change.b.rows());
            buffers.inner.resize(buffers.rows.len() * rank, 0.0);
            buffers.products.resize(buffers.rows.len() * out, 0.0);
            change.a.apply(&buffers.inputs, &mut buffers.inner);
            change.b.apply(&buffers.inner, &mut buffers.products);
            let products = buffers.products.chunks_exact(out);
            for (&row, product) in buffers.rows.iter().zip(products) {
                let output = &mut outputs[row * width + start..][..out];
                for (y, product) in output.iter_mut().zip(product) {
                    *y += change.scale * product;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn low_rank(seed: usize, rank: usize, input: usize, output: usize) -> LowRank {
        let numbers = |count: usize| (0..count).map(move |i| ((i * 37 + seed) % 19) as f32 / 7.3);
        LowRank::new(&Factors {
            rank,
            a: numbers(rank * input).collect(),
            b: numbers(output * rank).collect(),
            scale: 0.25,
        })
    }

    #[test]
    fn a_row_gets_the_same_bits_alone_and_among_others() {
        let (input, output, width, start) = (37, 5, 9, 3);
        let [first, second] = [
            low_rank(1, 3, input, output),
            low_rank(2, 20, input, output),
        ];
        let by_row = [
            Some(&first),
            None,
            Some(&second),
            Some(&first),
            None,
            Some(&first),
        ];
        let inputs: Vec<f32> = (0..by_row.len() * input)
            .map(|i| (i * 31 % 23) as f32 - 11.3)
            .collect();
        let before: Vec<f32> = (0..by_row.len() * width).map(|i| i as f32).collect();
        let mut together = before.clone();
        let mut buffers = Buffers::default();
        Changes::new(by_row).add(&inputs, &mut together, start, &mut buffers);
        for (row, change) in by_row.into_iter().enumerate() {
            let mut alone = before[row * width..][..width].to_vec();
            let input = &inputs[row * input..][..input];
            Changes::new([change]).add(input, &mut alone, start, &mut buffers);
            assert_eq!(together[row * width..][..width], alone, "row {row}");
            let untouched = change.is_none();
            assert_eq!(alone == before[row * width..][..width], untouched);
            // Nothing beside its columns.
            assert_eq!(alone[..start], before[row * width..][..start]);
            assert_eq!(alone[start + output], before[row * width + start + output]);
        }
    }

    #[test]
    fn rows_are_picked_by_number() {
        let [first, second] = [low_rank(1, 1, 2, 2), low_rank(2, 1, 2, 2)];
        let changes = Changes::new([Some(&first), None, Some(&second)]);
        let picked = changes.of_rows([2, 1, 2]);
        assert!(std::ptr::eq(picked.by_row[0].unwrap(), &second));
        assert!(picked.by_row[1].is_none() && picked.by_row.len() == 3);
        assert!(changes.of_rows([1]).by_row.is_empty());
        assert!(
            Changes::<LowRank>::new([None, None])
                .of_rows([7])
                .by_row
                .is_empty()
        );
    }
}
