//! Products of bf16 weights with vectors of f32.
//!
//! The unit multiplies bf16 and adds in f32. A vector's number becomes the sum of two bf16,
//! which has 16 of its 24 bits and more: the nearest, and the nearest to what that leaves. For
//! each 32 columns first the products of the one are added, then those of the other. One vector
//! goes the same way as many, so that what it gets does not depend on how many there are.

#[cfg(test)]
mod tests;
mod tiles;

use std::ops::Range;

use half::bf16;

use self::tiles::{Block, few_by_four, few_by_one};
use super::super::lines::Lines;
use super::super::outputs::Outputs;
use super::super::panels::{PANEL, Panels};
use super::super::team;
use super::{RESIDENT, Sums, TALL, Tiles};
use crate::rows::on_best;

/// bf16 numbers whose sum stands for an f32.
const PARTS: usize = 2;

/// Columns of a tile.
const WIDE: usize = 32;

/// Tiles ahead of its use that a weight is asked for, where each is used few times.
const AHEAD: usize = 4;

/// Panels that are multiplied at the same time at most, and sums that are in tiles.
const MOST: usize = 4;

/// Tiles of columns of which the vectors stay in the first cache: 32 KiB of two groups.
const DEEP: usize = 8;

/// Whether the unit is there and multiplies by matrices of `columns`.
pub(in super::super) fn serves(columns: usize) -> bool {
    columns.is_multiple_of(WIDE) && super::is_there()
}

/// Vectors in parts, in the order in which their tiles are read.
#[derive(Debug)]
pub(in super::super) struct Parts {
    /// `[groups, columns / 32, parts, vectors of a group, 32]`; the last group is filled up.
    values: Lines<bf16>,
    /// Vectors of a group: all where they are few, else 16.
    tall: usize,
    count: usize,
    columns: usize,
}

impl Parts {
    /// Those of `columns` numbers that `vectors` has one after the other.
    pub(in super::super) fn new(vectors: &[f32], columns: usize) -> Self {
        let count = vectors.len() / columns;
        let tall = if count <= TALL { count } else { TALL };
        let group = PARTS * tall * columns;
        let total = count.div_ceil(tall.max(1)) * group;
        let mut values = Lines::with_capacity(total);
        values.grow(total);
        if count <= TALL {
            part(vectors, columns, tall, &mut values);
        } else {
            team::each_part(&mut values, group, |number, values| {
                let vectors = vectors.chunks(tall * columns).nth(number);
                part(vectors.unwrap_or_default(), columns, tall, values);
            });
        }
        Self {
            values,
            tall,
            count,
            columns,
        }
    }

    /// From the group of vector `vector` on.
    fn group(&self, vector: usize) -> &[bf16] {
        &self.values[vector * PARTS * self.columns..]
    }
}

on_best! {
    /// The parts of one group's vectors.
    pub(super) fn part(vectors: &[f32], columns: usize, tall: usize, values: &mut [bf16]) {
        let blocks = values.chunks_exact_mut(PARTS * tall * WIDE);
        for (block, values) in blocks.enumerate() {
            let (first, second) = values.split_at_mut(tall * WIDE);
            let places = first.chunks_exact_mut(WIDE).zip(second.chunks_exact_mut(WIDE));
            for (vector, (first, second)) in vectors.chunks_exact(columns).zip(places) {
                let numbers = &vector[block * WIDE..][..WIDE];
                for ((first, second), number) in first.iter_mut().zip(second).zip(numbers) {
                    let (near, rest) = nearest(*number);
                    (*first, *second) = (near, nearest(rest).0);
                }
            }
        }
    }
}

/// The nearest bf16 and what is left, without a branch; what is not finite leaves no number.
#[inline(always)]
fn nearest(x: f32) -> (bf16, f32) {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    // Rounding would carry into what says that it is not finite.
    let is_finite = bits & 0x7f80_0000 != 0x7f80_0000;
    let half = if is_finite {
        rounded
    } else {
        bits >> 16 | 0x40
    } as u16;
    let half = bf16::from_bits(half);
    (half, x - f32::from_bits(u32::from(half.to_bits()) << 16))
}

/// `outputs[n][r] = rows[r] · vectors[n]` for the rows `r` of `rows`, counted from
/// its start, which begins a panel. Only where [`serves`] says so.
///
/// # Panics
/// When `rows` begins within a panel or ends behind the last row, the vectors have another
/// width, `outputs` has fewer or another number of rows, or there is no such unit.
pub(in super::super) fn products(
    panels: &Panels<bf16>,
    rows: Range<usize>,
    vectors: &Parts,
    outputs: Outputs<'_>,
) {
    let columns = vectors.columns;
    assert!(
        serves(columns) && columns == panels.columns(),
        "no matrix unit"
    );
    assert!(rows.start.is_multiple_of(PANEL) && rows.end <= panels.rows());
    assert!(vectors.count <= outputs.vectors() && rows.len() == outputs.rows());
    let weights = panels.panels_from(rows.start);
    let work = Work {
        weights: &weights[..rows.len().div_ceil(PANEL) * PANEL * columns],
        rows: rows.len(),
        vectors,
        outputs,
    };
    // SAFETY: `serves` found the unit, which comes with AVX-512.
    unsafe { work.run() }
}

