//! Weight matrices in panels of rows, and their products with vectors.
//!
//! ```text
//! a panel: 16 rows side by side      w[0][k] w[1][k] … w[15][k]                for each column k
//!          in bf16 by two columns    w[0][k] w[0][k+1] w[1][k] … w[15][k+1]    for k = 0, 2, …
//! ```
//!
//! A register holds a column of a panel, so that a product is a register times one number of
//! the vector, and each output has a sum of its own that takes the columns in their order:
//! nothing is added across lanes, and what an output gets does not depend on how many
//! vectors, or which other rows, are multiplied with it. With many vectors this is the inner
//! loop of a matrix product (Goto and van de Geijn, *Anatomy of High-Performance Matrix
//! Multiplication*, 2008); with one it streams the weights through once.

use super::kernel::{ISA, Isa};
use super::lines::{LINE, Lines};
use super::outputs::Outputs;
use half::bf16;

#[cfg(target_arch = "x86_64")]
use super::simd::x86::{Avx2, Avx512};
use super::simd::{Baseline, Simd, Stored};

/// Rows of a panel.
pub(super) const PANEL: usize = 16;

/// Panels that are multiplied at the same time at most.
const MOST: usize = 4;

/// How far ahead of its use a weight is asked for, where each is used few times.
const PREFETCH_BYTES: usize = 1024;

/// `[rows, columns]` in panels, the last of which is filled up with zeros, as is an odd number
/// of columns.
#[derive(Clone, Debug)]
pub(super) struct Panels<W> {
    values: Lines<W>,
    rows: usize,
    columns: usize,
}

impl Panels<bf16> {
    /// The same numbers in f32.
    pub(super) fn to_f32(&self, capacity: usize) -> Panels<f32> {
        let mut floats = Panels::with_capacity(capacity, self.columns);
        let mut numbers = vec![0.0; self.columns];
        for row in 0..self.rows {
            self.copy_row(row, &mut numbers);
            floats.push(&numbers, |x| x);
        }
        floats
    }
}

impl<W: Stored> Panels<W> {
    /// No rows yet, and room for `rows` of `columns`.
    pub(super) fn with_capacity(rows: usize, columns: usize) -> Self {
        Self {
            values: Lines::with_capacity(rows.next_multiple_of(PANEL) * stored(columns)),
            rows: 0,
            columns,
        }
    }

    /// Takes more rows, each number as `of` has it.
    pub(super) fn push(&mut self, rows: &[f32], of: impl Fn(f32) -> W) {
        let panel = PANEL * stored(self.columns);
        for row in rows.chunks_exact(self.columns) {
            if self.rows.is_multiple_of(PANEL) {
                self.values.grow(panel);
            }
            let from = self.first_of(self.rows);
            let places = self.values[from..].chunks_mut(PANEL * W::TOGETHER);
            for (place, numbers) in places.zip(row.chunks(W::TOGETHER)) {
                for (place, x) in place.iter_mut().zip(numbers) {
                    *place = of(*x);
                }
            }
            self.rows += 1;
        }
    }

    /// Where the first number of a row is.
    fn first_of(&self, row: usize) -> usize {
        row / PANEL * PANEL * stored(self.columns) + row % PANEL * W::TOGETHER
    }

    /// The panels from that of row `row` on.
    pub(super) fn panels_from(&self, row: usize) -> &[W] {
        &self.values[self.first_of(row)..]
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes of the rows.
    pub(super) fn bytes(&self) -> usize {
        self.rows * self.columns * size_of::<W>()
    }

    /// Copies row `row` into `out`.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        let values = self.values[self.first_of(row)..].chunks(PANEL * W::TOGETHER);
        for (out, values) in out.chunks_mut(W::TOGETHER).zip(values) {
            for (out, value) in out.iter_mut().zip(values) {
                *out = value.value();
            }
        }
    }

    /// `outputs[n][r] = rows[r] · inputs[n]` for the rows `r` of `rows`, counted from its start,
    /// which begins a panel, and the vectors `n` of `inputs`.
    ///
    /// # Panics
    /// When `rows` begins within a panel or ends behind the last row, and when `outputs` has
    /// fewer vectors or another number of rows.
    pub(super) fn products(
        &self,
        rows: std::ops::Range<usize>,
        inputs: &[f32],
        outputs: Outputs<'_>,
    ) {
        self.products_on(*ISA, rows, inputs, outputs);
    }

    fn products_on(
        &self,
        isa: Isa,
        rows: std::ops::Range<usize>,
        inputs: &[f32],
        outputs: Outputs<'_>,
    ) {
        assert!(rows.start.is_multiple_of(PANEL) && rows.end <= self.rows);
        let work = Work {
            panels: self.panels_from(rows.start),
            rows: rows.len(),
            columns: self.columns,
            inputs,
            outputs,
        };
        work.run_on(isa);
    }
}

