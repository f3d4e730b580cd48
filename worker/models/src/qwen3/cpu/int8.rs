//! Weights in eight bits: symmetric, each row in blocks with a scale of their
//! own. The vectors are quantised the same way for the product, so that it runs
//! on integers; a number is off by at most 1/254 of its block's largest.
//!
//! The scheme is that of llama.cpp's `Q8_0` with blocks of 64 in place of 32,
//! one AVX-512 register, and f32 scales.

use std::sync::LazyLock;

use crate::rows::{on_best, sum};

/// Numbers that share a scale.
pub(super) const BLOCK: usize = 64;

/// Row-major blocks; rows are filled up with zeros to whole blocks.
#[derive(Clone, Debug)]
pub(super) struct Int8Rows {
    values: Vec<i8>,
    /// One a block.
    scales: Vec<f32>,
    columns: usize,
}

/// Input vectors, quantised for the product.
#[derive(Clone, Debug)]
pub(super) struct Int8Vectors {
    rows: Int8Rows,
    /// `-128 ·` the sum of every four values, see `vnni`.
    corrections: Vec<i32>,
}

impl Int8Rows {
    /// Quantises rows of `columns` numbers.
    pub(super) fn new(rows: &[f32], columns: usize) -> Self {
        let mut all = Self::with_capacity(rows.len() / columns, columns);
        all.push(rows);
        all
    }

    /// No rows yet, and room for `rows` of `columns`.
    pub(super) fn with_capacity(rows: usize, columns: usize) -> Self {
        let blocks = rows * columns.div_ceil(BLOCK);
        Self {
            values: Vec::with_capacity(blocks * BLOCK),
            scales: Vec::with_capacity(blocks),
            columns,
        }
    }

    /// Quantises more rows.
    pub(super) fn push(&mut self, rows: &[f32]) {
        let (values, scales) = (self.values.len(), self.scales.len());
        let blocks = rows.len() / self.columns * self.blocks();
        self.values.resize(values + blocks * BLOCK, 0);
        self.scales.resize(scales + blocks, 0.0);
        let (values, scales) = (&mut self.values[values..], &mut self.scales[scales..]);
        quantise(rows, self.columns, values, scales);
    }

    pub(super) fn rows(&self) -> usize {
        self.scales.len() / self.blocks()
    }

    /// Bytes stored.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice()) + size_of_val(self.scales.as_slice())
    }

    /// Copies row `row` into `out`.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        let blocks = self.blocks();
        let values = self.values[row * blocks * BLOCK..].chunks_exact(BLOCK);
        let scales = &self.scales[row * blocks..];
        for ((out, values), scale) in out.chunks_mut(BLOCK).zip(values).zip(scales) {
            for (out, value) in out.iter_mut().zip(values) {
                *out = f32::from(*value) * scale;
            }
        }
    }

    /// `outputs[n·stride + r] = rows[r] · vectors[n]` for the rows `r` of `rows`,
    /// counted from its start.
    ///
    /// A result does not depend on how many vectors there are.
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
        assert_eq!(blocks, vectors.rows.blocks(), "vectors of another width");
        for (place, row) in rows.enumerate() {
            let weights = Blocks::of(self, row);
            let mut vector = 0;
            let count = vectors.count();
            while vector < count {
                let many = if count - vector >= 4 { 4 } else { 1 };
                let out = vector * stride + place;
                match many {
                    4 => write(
                        dots::<4>(isa, weights, vectors, vector),
                        outputs,
                        out,
                        stride,
                    ),
                    _ => write(
                        dots::<1>(isa, weights, vectors, vector),
                        outputs,
                        out,
                        stride,
                    ),
                }
                vector += many;
            }
        }
    }
}

fn write<const N: usize>(dots: [f32; N], outputs: &mut [f32], mut place: usize, stride: usize) {
    for dot in dots {
        outputs[place] = dot;
        place += stride;
    }
}

impl Int8Vectors {
    /// Quantises vectors of `columns` numbers, one after the other.
    pub(super) fn new(vectors: &[f32], columns: usize) -> Self {
        let rows = Int8Rows::new(vectors, columns);
        let mut corrections = vec![0; rows.values.len() / 4];
        correct(&rows.values, &mut corrections);
        Self { rows, corrections }
    }

    fn count(&self) -> usize {
        self.rows.rows()
    }
}

on_best! {
    /// `-128 ·` the sum of every four of `values`.
    fn correct(values: &[i8], corrections: &mut [i32]) {
        let (fours, _) = values.as_chunks::<4>();
        for (correction, four) in corrections.iter_mut().zip(fours) {
            let sum: i32 = four.iter().map(|&value| i32::from(value)).sum();
            *correction = -128 * sum;
        }
    }
}

on_best! {
    /// Rounds rows of `columns` numbers to blocks of `values` and their `scales`; what a
    /// block has no number for stays. A number that is not finite makes its block's scale
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

/// The blocks of one row.
#[derive(Clone, Copy)]
struct Blocks<'r> {
    values: &'r [i8],
    scales: &'r [f32],
}

