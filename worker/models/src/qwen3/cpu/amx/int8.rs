//! Products of eight-bit weights with quantised vectors, bit for bit those of
//! [`super::super::int8`] without the unit: integers have no order, and the sums of blocks are
//! scaled and added alike.

use std::arch::x86_64::*;

use super::super::int8::{BLOCK, Operands, PANEL_BLOCK};
use super::super::lines::Lines;
use super::super::panels::PANEL;
use super::{Sums, TALL, Tiles, add_products, ask_for, load, store, zero};

/// Vectors from which on the unit is faster than vector registers, which take the weights of
/// fewer as fast as memory gives them.
pub(in super::super) const MANY: usize = 4;

/// Blocks whose sums are taken out of the tiles together.
const TOGETHER: usize = 4;

/// Vectors in the order in which their tiles are read.
#[derive(Clone, Debug)]
pub(in super::super) struct VectorTiles {
    /// `[groups, blocks, vectors of a group, 64]`; the last group is filled up.
    values: Lines<i8>,
    /// Vectors of a group: all where they are few, else 16.
    tall: usize,
    blocks: usize,
}

impl VectorTiles {
    /// Those of vectors of `blocks` blocks, one after the other.
    pub(in super::super) fn new(vectors: &[i8], blocks: usize) -> Self {
        let width = blocks * BLOCK;
        let tall = (vectors.len() / width).min(TALL);
        let total = vectors.len().next_multiple_of(tall * width);
        let mut values = Lines::with_capacity(total);
        let groups = values.grow(total).chunks_mut(tall * width);
        for (group, vectors) in groups.zip(vectors.chunks(tall * width)) {
            for (n, vector) in vectors.chunks_exact(width).enumerate() {
                for (block, values) in vector.chunks_exact(BLOCK).enumerate() {
                    group[(block * tall + n) * BLOCK..][..BLOCK].copy_from_slice(values);
                }
            }
        }
        Self {
            values,
            tall,
            blocks,
        }
    }

    /// Vectors of a group.
    pub(in super::super) fn tall(&self) -> usize {
        self.tall
    }

    /// Calls `work` with the products of panels with groups of vectors, for as long as it asks
    /// for more. The unit must be there.
    ///
    /// # Panics
    /// When it is not.
    pub(in super::super) fn multiply(&self, work: impl FnOnce(&Multiplier<'_>)) {
        assert!(super::is_there(), "no matrix unit");
        // SAFETY: it is there.
        let _tiles = unsafe { Tiles::new(self.tall) };
        work(&Multiplier { vectors: self });
    }
}

/// Multiplies by vectors with the tiles of this thread.
pub(in super::super) struct Multiplier<'v> {
    vectors: &'v VectorTiles,
}

impl Multiplier<'_> {
    /// The products of a panel with the `count` vectors from `vector` on, which begins a group.
    /// `all` has the operands of both.
    ///
    /// # Panics
    /// When `all` has not so many.
    pub(in super::super) fn sums(
        &self,
        all: Operands<'_>,
        vector: usize,
        count: usize,
        sums: &mut [[f32; PANEL]; TALL],
    ) {
        let VectorTiles {
            ref values,
            tall,
            blocks,
        } = *self.vectors;
        assert!(all.blocks == blocks && count <= tall && vector.is_multiple_of(tall));
        assert!(all.weights.len() >= blocks * PANEL_BLOCK);
        assert!(all.weight_scales.len() >= blocks * PANEL);
        assert!(all.corrections.len() >= count * blocks);
        assert!(all.vector_scales.len() >= count * blocks);
        let group = &values[vector * blocks * BLOCK..][..tall * blocks * BLOCK];
        // SAFETY: `multiply` saw that the unit is there, which comes with AVX-512, and gave this
        // thread its tiles, which it keeps while this is borrowed; the slices are as long.
        unsafe { group_by_panel(all, group, tall, &mut sums[..count]) }
    }
}

/// # Safety
/// The unit must be there, the tiles be this thread's, and all slices be as long as
/// `all.blocks`, `tall` and the number of `sums` say.
#[target_feature(enable = "avx512f")]
unsafe fn group_by_panel(
    all: Operands<'_>,
    vectors: &[i8],
    tall: usize,
    sums: &mut [[f32; PANEL]],
) {
    let blocks = all.blocks;
    let mut dots = [Sums([[0_i32; PANEL]; TALL]); TOGETHER];
    sums.fill([0.0; PANEL]);
    for first in (0..blocks).step_by(TOGETHER) {
        // SAFETY: the caller promises the operands; in place of blocks that are not there, the
        // last is multiplied. A prefetch may be anywhere.
        unsafe {
            let operands = |block: usize| {
                let block = (first + block).min(blocks - 1);
                let weights = all.weights.as_ptr().add(block * PANEL_BLOCK);
                ask_for(weights.wrapping_add(TOGETHER * PANEL_BLOCK));
                (vectors.as_ptr().add(block * tall * BLOCK), weights)
            };
            zero!(0 1 2 3);
            let (vectors, weights) = operands(0);
            load!(4 from vectors, 6 from weights);
            add_products!("tdpbsud": 0 += 4 * 6);
            let (vectors, weights) = operands(1);
            load!(5 from vectors, 7 from weights);
            add_products!("tdpbsud": 1 += 5 * 7);
            let (vectors, weights) = operands(2);
            load!(4 from vectors, 6 from weights);
            add_products!("tdpbsud": 2 += 4 * 6);
            let (vectors, weights) = operands(3);
            load!(5 from vectors, 7 from weights);
            add_products!("tdpbsud": 3 += 5 * 7);
            let [a, b, c, d] = &mut dots;
            store!(0 to a, 1 to b, 2 to c, 3 to d);
            match blocks - first {
                1 => add_blocks::<1>(all, first, &dots, sums),
                2 => add_blocks::<2>(all, first, &dots, sums),
                3 => add_blocks::<3>(all, first, &dots, sums),
                _ => add_blocks::<TOGETHER>(all, first, &dots, sums),
            }
        }
    }
}

/// Adds the scaled sums of `B` blocks from `first` on, in their order.
///
/// # Safety
/// As for [`group_by_panel`].
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn add_blocks<const B: usize>(
    all: Operands<'_>,
    first: usize,
    dots: &[Sums<i32>; TOGETHER],
    sums: &mut [[f32; PANEL]],
) {
    // SAFETY: the caller promises the operands; a row of sums has 16 numbers.
    unsafe {
        let mut scales = [_mm512_setzero_ps(); B];
        for (block, scales) in scales.iter_mut().enumerate() {
            let from = all.weight_scales.as_ptr().add((first + block) * PANEL);
            *scales = _mm512_loadu_ps(from);
        }
        for (n, sums) in sums.iter_mut().enumerate() {
            let of = n * all.blocks + first;
            let mut sum = _mm512_loadu_ps(sums.as_ptr());
            for block in 0..B {
                let correction = *all.corrections.get_unchecked(of + block);
                let dot = _mm512_load_si512(dots[block].0[n].as_ptr().cast());
                let dot = _mm512_add_epi32(dot, _mm512_set1_epi32(correction));
                let scale = *all.vector_scales.get_unchecked(of + block);
                let scale = _mm512_mul_ps(scales[block], _mm512_set1_ps(scale));
                sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, sum);
            }
            _mm512_storeu_ps(sums.as_mut_ptr(), sum);
        }
    }
}
