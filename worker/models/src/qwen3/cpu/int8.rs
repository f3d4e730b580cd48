//! Weights in eight bits: symmetric, each row in blocks with a scale of their
//! own. The vectors are quantised the same way for the product, so that it runs
//! on integers; a number is off by at most 1/254 of its block's largest.
//!
//! The scheme is that of llama.cpp's `Q8_0` with blocks of 64 in place of 32 and f32
//! scales. Rows lie in panels, as in [`super::panels`], four columns of each together:
//!
//! ```text
//! a block of a panel: 64 columns of 16 rows
//!     row 0: k k+1 k+2 k+3   row 1: k k+1 k+2 k+3   …   row 15     for k = 0, 4, … 60
//! ```
//!
//! so that `vpdpbusd` adds four products to the sum of each row.

use std::sync::LazyLock;

use super::panels::PANEL;
use crate::rows::{on_best, sum};

/// Numbers that share a scale.
pub(super) const BLOCK: usize = 64;

/// Columns of a row that lie together.
const FOUR: usize = 4;

/// Bytes of a panel's block.
const PANEL_BLOCK: usize = PANEL * BLOCK;

/// What is added to a weight where it is kept: `vpdpbusd` takes one operand without sign.
const SHIFT: u8 = 128;

/// `[rows, columns]`, rows filled up with zeros to whole blocks, and to whole panels.
#[derive(Clone, Debug)]
pub(super) struct Int8Rows {
    /// Each block of each panel, the weights with [`SHIFT`] added.
    values: Vec<u8>,
    /// 16 for each block of each panel.
    scales: Vec<f32>,
    rows: usize,
    columns: usize,
}

/// Input vectors, quantised for the product, row by row.
#[derive(Clone, Debug)]
pub(super) struct Int8Vectors {
    values: Vec<i8>,
    /// One a block.
    scales: Vec<f32>,
    /// For each block what [`SHIFT`] adds to its sums, negated.
    corrections: Vec<i32>,
    blocks: usize,
}

impl Int8Rows {
    /// Quantises rows of `columns` numbers.
    #[cfg(test)]
    pub(super) fn new(rows: &[f32], columns: usize) -> Self {
        let mut all = Self::with_capacity(rows.len() / columns, columns);
        all.push(rows);
        all
    }

    /// No rows yet, and room for `rows` of `columns`.
    pub(super) fn with_capacity(rows: usize, columns: usize) -> Self {
        let blocks = rows.div_ceil(PANEL) * columns.div_ceil(BLOCK);
        Self {
            values: Vec::with_capacity(blocks * PANEL_BLOCK),
            scales: Vec::with_capacity(blocks * PANEL),
            rows: 0,
            columns,
        }
    }