/// The products of [`Panels::products`] with rows that lie in panels elsewhere: `panels` are
/// whole ones of an even number of `columns`, one behind the other.
///
/// # Panics
/// When `outputs` has fewer vectors or another number of rows.
pub(super) fn products<W: Stored>(
    panels: &[W],
    columns: usize,
    inputs: &[f32],
    outputs: Outputs<'_>,
) {
    let work = Work {
        panels,
        rows: panels.len() / stored(columns),
        columns,
        inputs,
        outputs,
    };
    work.run_on(*ISA);
}

/// Columns that are stored of `columns`: two are loaded at a time.
const fn stored(columns: usize) -> usize {
    columns.next_multiple_of(2)
}

/// Rows by vectors.
struct Work<'w, W> {
    /// From the first row's panel on.
    panels: &'w [W],
    rows: usize,
    columns: usize,
    inputs: &'w [f32],
    outputs: Outputs<'w>,
}

impl<W: Stored> Work<'_, W> {
    fn run_on(mut self, isa: Isa) {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        fn avx512<W: Stored>(work: Work<'_, W>) {
            // SAFETY: this function has the instruction set.
            unsafe { work.run::<Avx512, 1>() }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2<W: Stored>(work: Work<'_, W>) {
            // SAFETY: this function has the instruction set.
            unsafe { work.run::<Avx2, 2>() }
        }
        let vectors = self.inputs.len() / self.columns;
        self.inputs = &self.inputs[..vectors * self.columns];
        assert!(vectors <= self.outputs.vectors() && self.rows == self.outputs.rows());
        match isa {
            // SAFETY: it was found on this machine.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512(self) },
            // SAFETY: it was found on this machine.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2(self) },
            // SAFETY: arrays are always there.
            Isa::Baseline => unsafe { self.run::<Baseline, 4>() },
        }
    }

    /// Panels one after the other, each against all vectors while it is in the cache; as
    /// many of both at a time as leave all sums in registers. A panel is `R` registers.
    ///
    /// # Safety
    /// The instruction set must be present.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize>(mut self) {
        let vectors = self.inputs.len() / self.columns;
        let mut row = 0;
        while row < self.rows {
            let left = (self.rows - row).div_ceil(PANEL);
            let mut done = 0;
            // Few vectors take more panels, so that there are sums to add to while others wait.
            let panels = match vectors {
                1 | 2 if R == 1 && left >= 4 => 4,
                1 if R == 2 && left >= 4 => 4,
                _ if R == 1 && left >= 2 => 2,
                _ => 1,
            };
            while done < vectors {
                let place = (row, done);
                // SAFETY: the caller promises the instruction set; there are as many
                // panels and vectors.
                done += unsafe {
                    match (R, panels, vectors - done) {
                        (1, 4, 2) => self.tile::<S, 4, 2, R>(place),
                        (1 | 2, 4, _) => self.tile::<S, 4, 1, R>(place),
                        (1, 2, 12..) => self.tile::<S, 2, 12, R>(place),
                        (1, 2, 8..) => self.tile::<S, 2, 8, R>(place),
                        (1, 2, 4..) => self.tile::<S, 2, 4, R>(place),
                        (1, 2, 2..) => self.tile::<S, 2, 2, R>(place),
                        (1, 2, _) => self.tile::<S, 2, 1, R>(place),
                        (1, _, 12..) => self.tile::<S, 1, 12, R>(place),
                        (1, _, 8..) => self.tile::<S, 1, 8, R>(place),
                        (2, _, 6..) => self.tile::<S, 1, 6, R>(place),
                        (1 | 2, _, 4..) => self.tile::<S, 1, 4, R>(place),
                        (_, _, 2..) => self.tile::<S, 1, 2, R>(place),
                        _ => self.tile::<S, 1, 1, R>(place),
                    }
                };
            }
            row += panels * PANEL;
        }
    }

    /// `P` panels from row `row` on by `N` vectors from `vector` on; returns `N`.
    ///
    /// # Safety
    /// The instruction set must be present, and as many panels and vectors.
    #[expect(
        clippy::needless_range_loop,
        reason = "indices run over registers: iterators would keep them in memory"
    )]
    #[inline(always)]
    unsafe fn tile<S: Simd, const P: usize, const N: usize, const R: usize>(
        &mut self,
        (row, vector): (usize, usize),
    ) -> usize {
        let columns = self.columns;
        let panel = PANEL * stored(columns);
        let panels = self.panels[row / PANEL * panel..][..P * panel].as_ptr();
        let inputs = self.inputs[vector * columns..][..N * columns].as_ptr();
        // SAFETY: the caller promises the instruction set; all loads are within the two
        // slices above, and a prefetch may be anywhere.
        let sums = unsafe {
            let mut sums = [[[S::zero(); R]; N]; P];
            // Where the panels end, those of the next tile are what will be used.
            let ahead = PREFETCH_BYTES / size_of::<W>();
            let tail = columns.saturating_sub(ahead / PANEL);
            let mut k = 0;
            while k < columns {
                let jump = if k < tail { 0 } else { (P - 1) * panel };
                let mut weights = [[[S::zero(); 2]; R]; P];
                for p in 0..P {
                    let from = panels.add(p * panel + k * PANEL);
                    if N <= 8 {
                        for line in 0..2 * PANEL * size_of::<W>() / LINE {
                            let line = from
                                .wrapping_add(ahead + jump)
                                .cast::<u8>()
                                .wrapping_add(line * LINE);
                            S::prefetch(line);
                        }
                    }
                    for r in 0..R {
                        let from = from.add(r * S::LANES * W::TOGETHER);
                        weights[p][r] = W::load_columns::<S>(from, PANEL);
                    }
                }
                for n in 0..N {
                    let input = S::splat(*inputs.add(n * columns + k));
                    for p in 0..P {
                        for r in 0..R {
                            sums[p][n][r] = S::mul_add(weights[p][r][0], input, sums[p][n][r]);
                        }
                    }
                }
                if k + 1 < columns {
                    for n in 0..N {
                        let input = S::splat(*inputs.add(n * columns + k + 1));
                        for p in 0..P {
                            for r in 0..R {
                                sums[p][n][r] = S::mul_add(weights[p][r][1], input, sums[p][n][r]);
                            }
                        }
                    }
                }
                k += 2;
            }
            sums
        };
        let count = (P * PANEL).min(self.rows - row);
        let mut out = [0.0; MOST * PANEL];
        for n in 0..N {
            let outputs = self.outputs.of(vector + n, row, count);
            let whole = count == P * PANEL;
            let to = if whole {
                outputs.as_mut_ptr()
            } else {
                out.as_mut_ptr()
            };
            for p in 0..P {
                for r in 0..R {
                    // SAFETY: both have room for as many panels, `out` for any number of them.
                    unsafe { S::store(to.add(p * PANEL + r * S::LANES), sums[p][n][r]) };
                }
            }
            if !whole {
                outputs.copy_from_slice(&out[..count]);
            }
        }
        N
    }
}

