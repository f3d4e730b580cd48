//! Loops over tiles: few vectors by panels that are streamed through, and blocks of many.

use half::bf16;

use super::super::{Sums, TALL, add_products, ask_for, load, store, zero};
use super::{AHEAD, MOST, PANEL, PARTS, WIDE};

/// A tile of vectors by four panels.
///
/// # Safety
/// The tiles must be this thread's, and as many numbers be there.
#[inline(always)]
pub(super) unsafe fn few_by_four(
    weights: *const bf16,
    vectors: *const bf16,
    tall: usize,
    columns: usize,
    sums: &mut [Sums<f32>; MOST],
) {
    let panel = PANEL * columns;
    let tiles = columns / WIDE;
    // SAFETY: the caller promises the operands.
    unsafe {
        zero!(0 1 2 3);
        for tile in 0..tiles {
            let vectors = vectors.add(tile * PARTS * tall * WIDE);
            load!(4 from vectors, 5 from vectors.add(tall * WIDE));
            let weights = weights.add(tile * PANEL * WIDE);
            // Where the panels end, those of the next four are what will be used.
            let jump = if tile + AHEAD < tiles { 0 } else { 3 * panel };
            let next = weights.wrapping_add(AHEAD * PANEL * WIDE + jump);
            ask_for(next);
            load!(6 from weights);
            add_products!("tdpbf16ps": 0 += 4 * 6, 0 += 5 * 6);
            ask_for(next.wrapping_add(panel));
            load!(7 from weights.add(panel));
            add_products!("tdpbf16ps": 1 += 4 * 7, 1 += 5 * 7);
            ask_for(next.wrapping_add(2 * panel));
            load!(6 from weights.add(2 * panel));
            add_products!("tdpbf16ps": 2 += 4 * 6, 2 += 5 * 6);
            ask_for(next.wrapping_add(3 * panel));
            load!(7 from weights.add(3 * panel));
            add_products!("tdpbf16ps": 3 += 4 * 7, 3 += 5 * 7);
        }
        let [a, b, c, d] = sums;
        store!(0 to a, 1 to b, 2 to c, 3 to d);
    }
}

/// A tile of vectors by a panel.
///
/// # Safety
/// As for [`few_by_four`].
#[inline(always)]
pub(super) unsafe fn few_by_one(
    weights: *const bf16,
    vectors: *const bf16,
    tall: usize,
    columns: usize,
    sums: &mut [Sums<f32>; MOST],
) {
    // SAFETY: the caller promises the operands.
    unsafe {
        zero!(0);
        for tile in 0..columns / WIDE {
            let vectors = vectors.add(tile * PARTS * tall * WIDE);
            load!(4 from vectors, 5 from vectors.add(tall * WIDE));
            load!(6 from weights.add(tile * PANEL * WIDE));
            add_products!("tdpbf16ps": 0 += 4 * 6, 0 += 5 * 6);
        }
        store!(0 to sums[0]);
    }
}

/// Some columns of panels and groups of vectors.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub(super) weights: *const bf16,
    /// Numbers from one panel to the next.
    pub(super) panel: usize,
    pub(super) vectors: *const bf16,
    /// Numbers from one group to the next.
    pub(super) group: usize,
    /// Tiles of columns.
    pub(super) deep: usize,
}

impl Block {
    /// Two groups of vectors by two panels: sums of the first group with both, then of the
    /// second.
    ///
    /// # Safety
    /// The tiles must be this thread's, and both panels and groups be there; so for the others.
    #[inline(always)]
    pub(super) unsafe fn two_by_two(self, sums: &mut [Sums<f32>; 4]) {
        let [a, b, c, d] = sums;
        // SAFETY: the caller promises the operands.
        unsafe {
            load!(0 from a.0.as_ptr(), 1 from b.0.as_ptr(), 2 from c.0.as_ptr(), 3 from d.0.as_ptr());
            for tile in 0..self.deep {
                let (weights, vectors) = self.tile(tile);
                load!(6 from weights, 4 from vectors);
                add_products!("tdpbf16ps": 0 += 4 * 6);
                load!(7 from weights.add(self.panel));
                add_products!("tdpbf16ps": 1 += 4 * 7);
                load!(5 from vectors.add(self.group));
                add_products!("tdpbf16ps": 2 += 5 * 6, 3 += 5 * 7);
                load!(4 from vectors.add(TALL * WIDE));
                add_products!("tdpbf16ps": 0 += 4 * 6, 1 += 4 * 7);
                load!(5 from vectors.add(self.group + TALL * WIDE));
                add_products!("tdpbf16ps": 2 += 5 * 6, 3 += 5 * 7);
            }
            store!(0 to a, 1 to b, 2 to c, 3 to d);
        }
    }

    /// A group of vectors by two panels.
    ///
    /// # Safety
    /// As for [`Self::two_by_two`].
    #[inline(always)]
    pub(super) unsafe fn one_by_two(self, [a, b, ..]: &mut [Sums<f32>; 4]) {
        // SAFETY: the caller promises the operands.
        unsafe {
            load!(0 from a.0.as_ptr(), 1 from b.0.as_ptr());
            for tile in 0..self.deep {
                let (weights, vectors) = self.tile(tile);
                load!(4 from vectors, 5 from vectors.add(TALL * WIDE));
                load!(6 from weights, 7 from weights.add(self.panel));
                add_products!("tdpbf16ps": 0 += 4 * 6, 1 += 4 * 7, 0 += 5 * 6, 1 += 5 * 7);
            }
            store!(0 to a, 1 to b);
        }
    }

    /// A group of vectors by a panel.
    ///
    /// # Safety
    /// As for [`Self::two_by_two`].
    #[inline(always)]
    pub(super) unsafe fn one_by_one(self, sums: &mut Sums<f32>) {
        // SAFETY: the caller promises the operands.
        unsafe {
            load!(0 from sums.0.as_ptr());
            for tile in 0..self.deep {
                let (weights, vectors) = self.tile(tile);
                load!(4 from vectors, 5 from vectors.add(TALL * WIDE), 6 from weights);
                add_products!("tdpbf16ps": 0 += 4 * 6, 0 += 5 * 6);
            }
            store!(0 to sums);
        }
    }

    /// The weights and vectors of a tile of columns.
    ///
    /// # Safety
    /// It must be there.
    #[inline(always)]
    unsafe fn tile(&self, tile: usize) -> (*const bf16, *const bf16) {
        // SAFETY: the caller promises it.
        unsafe {
            (
                self.weights.add(tile * PANEL * WIDE),
                self.vectors.add(tile * PARTS * TALL * WIDE),
            )
        }
    }
}