    /// Quantises more rows.
    pub(super) fn push(&mut self, rows: &[f32]) {
        let blocks = self.blocks();
        let (mut values, mut scales) = (vec![0; blocks * BLOCK], vec![0.0; blocks]);
        for row in rows.chunks_exact(self.columns) {
            let lane = self.rows % PANEL;
            if lane == 0 {
                self.values
                    .resize(self.values.len() + blocks * PANEL_BLOCK, SHIFT);
                self.scales.resize(self.scales.len() + blocks * PANEL, 0.0);
            }
            quantise(row, self.columns, &mut values, &mut scales);
            let panel = self.rows / PANEL * blocks;
            let (fours, _) = values.as_chunks::<FOUR>();
            let places = self.values[panel * PANEL_BLOCK + lane * FOUR..].chunks_mut(PANEL * FOUR);
            for (place, four) in places.zip(fours) {
                for (place, value) in place.iter_mut().zip(four) {
                    *place = (*value as u8).wrapping_add(SHIFT);
                }
            }
            let places = self.scales[panel * PANEL + lane..]
                .iter_mut()
                .step_by(PANEL);
            for (place, scale) in places.zip(&scales) {
                *place = *scale;
            }
            self.rows += 1;
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the rows.
    pub(super) fn bytes(&self) -> usize {
        self.rows * self.blocks() * (BLOCK + size_of::<f32>())
    }

    /// Copies row `row` into `out`.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        let (panel, lane) = (row / PANEL * self.blocks(), row % PANEL);
        let values = self.values[panel * PANEL_BLOCK + lane * FOUR..].chunks(PANEL * FOUR);
        for (four, (out, values)) in out.chunks_mut(FOUR).zip(values).enumerate() {
            let scale = self.scales[(panel + four * FOUR / BLOCK) * PANEL + lane];
            for (out, value) in out.iter_mut().zip(values) {
                *out = f32::from(value.wrapping_sub(SHIFT) as i8) * scale;
            }
        }
    }

    /// `outputs[n·stride + r] = rows[r] · vectors[n]` for the rows `r` of `rows`,
    /// counted from its start, which begins a panel.
    ///
    /// A result does not depend on how many vectors there are.
    ///
    /// # Panics
    /// When `rows` begins within a panel or ends behind the last row, the vectors have
    /// another width, or `outputs` is too short.
    pub(super) fn products(
        &self,
        rows: std::ops::Range<usize>,
        vectors: &Int8Vectors,
        outputs: &mut [f32],
        stride: usize,
    ) {
        self.products_on(*ISA, rows, vectors, outputs, stride);
    }

    /// Blocks of a row.
    fn blocks(&self) -> usize {
        self.columns.div_ceil(BLOCK)
    }

    fn products_on(
        &self,
        isa: Isa,
        rows: std::ops::Range<usize>,
        vectors: &Int8Vectors,
        outputs: &mut [f32],
        stride: usize,
    ) {
        let blocks = self.blocks();
        assert_eq!(blocks, vectors.blocks, "vectors of another width");
        let (first, end) = (rows.start, rows.end);
        assert!(first.is_multiple_of(PANEL) && end <= self.rows);
        let count = vectors.count();
        let mut row = first;
        while row < end {
            let left = (end - row).div_ceil(PANEL);
            // One vector alone takes four panels, so that sums do not wait for each other.
            let panels = if count <= 2 && left >= 4 { 4 } else { 1 };
            let mut vector = 0;
            while vector < count {
                let mut write = |sums: &[[f32; PANEL]], panel: usize| {
                    for (n, sums) in sums.iter().enumerate() {
                        let from = row + panel * PANEL;
                        let wide = PANEL.min(end - from);
                        let to = (vector + n) * stride + from - first;
                        outputs[to..][..wide].copy_from_slice(&sums[..wide]);
                    }
                };
                let at = Tile {
                    weights: self,
                    panel: row / PANEL,
                    vectors,
                    vector,
                };
                vector += match (panels, count - vector) {
                    (4, _) => {
                        let sums = at.sums::<4, 1>(isa);
                        (0..4).for_each(|panel| write(&sums[panel], panel));
                        1
                    }
                    (_, 12..) => {
                        write(&at.sums::<1, 12>(isa)[0], 0);
                        12
                    }
                    (_, 4..) => {
                        write(&at.sums::<1, 4>(isa)[0], 0);
                        4
                    }
                    _ => {
                        write(&at.sums::<1, 1>(isa)[0], 0);
                        1
                    }
                };
            }
            row += panels * PANEL;
        }
    }
}

impl Int8Vectors {
    /// Quantises vectors of `columns` numbers, one after the other.
    pub(super) fn new(vectors: &[f32], columns: usize) -> Self {
        let blocks = columns.div_ceil(BLOCK);
        let count = vectors.len() / columns;
        let mut values = vec![0; count * blocks * BLOCK];
        let mut scales = vec![0.0; count * blocks];
        let mut corrections = vec![0; count * blocks];
        quantise(vectors, columns, &mut values, &mut scales);
        correct(&values, &mut corrections);
        Self {
            values,
            scales,
            corrections,
            blocks,
        }
    }

    fn count(&self) -> usize {
        self.scales.len() / self.blocks
    }
}

on_best! {
    /// What the shift of the weights adds to each block's sums, negated.
    fn correct(values: &[i8], corrections: &mut [i32]) {
        let (blocks, _) = values.as_chunks::<BLOCK>();
        for (correction, block) in corrections.iter_mut().zip(blocks) {
            let sum: i32 = block.iter().map(|&value| i32::from(value)).sum();
            *correction = -i32::from(SHIFT) * sum;
        }
    }
}

on_best! {
    /// Rounds rows of `columns` numbers to blocks of `values` and their `scales`; what a
    /// block has no number for is zero. A number that is not finite makes its block's scale
    /// not a number.
    fn quantise(rows: &[f32], columns: usize, values: &mut [i8], scales: &mut [f32]) {
        // Adding this rounds a small number to an integer, to nearest even, and
        // leaves it in the low bits: `round` would be a slow library call.
        const ROUND: f32 = 12_582_912.0;
        let blocks = rows
            .chunks_exact(columns)
            .flat_map(|row| row.chunks(BLOCK));
        let (places, _) = values.as_chunks_mut::<BLOCK>();
        for ((block, values), to) in blocks.zip(places).zip(scales) {
            let mut source = [0.0_f32; BLOCK];
            source[..block.len()].copy_from_slice(block);
            let mut most = [0.0_f32; 16];
            for lanes in source.as_chunks::<16>().0 {
                for (most, x) in most.iter_mut().zip(lanes) {
                    *most = if x.abs() > *most { x.abs() } else { *most };
                }
            }
            let largest = most.iter().copied().fold(0.0_f32, f32::max);
            let scale = largest / 127.0 + sum(&source, |x| x * 0.0);
            let inverse = if scale > 0.0 { 127.0 / largest } else { 0.0 };
            for (value, x) in values.iter_mut().zip(&source) {
                *value = (x * inverse + ROUND).to_bits() as i8;
            }
            *to = scale;
        }
    }
}

/// Instruction sets with code of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isa {
    #[cfg(target_arch = "x86_64")]
    Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// Those that this machine has, the best first.
fn available() -> Vec<Isa> {
    let mut sets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            sets.push(Isa::Vnni);
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            sets.push(Isa::Avx2);
        }
    }
    sets.push(Isa::Portable);
    sets
}