#[cfg(test)]
mod tests {
    use super::super::arbitrary::halves as numbers;
    use super::super::kernel::available;
    use super::*;

    fn panels<W: Stored>(rows: &[f32], columns: usize, of: impl Fn(f32) -> W) -> Panels<W> {
        let mut panels = Panels::with_capacity(rows.len() / columns, columns);
        // In parts that do not end with a panel.
        for part in rows.chunks(5 * columns) {
            panels.push(part, &of);
        }
        panels
    }

    #[test]
    fn every_instruction_set_gives_the_product_and_the_same_in_company() {
        for (rows, columns) in [(1, 1), (16, 40), (37, 33), (150, 130)] {
            let weights = numbers(rows * columns, 3);
            let floats = panels(&weights, columns, |x| x);
            let halves = panels(&weights, columns, bf16::from_f32);
            assert_eq!((floats.rows(), halves.rows()), (rows, rows));
            let mut copied = vec![f32::NAN; columns];
            halves.copy_row(rows - 1, &mut copied);
            assert_eq!(copied, weights[(rows - 1) * columns..]);
            let inputs = numbers(27 * columns, 7);
            for isa in available() {
                let stride = rows + 3;
                let mut alone = vec![f32::NAN; 27 * stride];
                for (n, input) in inputs.chunks(columns).enumerate() {
                    let outputs = Outputs::new(&mut alone[n * stride..], rows, stride);
                    floats.products_on(isa, 0..rows, input, outputs);
                }
                for n in 0..27 {
                    for r in 0..rows {
                        let row = &weights[r * columns..][..columns];
                        let input = &inputs[n * columns..][..columns];
                        let terms = row.iter().zip(input);
                        let exact: f64 = terms.map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                        let got = f64::from(alone[n * stride + r]);
                        assert!((got - exact).abs() < 1e-5, "{isa:?} row {r}: {got} {exact}");
                    }
                }
                for count in [1, 2, 3, 5, 7, 8, 13, 27] {
                    let mut all = vec![f32::NAN; count * stride];
                    let some = &inputs[..count * columns];
                    let outputs = Outputs::new(&mut all, rows, stride);
                    halves.products_on(isa, 0..rows, some, outputs);
                    for n in 0..count {
                        let places = n * stride..n * stride + rows;
                        assert_eq!(all[places.clone()], alone[places], "{isa:?} {count}");
                    }
                }
                // A part that begins with the second panel.
                if rows > PANEL {
                    let mut part = vec![f32::NAN; rows - PANEL];
                    let outputs = Outputs::new(&mut part, rows - PANEL, rows - PANEL);
                    floats.products_on(isa, PANEL..rows, &inputs[..columns], outputs);
                    assert_eq!(part, alone[PANEL..rows]);
                }
            }
        }
    }
}
