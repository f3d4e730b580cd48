//! A weight matrix by rows, and its product with a few vectors.

use half::bf16;
use rayon::prelude::*;

use super::kernel::products;
use super::simd::Stored;

/// Multiplications below which one thread is faster than two.
const PARALLEL_WORK: usize = 512 * 1024;

/// `[rows, columns]`, row-major.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    rows: usize,
    columns: usize,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    F32(Vec<f32>),
    Bf16(Vec<bf16>),
}

impl Matrix {
    /// Stacks matrices of the same `columns`, given row-major, into one. They
    /// are kept as bf16 when every value is one already, as after loading a
    /// bf16 checkpoint: half the memory traffic for the same result.
    pub(super) fn stack(parts: Vec<Vec<f32>>, columns: usize) -> Self {
        let exact = parts
            .iter()
            .flatten()
            .all(|value| bf16::from_f32(*value).to_f32().to_bits() == value.to_bits());
        let count: usize = parts.iter().map(Vec::len).sum();
        let all = parts.iter().flatten();
        let values = if exact {
            let mut halves = Vec::with_capacity(count);
            halves.extend(all.map(|&value| bf16::from_f32(value)));
            Values::Bf16(halves)
        } else {
            let mut floats = Vec::with_capacity(count);
            floats.extend(all);
            Values::F32(floats)
        };
        Self {
            rows: count / columns,
            columns,
            values,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the stored weights.
    pub(super) fn bytes(&self) -> usize {
        match &self.values {
            Values::F32(values) => size_of_val(values.as_slice()),
            Values::Bf16(values) => size_of_val(values.as_slice()),
        }
    }

    /// Copies row `row` into `out`.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        let range = row * self.columns..(row + 1) * self.columns;
        match &self.values {
            Values::F32(values) => out.copy_from_slice(&values[range]),
            Values::Bf16(values) => {
                for (out, value) in out.iter_mut().zip(&values[range]) {
                    *out = value.to_f32();
                }
            }
        }
    }

    /// `outputs[n] = self · inputs[n]`: `inputs` is `[vectors, columns]`,
    /// `outputs` `[vectors, rows]`.
    pub(super) fn apply(&self, inputs: &[f32], outputs: &mut [f32]) {
        match &self.values {
            Values::F32(values) => apply(values, self.rows, self.columns, inputs, outputs),
            Values::Bf16(values) => apply(values, self.rows, self.columns, inputs, outputs),
        }
    }
}

fn apply<W: Stored>(
    weights: &[W],
    rows: usize,
    columns: usize,
    inputs: &[f32],
    outputs: &mut [f32],
) {
    let vectors = inputs.len() / columns;
    let threads = rayon::current_num_threads();
    if threads < 2 || rows * columns * vectors < PARALLEL_WORK {
        products(weights, inputs, columns, outputs, rows);
        return;
    }
    // Two shares a thread, so that a thread that starts late is waited for less.
    let share = rows.div_ceil(threads * 2);
    if vectors == 1 {
        weights
            .par_chunks(share * columns)
            .zip(outputs.par_chunks_mut(share))
            .for_each(|(weights, outputs)| {
                products(weights, inputs, columns, outputs, outputs.len());
            });
        return;
    }
    // With several vectors a share's outputs are strided: each share fills a
    // block of its own, which is copied to its place.
    let blocks: Vec<Vec<f32>> = weights
        .par_chunks(share * columns)
        .map(|weights| {
            let rows = weights.len() / columns;
            let mut block = vec![0.0; rows * vectors];
            products(weights, inputs, columns, &mut block, rows);
            block
        })
        .collect();
    for (number, block) in blocks.iter().enumerate() {
        let width = block.len() / vectors;
        for (n, part) in block.chunks_exact(width).enumerate() {
            outputs[n * rows + number * share..][..width].copy_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 37 % 101) as f32) / 101.0)
            .collect()
    }

    #[test]
    fn threads_and_one_thread_agree() {
        let (rows, columns) = (1030, 516);
        for vectors in [1, 3] {
            let weights = ramp(rows * columns);
            let inputs = ramp(vectors * columns);
            let mut alone = vec![0.0; vectors * rows];
            products(&weights, &inputs, columns, &mut alone, rows);
            let mut shared = vec![0.0; vectors * rows];
            let matrix = Matrix::stack(vec![weights], columns);
            assert!(rows * columns > PARALLEL_WORK);
            matrix.apply(&inputs, &mut shared);
            assert_eq!(alone, shared);
        }
    }

    #[test]
    fn half_width_is_kept_only_when_exact() {
        let exact = Matrix::stack(vec![vec![0.5, -1.25], vec![3.0, 0.0]], 2);
        assert_eq!((exact.rows(), exact.bytes()), (2, 8));
        let inexact = Matrix::stack(vec![vec![0.5, 0.1]], 2);
        assert_eq!((inexact.rows(), inexact.bytes()), (1, 8));
        let mut row = [0.0; 2];
        inexact.copy_row(0, &mut row);
        assert_eq!(row, [0.5, 0.1]);
    }
}
