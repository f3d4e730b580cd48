//! Dot products of keys with a few queries, and the weighted sum of values, of attention,
//! for the instruction sets that are chosen at run time.

use std::sync::LazyLock;

#[cfg(target_arch = "x86_64")]
use super::simd::x86::{Avx2, Avx512};
use super::simd::{Baseline, Simd, Stored};

/// Instruction sets with code of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Baseline,
}

/// Those that this machine has, the best first.
pub(super) fn available() -> Vec<Isa> {
    let mut sets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if avx2 && is_x86_feature_detected!("avx512f") {
            sets.push(Isa::Avx512);
        }
        if avx2 {
            sets.push(Isa::Avx2);
        }
    }
    sets.push(Isa::Baseline);
    sets
}

pub(crate) static ISA: LazyLock<Isa> =
    LazyLock::new(|| available().first().copied().unwrap_or(Isa::Baseline));

/// `outputs[n·stride + r] = weights[r] · inputs[n]` for the rows `r` of `weights`
/// (each of `columns`) and the vectors `n` of `inputs`.
///
/// # Panics
/// When `outputs` is too short for the last vector's rows.
#[inline]
pub(super) fn products<W: Stored>(
    weights: &[W],
    inputs: &[f32],
    columns: usize,
    outputs: &mut [f32],
    stride: usize,
) {
    products_on(*ISA, weights, inputs, columns, outputs, stride);
}

/// `sum += Σ_t weights[t] · rows[t]`, rows of `sum`'s length.
#[inline]
pub(super) fn weighted_sum(weights: &[f32], rows: &[f32], sum: &mut [f32]) {
    weighted_sum_on(*ISA, weights, rows, sum);
}