impl<'r> Blocks<'r> {
    fn of(rows: &'r Int8Rows, row: usize) -> Self {
        let blocks = rows.blocks();
        Self {
            values: &rows.values[row * blocks * BLOCK..][..blocks * BLOCK],
            scales: &rows.scales[row * blocks..][..blocks],
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

/// One row against the `N` vectors from `first` on.
#[inline(always)]
fn dots<const N: usize>(
    isa: Isa,
    weights: Blocks<'_>,
    vectors: &Int8Vectors,
    first: usize,
) -> [f32; N] {
    let inputs: [Blocks<'_>; N] = std::array::from_fn(|n| Blocks::of(&vectors.rows, first + n));
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Vnni => {
            let lanes = weights.values.len() / 4;
            let corrections: [&[i32]; N] =
                std::array::from_fn(|n| &vectors.corrections[(first + n) * lanes..][..lanes]);
            // SAFETY: `available` found it; all slices have the row's length.
            unsafe { x86::vnni(weights, inputs, corrections) }
        }
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `available` found it; all slices have the row's length.
        Isa::Avx2 => unsafe { x86::avx2(weights, inputs) },
        Isa::Portable => inputs.map(|input| portable(weights, input)),
    }
}

fn portable(weights: Blocks<'_>, input: Blocks<'_>) -> f32 {
    let values = weights
        .values
        .chunks_exact(BLOCK)
        .zip(input.values.chunks_exact(BLOCK));
    let scales = weights.scales.iter().zip(input.scales);
    values
        .zip(scales)
        .map(|((w, x), (w_scale, x_scale))| {
            let terms = w.iter().zip(x).map(|(w, x)| i32::from(*w) * i32::from(*x));
            terms.sum::<i32>() as f32 * (w_scale * x_scale)
        })
        .sum()
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK, Blocks};

    /// How far ahead of its use a weight is asked for.
    const PREFETCH_BYTES: usize = 1024;

    /// `vpdpbusd` multiplies unsigned by signed bytes: the weights are shifted by
    /// 128, and the accumulators start with what that adds.
    ///
    /// # Safety
    /// All slices must be as long as `weights` says, `corrections` a quarter.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) unsafe fn vnni<const N: usize>(
        weights: Blocks<'_>,
        inputs: [Blocks<'_>; N],
        corrections: [&[i32]; N],
    ) -> [f32; N] {
        let shift = _mm512_set1_epi8(-128);
        let mut sums = [[_mm512_setzero_ps(); 2]; N];
        // A macro and not a variable index, which would keep the sums in memory.
        macro_rules! add {
            ($block:expr, $sum:literal) => {
                // SAFETY: the block is below the number of blocks of every slice; a
                // prefetch may be anywhere.
                unsafe {
                    let source = weights.values.as_ptr().add($block * BLOCK);
                    _mm_prefetch::<_MM_HINT_T0>(source.wrapping_add(PREFETCH_BYTES));
                    let w = _mm512_xor_si512(_mm512_loadu_si512(source.cast()), shift);
                    let w_scale = *weights.scales.get_unchecked($block);
                    for n in 0..N {
                        let x = inputs[n].values.as_ptr().add($block * BLOCK);
                        let start = corrections[n].as_ptr().add($block * BLOCK / 4);
                        let dot = _mm512_dpbusd_epi32(
                            _mm512_loadu_si512(start.cast()),
                            w,
                            _mm512_loadu_si512(x.cast()),
                        );
                        let scale =
                            _mm512_set1_ps(w_scale * *inputs[n].scales.get_unchecked($block));
                        sums[n][$sum] =
                            _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, sums[n][$sum]);
                    }
                }
            };
        }
        let blocks = weights.scales.len();
        for pair in 0..blocks / 2 {
            add!(2 * pair, 0);
            add!(2 * pair + 1, 1);
        }
        if blocks % 2 == 1 {
            add!(blocks - 1, 0);
        }
        let mut dots = [0.0; N];
        for n in 0..N {
            dots[n] = _mm512_reduce_add_ps(_mm512_add_ps(sums[n][0], sums[n][1]));
        }
        dots
    }

    /// `vpmaddubsw` multiplies unsigned by signed bytes too: the signs of the
    /// weights move to the input. Values are at most 127, so that pairs fit 16
    /// bits.
    ///
    /// # Safety
    /// All slices must be as long as `weights` says.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2<const N: usize>(
        weights: Blocks<'_>,
        inputs: [Blocks<'_>; N],
    ) -> [f32; N] {
        let ones = _mm256_set1_epi16(1);
        let mut sums = [_mm256_setzero_ps(); N];
        let blocks = weights.scales.len();
        for block in 0..blocks {
            // SAFETY: `block` is below the number of blocks of every slice; a
            // prefetch may be anywhere.
            unsafe {
                let source = weights.values.as_ptr().add(block * BLOCK);
                _mm_prefetch::<_MM_HINT_T0>(source.wrapping_add(PREFETCH_BYTES));
                let w = [
                    _mm256_loadu_si256(source.cast()),
                    _mm256_loadu_si256(source.add(32).cast()),
                ];
                let w_scale = *weights.scales.get_unchecked(block);
                for n in 0..N {
                    let x = inputs[n].values.as_ptr().add(block * BLOCK);
                    let mut halves = [_mm256_setzero_si256(); 2];
                    for half in 0..2 {
                        let x = _mm256_loadu_si256(x.add(half * 32).cast());
                        let signed = _mm256_sign_epi8(x, w[half]);
                        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w[half]), signed);
                        halves[half] = _mm256_madd_epi16(pairs, ones);
                    }
                    let dot = _mm256_cvtepi32_ps(_mm256_add_epi32(halves[0], halves[1]));
                    let scale = w_scale * *inputs[n].scales.get_unchecked(block);
                    sums[n] = _mm256_fmadd_ps(dot, _mm256_set1_ps(scale), sums[n]);
                }
            }
        }
        let mut dots = [0.0; N];
        for n in 0..N {
            let four = _mm_add_ps(
                _mm256_castps256_ps128(sums[n]),
                _mm256_extractf128_ps::<1>(sums[n]),
            );
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            dots[n] = _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)));
        }
        dots
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
            for (rows, columns, vectors) in [(1, 1, 1), (7, 33, 2), (3, 64, 5), (6, 130, 9)] {
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
                        quantised.rows.copy_row(n, &mut x);
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
