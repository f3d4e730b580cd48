//! Products of bf16 weights with vectors of f32.
//!
//! The unit multiplies bf16 and adds in f32. A vector's number becomes the sum of two bf16,
//! which has 16 of its 24 bits and more: the nearest, and the nearest to what that leaves. Both
//! are rows of the tiles, and their sums are added at the end. One vector goes the same way as
//! many, so that what it gets does not depend on how many there are.

use std::ops::Range;

use half::bf16;

use super::super::lines::Lines;
use super::super::panels::{PANEL, Panels};
use super::super::team;
use super::{Sums, TALL, Tiles, add_products, ask_for, load, store, zero};
use crate::rows::on_best;

/// bf16 numbers whose sum stands for an f32.
const PARTS: usize = 2;

/// Vectors whose parts are in one tile.
const FEW: usize = TALL / PARTS;

/// Columns of a tile.
const WIDE: usize = 32;

/// Tiles ahead of its use that a weight is asked for.
const AHEAD: usize = 4;

/// Panels that are multiplied at the same time at most.
const MOST: usize = 4;

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
        let tall = if count <= FEW { count } else { TALL };
        let group = PARTS * tall * columns;
        let total = count.div_ceil(tall.max(1)) * group;
        let mut values = Lines::with_capacity(total);
        values.grow(total);
        if count <= FEW {
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
    fn part(vectors: &[f32], columns: usize, tall: usize, values: &mut [bf16]) {
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

/// `outputs[n·stride + r] = rows[r] · vectors[n]` for the rows `r` of `rows`, counted from
/// its start, which begins a panel. Only where [`serves`] says so.
///
/// # Panics
/// When `rows` begins within a panel or ends behind the last row, the vectors have another
/// width, `outputs` is too short, or there is no such unit.
pub(in super::super) fn products(
    panels: &Panels<bf16>,
    rows: Range<usize>,
    vectors: &Parts,
    outputs: &mut [f32],
    stride: usize,
) {
    let columns = vectors.columns;
    assert!(
        serves(columns) && columns == panels.columns(),
        "no matrix unit"
    );
    assert!(rows.start.is_multiple_of(PANEL) && rows.end <= panels.rows());
    let weights = panels.panels_from(rows.start);
    let work = Work {
        weights: &weights[..rows.len().div_ceil(PANEL) * PANEL * columns],
        rows: rows.len(),
        vectors,
        outputs,
        stride,
    };
    // SAFETY: `serves` found the unit, which comes with AVX-512.
    unsafe { work.run() }
}

/// Rows by vectors.
struct Work<'w> {
    weights: &'w [bf16],
    rows: usize,
    vectors: &'w Parts,
    outputs: &'w mut [f32],
    stride: usize,
}

impl Work<'_> {
    /// # Safety
    /// The unit must be there.
    #[target_feature(enable = "avx512f")]
    unsafe fn run(mut self) {
        let Parts {
            tall,
            count,
            columns,
            ..
        } = *self.vectors;
        let mut sums = [Sums([[0.0; PANEL]; TALL]); MOST];
        let mut row = 0;
        // SAFETY: the caller promises the unit; `weights` and each group are as many tiles as
        // the functions read.
        unsafe {
            let _tiles = Tiles::new(PARTS * tall);
            while row < self.rows {
                let weights = &self.weights[row * columns..];
                let left = weights.len() / (PANEL * columns);
                let panels = match (count <= FEW, left) {
                    (true, 4..) => 4,
                    (false, 2..) => 2,
                    _ => 1,
                };
                for vector in (0..count).step_by(tall) {
                    let vectors = self.vectors.group(vector).as_ptr();
                    let weights = weights.as_ptr();
                    match (count <= FEW, panels) {
                        (true, 4) => few_by_four(weights, vectors, tall, columns, &mut sums),
                        (true, _) => few_by_one(weights, vectors, tall, columns, &mut sums),
                        (false, 2) => group_by_two(weights, vectors, columns, &mut sums),
                        (false, _) => group_by_one(weights, vectors, columns, &mut sums),
                    }
                    self.write(row, vector, panels, &sums);
                }
                row += panels * PANEL;
            }
        }
    }

    /// Adds the sums of both parts. Those of a panel are in one of `sums` where vectors are
    /// few, one behind the other, else in two.
    #[target_feature(enable = "avx512f")]
    fn write(&mut self, row: usize, vector: usize, panels: usize, sums: &[Sums<f32>; MOST]) {
        let Parts { tall, count, .. } = *self.vectors;
        for panel in 0..panels {
            let from = row + panel * PANEL;
            let width = PANEL.min(self.rows - from);
            for n in 0..tall.min(count - vector) {
                let (first, second) = match count <= FEW {
                    true => (&sums[panel].0[n], &sums[panel].0[tall + n]),
                    false => (&sums[2 * panel].0[n], &sums[2 * panel + 1].0[n]),
                };
                let both: [f32; PANEL] = std::array::from_fn(|lane| first[lane] + second[lane]);
                let to = &mut self.outputs[(vector + n) * self.stride + from..];
                match width == PANEL {
                    // Of a length that the compiler knows: in a register.
                    true => to[..PANEL].copy_from_slice(&both),
                    false => to[..width].copy_from_slice(&both[..width]),
                }
            }
        }
    }
}