fn products_on<W: Stored>(
    isa: Isa,
    weights: &[W],
    inputs: &[f32],
    columns: usize,
    outputs: &mut [f32],
    stride: usize,
) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn avx512<W: Stored>(w: &[W], x: &[f32], columns: usize, out: &mut [f32], stride: usize) {
        // SAFETY: this function has the instruction set.
        unsafe { products_with::<Avx512, W>(w, x, columns, out, stride) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2<W: Stored>(w: &[W], x: &[f32], columns: usize, out: &mut [f32], stride: usize) {
        // SAFETY: this function has the instruction set.
        unsafe { products_with::<Avx2, W>(w, x, columns, out, stride) }
    }
    match isa {
        // SAFETY: `available` found it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(weights, inputs, columns, outputs, stride) },
        // SAFETY: `available` found it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(weights, inputs, columns, outputs, stride) },
        // SAFETY: arrays are always there.
        Isa::Baseline => unsafe {
            products_with::<Baseline, W>(weights, inputs, columns, outputs, stride);
        },
    }
}

fn weighted_sum_on(isa: Isa, weights: &[f32], rows: &[f32], sum: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn avx512(weights: &[f32], rows: &[f32], sum: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { weighted_sum_with::<Avx512>(weights, rows, sum) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(weights: &[f32], rows: &[f32], sum: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { weighted_sum_with::<Avx2>(weights, rows, sum) }
    }
    match isa {
        // SAFETY: `available` found it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(weights, rows, sum) },
        // SAFETY: `available` found it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(weights, rows, sum) },
        // SAFETY: arrays are always there.
        Isa::Baseline => unsafe { weighted_sum_with::<Baseline>(weights, rows, sum) },
    }
}

/// How far ahead of its use a weight is asked for. The rows follow each other in
/// memory; with this the stream runs at the memory's speed.
const PREFETCH_BYTES: usize = 512;

/// Partial sums of one dot product. The same for every group: it decides the
/// order of the additions.
const ACCUMULATORS: usize = 2;

/// Rows one after the other, so that the weights are one sequential stream; with
/// several vectors in tiles of rows, so that each number loaded serves several
/// products.
///
/// Every tile adds in the same order, so that a vector's products do not depend
/// on how many others come with it: what a sequence gets in a batch is, bit for
/// bit, what it gets alone.
#[inline(always)]
unsafe fn products_with<S: Simd, W: Stored>(
    weights: &[W],
    inputs: &[f32],
    columns: usize,
    outputs: &mut [f32],
    stride: usize,
) {
    let mut weights = weights;
    let mut row = 0;
    let tile = match (inputs.len() / columns, S::LANES) {
        (..2, _) => 1,
        (_, 16..) => 4,
        _ => 2,
    };
    while weights.len() >= columns {
        let rows = if weights.len() >= tile * columns {
            tile
        } else {
            1
        };
        let (these, rest) = weights.split_at(rows * columns);
        // SAFETY: the caller promises the instruction set.
        unsafe {
            match rows {
                4 => rows_by_all::<S, W, 4>(these, inputs, outputs, row, stride),
                2 => rows_by_all::<S, W, 2>(these, inputs, outputs, row, stride),
                _ => rows_by_all::<S, W, 1>(these, inputs, outputs, row, stride),
            }
        }
        (weights, row) = (rest, row + rows);
    }
}

/// `R` rows against every input: as many at a time as leave all sums in registers.
#[inline(always)]
unsafe fn rows_by_all<S: Simd, W: Stored, const R: usize>(
    rows: &[W],
    mut inputs: &[f32],
    outputs: &mut [f32],
    row: usize,
    stride: usize,
) {
    let columns = rows.len() / R;
    let mut place = row;
    // SAFETY: the caller promises the instruction set.
    unsafe {
        while R == 1 && S::LANES >= 16 && inputs.len() >= 8 * columns {
            place = tile::<S, W, R, 8>(rows, &mut inputs, outputs, place, stride);
        }
        while R == 1 && inputs.len() >= 4 * columns {
            place = tile::<S, W, R, 4>(rows, &mut inputs, outputs, place, stride);
        }
        while R > 1 && inputs.len() >= 3 * columns {
            place = tile::<S, W, R, 3>(rows, &mut inputs, outputs, place, stride);
        }
        while inputs.len() >= 2 * columns {
            place = tile::<S, W, R, 2>(rows, &mut inputs, outputs, place, stride);
        }
        if inputs.len() >= columns {
            tile::<S, W, R, 1>(rows, &mut inputs, outputs, place, stride);
        }
    }
}

/// `R` rows against the next `N` inputs, which are taken off; returns the place
/// of the next output.
#[inline(always)]
unsafe fn tile<S: Simd, W: Stored, const R: usize, const N: usize>(
    rows: &[W],
    inputs: &mut &[f32],
    outputs: &mut [f32],
    place: usize,
    stride: usize,
) -> usize {
    let (vectors, rest) = inputs.split_at(N * (rows.len() / R));
    *inputs = rest;
    // SAFETY: the caller promises the instruction set.
    let dots = unsafe { dots::<S, W, R, N>(rows, vectors) };
    for (r, dots) in dots.into_iter().enumerate() {
        for (n, dot) in dots.into_iter().enumerate() {
            outputs[place + n * stride + r] = dot;
        }
    }
    place + N * stride
}

/// The dot products of `R` rows with `N` vectors of their length, all one after
/// the other. [`ACCUMULATORS`] each hide the latency of the addition.
#[expect(
    clippy::needless_range_loop,
    reason = "indices run over registers: iterators would keep them in memory"
)]
#[inline(always)]
unsafe fn dots<S: Simd, W: Stored, const R: usize, const N: usize>(
    rows: &[W],
    vectors: &[f32],
) -> [[f32; N]; R] {
    const A: usize = ACCUMULATORS;
    let columns = rows.len() / R;
    let rows: [&[W]; R] = std::array::from_fn(|r| &rows[r * columns..][..columns]);
    let vectors: [&[f32]; N] = std::array::from_fn(|n| &vectors[n * columns..][..columns]);
    let step = A * S::LANES;
    // SAFETY: the caller promises the instruction set.
    let mut sums = [[[unsafe { S::zero() }; A]; N]; R];
    let mut at = 0;
    // SAFETY: the caller promises the instruction set; every load ends at or
    // before `columns`, the length of all slices. A prefetch may be anywhere.
    unsafe {
        while at + step <= columns {
            // Several rows are read again for the next vectors, from the cache.
            if R == 1 {
                let ahead = rows[0].as_ptr().wrapping_add(at).cast::<u8>();
                for line in 0..(step * size_of::<W>()).div_ceil(64) {
                    S::prefetch(ahead.wrapping_add(PREFETCH_BYTES + line * 64));
                }
            }
            for a in 0..A {
                let from = at + a * S::LANES;
                let mut weights = [S::zero(); R];
                for r in 0..R {
                    weights[r] = W::load::<S>(rows[r].as_ptr().add(from));
                }
                for n in 0..N {
                    let inputs = S::load(vectors[n].as_ptr().add(from));
                    for r in 0..R {
                        sums[r][n][a] = S::mul_add(weights[r], inputs, sums[r][n][a]);
                    }
                }
            }
            at += step;
        }
        while at + S::LANES <= columns {
            for r in 0..R {
                let weights = W::load::<S>(rows[r].as_ptr().add(at));
                for n in 0..N {
                    let inputs = S::load(vectors[n].as_ptr().add(at));
                    sums[r][n][0] = S::mul_add(weights, inputs, sums[r][n][0]);
                }
            }
            at += S::LANES;
        }
    }
    // Loops, not closures: a closure would be compiled without the instruction
    // set and would force the accumulators into memory.
    let mut dots = [[0.0; N]; R];
    for r in 0..R {
        for n in 0..N {
            // SAFETY: the caller promises the instruction set.
            unsafe {
                let mut all = sums[r][n][0];
                for a in 1..A {
                    all = S::add(all, sums[r][n][a]);
                }
                dots[r][n] = S::sum(all);
            }
        }
    }
    for rest in at..columns {
        for r in 0..R {
            let weight = rows[r][rest].value();
            for n in 0..N {
                dots[r][n] += weight * vectors[n][rest];
            }
        }
    }
    dots
}

#[inline(always)]
unsafe fn weighted_sum_with<S: Simd>(weights: &[f32], rows: &[f32], sum: &mut [f32]) {
    let width = sum.len();
    let whole = width / S::LANES * S::LANES;
    let rows = &rows[..weights.len() * width];
    // SAFETY: the caller promises the instruction set; `at + LANES ≤ width`, the
    // length of `sum` and of each row, and `rows` holds one row a weight.
    unsafe {
        let mut at = 0;
        while at < whole {
            let mut lanes = S::load(sum.as_ptr().add(at));
            for (t, &weight) in weights.iter().enumerate() {
                let row = S::load(rows.as_ptr().add(t * width + at));
                lanes = S::mul_add(S::splat(weight), row, lanes);
            }
            S::store(sum.as_mut_ptr().add(at), lanes);
            at += S::LANES;
        }
    }
    for at in whole..width {
        for (t, weight) in weights.iter().enumerate() {
            sum[at] += weight * rows[t * width + at];
        }
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

    fn check<W: Stored>(weights: &[W], rows: usize, columns: usize, vectors: usize, isa: Isa) {
        let inputs = numbers(vectors * columns, 7);
        let mut outputs = vec![f32::NAN; vectors * rows];
        products_on(isa, weights, &inputs, columns, &mut outputs, rows);
        for n in 0..vectors {
            for r in 0..rows {
                let exact: f64 = (0..columns)
                    .map(|c| {
                        f64::from(weights[r * columns + c].value())
                            * f64::from(inputs[n * columns + c])
                    })
                    .sum();
                let got = f64::from(outputs[n * rows + r]);
                assert!(
                    (got - exact).abs() < 1e-4,
                    "{isa:?} {rows}x{columns} by {vectors}: row {r}, vector {n}: {got} and {exact}"
                );
            }
        }
    }

    #[test]
    fn products_of_every_remainder_on_every_instruction_set() {
        let shapes = [
            (1, 1, 1),
            (4, 16, 1),
            (7, 33, 1),
            (9, 100, 2),
            (6, 47, 5),
            (13, 64, 9),
            (3, 130, 15),
        ];
        for isa in available() {
            for (rows, columns, vectors) in shapes {
                let weights = numbers(rows * columns, 3);
                check(&weights, rows, columns, vectors, isa);
                let halves: Vec<half::bf16> =
                    weights.iter().map(|&w| half::bf16::from_f32(w)).collect();
                check(&halves, rows, columns, vectors, isa);
            }
        }
    }

    #[test]
    fn a_vector_gets_the_same_bits_in_any_company() {
        let (rows, columns) = (5, 1000);
        let weights = numbers(rows * columns, 3);
        let inputs = numbers(23 * columns, 7);
        for isa in available() {
            let mut alone = vec![0.0; 23 * rows];
            for (input, output) in inputs.chunks(columns).zip(alone.chunks_mut(rows)) {
                products_on(isa, &weights, input, columns, output, rows);
            }
            for vectors in 2..=23 {
                let mut together = vec![0.0; vectors * rows];
                let inputs = &inputs[..vectors * columns];
                products_on(isa, &weights, inputs, columns, &mut together, rows);
                assert_eq!(together, alone[..vectors * rows], "{isa:?} {vectors}");
            }
        }
    }

    #[test]
    fn weighted_sum_adds_to_what_is_there_on_every_instruction_set() {
        for isa in available() {
            for width in [1, 3, 16, 37] {
                let rows = numbers(5 * width, 11);
                let weights = numbers(5, 13);
                let mut sum = vec![1.0; width];
                weighted_sum_on(isa, &weights, &rows, &mut sum);
                for at in 0..width {
                    let terms = (0..5).map(|t| weights[t] * rows[t * width + at]);
                    let exact = 1.0 + terms.sum::<f32>();
                    assert!((sum[at] - exact).abs() < 1e-5, "{isa:?} {width} {at}");
                }
            }
        }
    }
}