static ISA: LazyLock<Isa> = LazyLock::new(|| available().first().copied().unwrap_or(Isa::Portable));

/// Panels from `panel` on by vectors from `vector` on.
struct Tile<'t> {
    weights: &'t Int8Rows,
    panel: usize,
    vectors: &'t Int8Vectors,
    vector: usize,
}

/// A tile's operands, each from its first block on: of weights a panel after the other, of
/// vectors one.
#[derive(Clone, Copy)]
struct Operands<'t> {
    weights: &'t [u8],
    weight_scales: &'t [f32],
    vectors: &'t [i8],
    vector_scales: &'t [f32],
    corrections: &'t [i32],
    blocks: usize,
}

impl Tile<'_> {
    /// The products of `P` panels with `N` vectors.
    fn sums<const P: usize, const N: usize>(&self, isa: Isa) -> [[[f32; PANEL]; N]; P] {
        let blocks = self.vectors.blocks;
        let (panel, vector) = (self.panel * blocks, self.vector * blocks);
        let operands = Operands {
            weights: &self.weights.values[panel * PANEL_BLOCK..][..P * blocks * PANEL_BLOCK],
            weight_scales: &self.weights.scales[panel * PANEL..][..P * blocks * PANEL],
            vectors: &self.vectors.values[vector * BLOCK..][..N * blocks * BLOCK],
            vector_scales: &self.vectors.scales[vector..][..N * blocks],
            corrections: &self.vectors.corrections[vector..][..N * blocks],
            blocks,
        };
        match isa {
            // SAFETY: `available` found it; the slices are as long as `blocks` says.
            #[cfg(target_arch = "x86_64")]
            Isa::Vnni => unsafe { x86::vnni(operands) },
            // SAFETY: `available` found it; the slices are as long as `blocks` says.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86::avx2(operands) },
            Isa::Portable => portable(operands),
        }
    }
}