/// Rows by vectors.
struct Work<'w> {
    weights: &'w [bf16],
    rows: usize,
    vectors: &'w Parts,
    outputs: Outputs<'w>,
}

impl Work<'_> {
    /// # Safety
    /// The unit must be there.
    #[target_feature(enable = "avx512f")]
    unsafe fn run(mut self) {
        // SAFETY: the caller promises the unit.
        unsafe {
            let _tiles = Tiles::new(self.vectors.tall);
            match self.vectors.count <= TALL {
                true => self.run_few(),
                false => self.run_many(),
            }
        }
    }

    /// One tile of vectors: streams the weights through once.
    ///
    /// # Safety
    /// The tiles must be this thread's.
    #[target_feature(enable = "avx512f")]
    unsafe fn run_few(&mut self) {
        let (tall, columns) = (self.vectors.tall, self.vectors.columns);
        let mut sums = [Sums([[0.0; PANEL]; TALL]); MOST];
        let vectors = self.vectors.values.as_ptr();
        let mut row = 0;
        while row < self.rows {
            let weights = &self.weights[row * columns..];
            let panels = if weights.len() >= 4 * PANEL * columns {
                4
            } else {
                1
            };
            // SAFETY: the caller promises the tiles; there are as many panels, and as many
            // vectors as `tall` says.
            unsafe {
                match panels {
                    4 => few_by_four(weights.as_ptr(), vectors, tall, columns, &mut sums),
                    _ => few_by_one(weights.as_ptr(), vectors, tall, columns, &mut sums),
                }
            }
            for (panel, sums) in sums[..panels].iter().enumerate() {
                self.write(row + panel * PANEL, 0, sums);
            }
            row += panels * PANEL;
        }
    }

    /// Blocks of rows, of vectors and of columns, so that tiles come from the caches.
    ///
    /// # Safety
    /// The tiles must be this thread's.
    #[target_feature(enable = "avx512f")]
    unsafe fn run_many(&mut self) {
        let Parts { count, columns, .. } = *self.vectors;
        let tiles = columns / WIDE;
        let panel = PANEL * columns;
        let pairs = (RESIDENT / (2 * panel * size_of::<bf16>())).max(1);
        let mut sums = vec![[Sums([[0.0; PANEL]; TALL]); 4]; pairs];
        for row in (0..self.rows).step_by(pairs * 2 * PANEL) {
            let weights = &self.weights[row * columns..];
            let weights = &weights[..weights.len().min(pairs * 2 * panel)];
            for vector in (0..count).step_by(2 * TALL) {
                let vectors = self.vectors.group(vector);
                let groups = if vector + TALL < count { 2 } else { 1 };
                sums.fill([Sums([[0.0; PANEL]; TALL]); 4]);
                for from in (0..tiles).step_by(DEEP) {
                    let deep = DEEP.min(tiles - from);
                    for (pair, sums) in weights.chunks(2 * panel).zip(&mut sums) {
                        let block = Block {
                            weights: pair[from * PANEL * WIDE..].as_ptr(),
                            panel,
                            vectors: vectors[from * PARTS * TALL * WIDE..].as_ptr(),
                            group: PARTS * TALL * columns,
                            deep,
                        };
                        let second = Block {
                            vectors: block.vectors.wrapping_add(block.group),
                            ..block
                        };
                        // SAFETY: the caller promises the tiles; the panels and groups that are
                        // named are there.
                        unsafe {
                            match (pair.len() > panel, groups) {
                                (true, 2) => block.two_by_two(sums),
                                (true, _) => block.one_by_two(sums),
                                (false, 2) => {
                                    block.one_by_one(&mut sums[0]);
                                    second.one_by_one(&mut sums[2]);
                                }
                                (false, _) => block.one_by_one(&mut sums[0]),
                            }
                        }
                    }
                }
                let pairs = weights.chunks(2 * panel).zip(&sums).enumerate();
                for (number, (pair, sums)) in pairs {
                    for (group, sums) in sums.chunks(2).take(groups).enumerate() {
                        for (which, sums) in sums.iter().take(pair.len() / panel).enumerate() {
                            let row = row + (2 * number + which) * PANEL;
                            self.write(row, vector + group * TALL, sums);
                        }
                    }
                }
            }
        }
    }

    /// Writes the sums of the panel of row `row` and the group of vector `vector`.
    #[target_feature(enable = "avx512f")]
    fn write(&mut self, row: usize, vector: usize, sums: &Sums<f32>) {
        let width = PANEL.min(self.rows - row);
        let count = self.vectors.tall.min(self.vectors.count - vector);
        for (n, sums) in sums.0[..count].iter().enumerate() {
            super::write(sums, self.outputs.of(vector + n, row, width));
        }
    }
}