/// A group of few vectors by four panels.
///
/// # Safety
/// The tiles must be this thread's, and as many numbers be there.
#[inline(always)]
unsafe fn few_by_four(
    weights: *const bf16,
    vectors: *const bf16,
    tall: usize,
    columns: usize,
    sums: &mut [Sums<f32>; MOST],
) {
    let panel = PANEL * columns;
    let blocks = columns / WIDE;
    // SAFETY: the caller promises the operands.
    unsafe {
        zero!(0 1 2 3);
        for block in 0..blocks {
            load!(4 from vectors.add(block * PARTS * tall * WIDE));
            let weights = weights.add(block * PANEL * WIDE);
            // Where the panels end, those of the next four are what will be used.
            let jump = if block + AHEAD < blocks { 0 } else { 3 * panel };
            let next = weights.wrapping_add(AHEAD * PANEL * WIDE + jump);
            ask_for(next);
            load!(7 from weights);
            add_products!("tdpbf16ps": 0 += 4 * 7);
            ask_for(next.wrapping_add(panel));
            load!(7 from weights.add(panel));
            add_products!("tdpbf16ps": 1 += 4 * 7);
            ask_for(next.wrapping_add(2 * panel));
            load!(7 from weights.add(2 * panel));
            add_products!("tdpbf16ps": 2 += 4 * 7);
            ask_for(next.wrapping_add(3 * panel));
            load!(7 from weights.add(3 * panel));
            add_products!("tdpbf16ps": 3 += 4 * 7);
        }
        let [a, b, c, d] = sums;
        store!(0 to a, 1 to b, 2 to c, 3 to d);
    }
}

/// A group of few vectors by a panel.
///
/// # Safety
/// As for [`few_by_four`].
#[inline(always)]
unsafe fn few_by_one(
    weights: *const bf16,
    vectors: *const bf16,
    tall: usize,
    columns: usize,
    sums: &mut [Sums<f32>; MOST],
) {
    // SAFETY: the caller promises the operands.
    unsafe {
        zero!(0);
        for block in 0..columns / WIDE {
            load!(4 from vectors.add(block * PARTS * tall * WIDE));
            load!(7 from weights.add(block * PANEL * WIDE));
            add_products!("tdpbf16ps": 0 += 4 * 7);
        }
        store!(0 to sums[0]);
    }
}

/// A group of 16 vectors by two panels.
///
/// # Safety
/// As for [`few_by_four`].
#[inline(always)]
unsafe fn group_by_two(
    weights: *const bf16,
    vectors: *const bf16,
    columns: usize,
    sums: &mut [Sums<f32>; MOST],
) {
    // SAFETY: the caller promises the operands.
    unsafe {
        zero!(0 1 2 3);
        for block in 0..columns / WIDE {
            let vectors = vectors.add(block * PARTS * TALL * WIDE);
            let weights = weights.add(block * PANEL * WIDE);
            load!(6 from weights, 4 from vectors);
            add_products!("tdpbf16ps": 0 += 4 * 6);
            load!(5 from vectors.add(TALL * WIDE));
            add_products!("tdpbf16ps": 1 += 5 * 6);
            load!(7 from weights.add(PANEL * columns));
            add_products!("tdpbf16ps": 2 += 4 * 7, 3 += 5 * 7);
        }
        let [a, b, c, d] = sums;
        store!(0 to a, 1 to b, 2 to c, 3 to d);
    }
}

/// A group of 16 vectors by a panel.
///
/// # Safety
/// As for [`few_by_four`].
#[inline(always)]
unsafe fn group_by_one(
    weights: *const bf16,
    vectors: *const bf16,
    columns: usize,
    sums: &mut [Sums<f32>; MOST],
) {
    // SAFETY: the caller promises the operands.
    unsafe {
        zero!(0 1);
        for block in 0..columns / WIDE {
            let vectors = vectors.add(block * PARTS * TALL * WIDE);
            load!(6 from weights.add(block * PANEL * WIDE), 4 from vectors);
            load!(5 from vectors.add(TALL * WIDE));
            add_products!("tdpbf16ps": 0 += 4 * 6, 1 += 5 * 6);
        }
        let [a, b, ..] = sums;
        store!(0 to a, 1 to b);
    }
}

#[cfg(test)]
mod tests;