fn portable<const P: usize, const N: usize>(all: Operands<'_>) -> [[[f32; PANEL]; N]; P] {
    let mut sums = [[[0.0; PANEL]; N]; P];
    for (p, sums) in sums.iter_mut().enumerate() {
        for (n, sums) in sums.iter_mut().enumerate() {
            for block in 0..all.blocks {
                let panel = p * all.blocks + block;
                let weights = &all.weights[panel * PANEL_BLOCK..][..PANEL_BLOCK];
                let vector = n * all.blocks + block;
                let input = &all.vectors[vector * BLOCK..][..BLOCK];
                let mut dots = [0_i32; PANEL];
                for (weights, input) in weights.chunks_exact(PANEL * FOUR).zip(input.chunks(FOUR)) {
                    for (dot, weights) in dots.iter_mut().zip(weights.chunks_exact(FOUR)) {
                        for (w, x) in weights.iter().zip(input) {
                            *dot += i32::from(w.wrapping_sub(SHIFT) as i8) * i32::from(*x);
                        }
                    }
                }
                let scales = &all.weight_scales[panel * PANEL..][..PANEL];
                for ((sum, dot), scale) in sums.iter_mut().zip(dots).zip(scales) {
                    *sum += dot as f32 * (scale * all.vector_scales[vector]);
                }
            }
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK, FOUR, Operands, PANEL, PANEL_BLOCK, SHIFT};

    /// How far ahead of its use a weight is asked for.
    const PREFETCH_BYTES: usize = 2048;

    /// # Safety
    /// All slices must be as long as `blocks` says.
    #[expect(
        clippy::needless_range_loop,
        reason = "indices run over registers: iterators would keep them in memory"
    )]
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn vnni<const P: usize, const N: usize>(
        all: Operands<'_>,
    ) -> [[[f32; PANEL]; N]; P] {
        let blocks = all.blocks;
        let mut sums = [[_mm512_setzero_ps(); N]; P];
        for block in 0..blocks {
            // SAFETY: block and panel are below their numbers; a prefetch may be anywhere.
            unsafe {
                let mut dots = [[_mm512_setzero_si512(); N]; P];
                for n in 0..N {
                    let correction = *all.corrections.get_unchecked(n * blocks + block);
                    for p in 0..P {
                        dots[p][n] = _mm512_set1_epi32(correction);
                    }
                }
                for four in 0..BLOCK / FOUR {
                    let mut weights = [_mm512_setzero_si512(); P];
                    for p in 0..P {
                        let from = (p * blocks + block) * PANEL_BLOCK + four * PANEL * FOUR;
                        let from = all.weights.as_ptr().add(from);
                        if N <= 4 {
                            _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(PREFETCH_BYTES).cast());
                        }
                        weights[p] = _mm512_loadu_si512(from.cast());
                    }
                    for n in 0..N {
                        let from = (n * blocks + block) * BLOCK + four * FOUR;
                        let from = all.vectors.as_ptr().add(from).cast::<i32>();
                        let input = _mm512_set1_epi32(from.read_unaligned());
                        for p in 0..P {
                            dots[p][n] = _mm512_dpbusd_epi32(dots[p][n], weights[p], input);
                        }
                    }
                }
                for p in 0..P {
                    let scales = all.weight_scales.as_ptr().add((p * blocks + block) * PANEL);
                    let scales = _mm512_loadu_ps(scales);
                    for n in 0..N {
                        let scale = *all.vector_scales.get_unchecked(n * blocks + block);
                        let scale = _mm512_mul_ps(scales, _mm512_set1_ps(scale));
                        let dot = _mm512_cvtepi32_ps(dots[p][n]);
                        sums[p][n] = _mm512_fmadd_ps(dot, scale, sums[p][n]);
                    }
                }
            }
        }
        let mut out = [[[0.0; PANEL]; N]; P];
        for p in 0..P {
            for n in 0..N {
                // SAFETY: a row of `out` has 16 numbers.
                unsafe { _mm512_storeu_ps(out[p][n].as_mut_ptr(), sums[p][n]) };
            }
        }
        out
    }

    /// `vpmaddubsw` multiplies unsigned by signed bytes too, but adds pairs in 16 bits: the
    /// weights lose their shift, and their signs move to the input. Values are at most 127,
    /// so that pairs fit.
    ///
    /// # Safety
    /// All slices must be as long as `blocks` says.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2<const P: usize, const N: usize>(
        all: Operands<'_>,
    ) -> [[[f32; PANEL]; N]; P] {
        const HALF: usize = PANEL / 2;
        let blocks = all.blocks;
        let (ones, shift) = (_mm256_set1_epi16(1), _mm256_set1_epi8(SHIFT as i8));
        let mut out = [[[0.0; PANEL]; N]; P];
        for p in 0..P {
            for half in 0..2 {
                let mut sums = [_mm256_setzero_ps(); N];
                for block in 0..blocks {
                    let panel = p * blocks + block;
                    // SAFETY: block and panel are below their numbers; a prefetch may be
                    // anywhere.
                    unsafe {
                        let mut dots = [_mm256_setzero_si256(); N];
                        for four in 0..BLOCK / FOUR {
                            let from = panel * PANEL_BLOCK + (four * PANEL + half * HALF) * FOUR;
                            let from = all.weights.as_ptr().add(from);
                            _mm_prefetch::<_MM_HINT_T0>(from.wrapping_add(PREFETCH_BYTES).cast());
                            let w = _mm256_loadu_si256(from.cast());
                            let w = _mm256_xor_si256(w, shift);
                            for n in 0..N {
                                let from = (n * blocks + block) * BLOCK + four * FOUR;
                                let from = all.vectors.as_ptr().add(from).cast::<i32>();
                                let x = _mm256_set1_epi32(from.read_unaligned());
                                let signed = _mm256_sign_epi8(x, w);
                                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), signed);
                                let sums = _mm256_madd_epi16(pairs, ones);
                                dots[n] = _mm256_add_epi32(dots[n], sums);
                            }
                        }
                        let scales = all.weight_scales.as_ptr().add(panel * PANEL + half * HALF);
                        let scales = _mm256_loadu_ps(scales);
                        for n in 0..N {
                            let scale = *all.vector_scales.get_unchecked(n * blocks + block);
                            let scale = _mm256_mul_ps(scales, _mm256_set1_ps(scale));
                            sums[n] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[n]), scale, sums[n]);
                        }
                    }
                }
                for n in 0..N {
                    // SAFETY: a row of `out` has 16 numbers.
                    unsafe { _mm256_storeu_ps(out[p][n].as_mut_ptr().add(half * HALF), sums[n]) };
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    impl Int8Vectors {
        /// Copies vector `n` into `out`.
        fn copy(&self, n: usize, out: &mut [f32]) {
            let values = self.values[n * self.blocks * BLOCK..].chunks(BLOCK);
            let scales = &self.scales[n * self.blocks..];
            for ((out, values), scale) in out.chunks_mut(BLOCK).zip(values).zip(scales) {
                for (out, value) in out.iter_mut().zip(values) {
                    *out = f32::from(*value) * scale;
                }
            }
        }
    }

    #[test]
    fn rounding_is_within_half_a_step_and_extremes_are_kept() {
        let (rows, columns) = (5, 150);
        let mut source = numbers(rows * columns, 5);
        source[3] = -4.0;
        source[columns..2 * columns].fill(0.0);
        let quantised = Int8Rows::new(&source, columns);
        assert_eq!(quantised.bytes(), rows * 3 * (BLOCK + 4));
        let mut row = vec![f32::NAN; columns];
        for (number, exact) in source.chunks(columns).enumerate() {
            quantised.copy_row(number, &mut row);
            for (block, exact) in row.chunks(BLOCK).zip(exact.chunks(BLOCK)) {
                let largest = exact.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
                for (ours, exact) in block.iter().zip(exact) {
                    assert!((ours - exact).abs() <= largest / 253.9);
                }
            }
        }
        quantised.copy_row(0, &mut row);
        assert_eq!(row[3], -4.0);
    }

    #[test]
    fn every_instruction_set_gives_the_exact_product_of_the_rounded_numbers() {
        for isa in available() {
            for (rows, columns, vectors) in [
                (1, 1, 1),
                (7, 33, 2),
                (70, 64, 1),
                (33, 64, 5),
                (150, 130, 29),
            ] {
                let weights = numbers(rows * columns, 3);
                let inputs = numbers(vectors * columns, 7);
                let matrix = Int8Rows::new(&weights, columns);
                let quantised = Int8Vectors::new(&inputs, columns);
                let mut outputs = vec![f32::NAN; vectors * rows];
                matrix.products_on(isa, 0..rows, &quantised, &mut outputs, rows);
                let (mut w, mut x) = (vec![0.0; columns], vec![0.0; columns]);
                for n in 0..vectors {
                    for r in 0..rows {
                        matrix.copy_row(r, &mut w);
                        quantised.copy(n, &mut x);
                        let terms = w.iter().zip(&x);
                        let exact: f64 = terms.map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                        let got = f64::from(outputs[n * rows + r]);
                        assert!(
                            (got - exact).abs() < 1e-5,
                            "{isa:?} {rows}x{columns} by {vectors}: row {r}, vector {n}: {got} and {exact}"
                        );
                    }
                }
                // A row's result is the same alone and among others.
                let alone = Int8Vectors::new(&inputs[..columns], columns);
                let mut first = vec![f32::NAN; rows];
                matrix.products_on(isa, 0..rows, &alone, &mut first, rows);
                assert_eq!(first, outputs[..rows]);
            }
        }
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        for isa in available() {
            let weights = Int8Rows::new(&[-1.0; 2 * BLOCK], 2 * BLOCK);
            let inputs = Int8Vectors::new(&[-1.0; 2 * BLOCK], 2 * BLOCK);
            let mut outputs = [0.0];
            weights.products_on(isa, 0..1, &inputs, &mut outputs, 1);
            assert!((outputs[0] - 128.0).abs() < 1e-3, "{isa:?}: {outputs:?}");
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut vector = numbers(70, 1);
            vector[2] = bad;
            let weights = Int8Rows::new(&numbers(70, 2), 70);
            for isa in available() {
                let mut outputs = [0.0];
                let inputs = Int8Vectors::new(&vector, 70);
                weights.products_on(isa, 0..1, &inputs, &mut outputs, 1);
                assert!(outputs[0].is_nan(), "{isa:?}");
            }
        }
    }
}
