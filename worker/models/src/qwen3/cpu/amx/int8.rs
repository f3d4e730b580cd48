//! Products of eight-bit weights with quantised vectors, bit for bit those of
//! [`super::super::int8`] without the unit: integers have no order, and the sums of blocks are
//! scaled and added alike.

use std::arch::x86_64::*;
use std::ops::Range;

use super::super::int8::{BLOCK, Operands, PANEL_BLOCK};
use super::super::lines::Lines;
use super::super::outputs::Outputs;
use super::super::panels::PANEL;
use super::{RESIDENT, Sums, TALL, Tiles, add_products, ask_for, load, store, write, zero};

/// Vectors from which on the unit is faster than vector registers, which take the weights of
/// fewer as fast as memory gives them.
pub(in super::super) const MANY: usize = 4;

/// Blocks whose sums are taken out of the tiles together.
const TOGETHER: usize = 4;

/// Blocks of columns, and groups, of which the vectors stay in the first cache: 16 KiB.
const DEEP: usize = 8;
const GROUPS: usize = 2;

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

    /// The tiles of group `group`.
    fn group(&self, group: usize) -> &[i8] {
        let width = self.tall * self.blocks * BLOCK;
        &self.values[group * width..][..width]
    }
}

/// `outputs[n][r] = rows[r] · vectors[n]` for `rows` rows and `count` vectors;
/// `operands(panel, vector, count)` has those of a panel and of the `count` vectors from
/// `vector` on.
///
/// # Panics
/// When the unit is not there, `operands` has not so many, or `outputs` is too small.
pub(in super::super) fn products<'o>(
    vectors: &VectorTiles,
    (rows, count): (usize, usize),
    operands: impl Fn(usize, usize, usize) -> Operands<'o>,
    mut outputs: Outputs<'_>,
) {
    assert!(super::is_there(), "no matrix unit");
    let VectorTiles { tall, blocks, .. } = *vectors;
    // SAFETY: it is there.
    let _tiles = unsafe { Tiles::new(tall) };
    let (panels, groups) = (rows.div_ceil(PANEL), count.div_ceil(tall));
    // One group streams the weights through once; for several, tiles come from the caches.
    let (deep, together) = if groups == 1 {
        (blocks, 1)
    } else {
        (DEEP, GROUPS)
    };
    let resident = (RESIDENT / (blocks * PANEL_BLOCK)).clamp(1, panels);
    let mut dots = [Sums([[0; PANEL]; TALL]); TOGETHER];
    let mut sums = vec![[Sums([[0.0; PANEL]; TALL]); GROUPS]; resident];
    for panel in (0..panels).step_by(resident) {
        let those = panel..panels.min(panel + resident);
        for group in (0..groups).step_by(together) {
            let these = group..groups.min(group + together);
            sums.fill([Sums([[0.0; PANEL]; TALL]); GROUPS]);
            for from in (0..blocks).step_by(deep) {
                let range = from..blocks.min(from + deep);
                for (panel, sums) in those.clone().zip(&mut sums) {
                    for (group, sums) in these.clone().zip(sums) {
                        let count = tall.min(count - group * tall);
                        let all = operands(panel, group * tall, count);
                        assert_eq!(all.blocks, blocks);
                        assert!(all.weights.len() >= blocks * PANEL_BLOCK);
                        assert!(all.weight_scales.len() >= blocks * PANEL);
                        assert!(all.corrections.len() >= count * blocks);
                        assert!(all.vector_scales.len() >= count * blocks);
                        let work = Work {
                            all,
                            vectors: vectors.group(group),
                            tall,
                            is_streamed: groups == 1,
                        };
                        // SAFETY: the unit is there, which comes with AVX-512, and this thread
                        // has its tiles; the slices are as long.
                        unsafe { work.add(range.clone(), &mut dots, &mut sums.0[..count]) }
                    }
                }
            }
            for (panel, sums) in those.clone().zip(&sums) {
                for (group, sums) in these.clone().zip(sums) {
                    let count = tall.min(count - group * tall);
                    let row = panel * PANEL;
                    let wide = PANEL.min(rows - row);
                    for (n, sums) in sums.0[..count].iter().enumerate() {
                        let to = outputs.of(group * tall + n, row, wide);
                        // SAFETY: as above.
                        unsafe { write(sums, to) };
                    }
                }
            }
        }
    }
}

/// A panel by a group of vectors.
#[derive(Clone, Copy)]
struct Work<'w> {
    all: Operands<'w>,
    vectors: &'w [i8],
    tall: usize,
    /// Whether the weights come from memory, and are worth asking for.
    is_streamed: bool,
}

impl Work<'_> {
    /// Adds the products of some blocks.
    ///
    /// # Safety
    /// The unit must be there, the tiles be this thread's, and all slices be as long as
    /// `all.blocks`, `tall` and the number of `sums` say.
    #[target_feature(enable = "avx512f")]
    unsafe fn add(
        self,
        range: Range<usize>,
        dots: &mut [Sums<i32>; TOGETHER],
        sums: &mut [[f32; PANEL]],
    ) {
        let Range { start, end } = range;
        for first in (start..end).step_by(TOGETHER) {
            // SAFETY: the caller promises the operands.
            unsafe {
                self.multiply(first, end - 1, dots);
                match end - first {
                    1 => add_blocks::<1>(self.all, first, dots, sums),
                    2 => add_blocks::<2>(self.all, first, dots, sums),
                    3 => add_blocks::<3>(self.all, first, dots, sums),
                    _ => add_blocks::<TOGETHER>(self.all, first, dots, sums),
                }
            }
        }
    }

    /// The products of the blocks from `first` on; in place of blocks behind `last`, those of
    /// that.
    ///
    /// # Safety
    /// As for [`Self::add`].
    #[inline(always)]
    unsafe fn multiply(self, first: usize, last: usize, dots: &mut [Sums<i32>; TOGETHER]) {
        // SAFETY: the caller promises the operands.
        unsafe {
            let operands = |block: usize| {
                let block = (first + block).min(last);
                let weights = self.all.weights.as_ptr().add(block * PANEL_BLOCK);
                if self.is_streamed {
                    ask_for(weights.wrapping_add(TOGETHER * PANEL_BLOCK));
                }
                let vectors = self.vectors.as_ptr().add(block * self.tall * BLOCK);
                (vectors, weights)
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
            let [a, b, c, d] = dots;
            store!(0 to a, 1 to b, 2 to c, 3 to d);
        }
    }
}

/// Adds the scaled sums of `B` blocks from `first` on, in their order.
///
/// # Safety
/// As for [`Work::add`].
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
