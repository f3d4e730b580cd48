//! Dot products of weight rows with a few vectors, and the vector loops of
//! attention, compiled for the instruction sets that are chosen at run time.
//!
//! The loops are plain Rust over fixed-width arrays, which the compiler turns
//! into vector instructions inside functions marked with a target feature.

use std::sync::LazyLock;

/// Accumulators per dot product: one AVX-512 register, two of AVX2, four of NEON.
const LANES: usize = 16;

/// A stored number that is read as f32.
pub(super) trait Stored: Copy + Send + Sync {
    /// Its value, exactly.
    fn value(self) -> f32;
}

impl Stored for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

impl Stored for half::bf16 {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// Instruction sets with code of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Baseline,
}

static ISA: LazyLock<Isa> = LazyLock::new(|| {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma")
        {
            return Isa::Avx512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Isa::Avx2;
        }
    }
    Isa::Baseline
});

/// Whether the baseline target multiplies and adds in one instruction; where it
/// does not, `mul_add` would be a slow library call.
const BASELINE_FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// Compiles `$body` (called with a const `FMA` flag) once for each instruction set.
macro_rules! for_each_isa {
    ($name:ident $(<$generic:ident : $bound:ident>)? ($($arg:ident : $type:ty),*) => $body:ident) => {
        #[inline]
        pub(super) fn $name $(<$generic: $bound>)? ($($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,fma")]
            fn avx512 $(<$generic: $bound>)? ($($arg: $type),*) {
                $body::<true $(, $generic)?>($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 $(<$generic: $bound>)? ($($arg: $type),*) {
                $body::<true $(, $generic)?>($($arg),*);
            }
            match *ISA {
                // SAFETY: `ISA` takes this value only where these features were detected.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => unsafe { avx512($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => unsafe { avx2($($arg),*) },
                Isa::Baseline => $body::<BASELINE_FMA $(, $generic)?>($($arg),*),
            }
        }
    };
}

for_each_isa!(products<W: Stored>(weights: &[W], inputs: &[f32], columns: usize, outputs: &mut [f32], stride: usize) => products_body);
for_each_isa!(weighted_sum(weights: &[f32], rows: &[f32], sum: &mut [f32]) => weighted_sum_body);

#[inline(always)]
fn fused<const FMA: bool>(a: f32, b: f32, sum: f32) -> f32 {
    if FMA { a.mul_add(b, sum) } else { a * b + sum }
}

/// `outputs[n·stride + r] = weights[r] · inputs[n]` for rows `r` of `weights`
/// (each of `columns`) and vectors `n` of `inputs`. `outputs` starts at the
/// first row's place.
#[inline(always)]
fn products_body<const FMA: bool, W: Stored>(
    weights: &[W],
    inputs: &[f32],
    columns: usize,
    outputs: &mut [f32],
    stride: usize,
) {
    let rows = weights.len() / columns;
    let vectors = inputs.len() / columns;
    let mut row = 0;
    while row + 4 <= rows {
        block_over_inputs::<FMA, 4, W>(weights, inputs, columns, row, vectors, outputs, stride);
        row += 4;
    }
    while row < rows {
        block_over_inputs::<FMA, 1, W>(weights, inputs, columns, row, vectors, outputs, stride);
        row += 1;
    }
}

/// Rows `row..row + R` against every input, so that they are read from memory once.
#[inline(always)]
fn block_over_inputs<const FMA: bool, const R: usize, W: Stored>(
    weights: &[W],
    inputs: &[f32],
    columns: usize,
    row: usize,
    vectors: usize,
    outputs: &mut [f32],
    stride: usize,
) {
    let rows: [&[W]; R] = std::array::from_fn(|r| &weights[(row + r) * columns..][..columns]);
    let vector = |n: usize| &inputs[n * columns..][..columns];
    let mut n = 0;
    while n + 4 <= vectors {
        let block: [&[f32]; 4] = std::array::from_fn(|i| vector(n + i));
        store(dots::<FMA, R, 4, W>(rows, block), n, row, outputs, stride);
        n += 4;
    }
    while n < vectors {
        store(
            dots::<FMA, R, 1, W>(rows, [vector(n)]),
            n,
            row,
            outputs,
            stride,
        );
        n += 1;
    }
}

#[inline(always)]
fn store<const R: usize, const N: usize>(
    dots: [[f32; R]; N],
    first_vector: usize,
    first_row: usize,
    outputs: &mut [f32],
    stride: usize,
) {
    for (n, dots) in dots.iter().enumerate() {
        outputs[(first_vector + n) * stride + first_row..][..R].copy_from_slice(dots);
    }
}

/// The dot products of `R` rows with `N` vectors of the same length.
#[inline(always)]
fn dots<const FMA: bool, const R: usize, const N: usize, W: Stored>(
    rows: [&[W]; R],
    vectors: [&[f32]; N],
) -> [[f32; R]; N] {
    let rows_chunked = rows.map(|row| row.as_chunks::<LANES>());
    let vectors_chunked = vectors.map(|vector| vector.as_chunks::<LANES>());
    let chunks = vectors_chunked[0].0.len();

    let mut sums = [[[0.0_f32; LANES]; R]; N];
    for chunk in 0..chunks {
        for r in 0..R {
            let weights = rows_chunked[r].0[chunk].map(W::value);
            for n in 0..N {
                let inputs = &vectors_chunked[n].0[chunk];
                for lane in 0..LANES {
                    sums[n][r][lane] = fused::<FMA>(weights[lane], inputs[lane], sums[n][r][lane]);
                }
            }
        }
    }

    std::array::from_fn(|n| {
        std::array::from_fn(|r| {
            let tail: f32 = rows_chunked[r]
                .1
                .iter()
                .zip(vectors_chunked[n].1)
                .map(|(weight, input)| weight.value() * input)
                .sum();
            pairwise(sums[n][r]) + tail
        })
    })
}

/// The sum of all lanes, by halves.
#[inline(always)]
fn pairwise(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// `sum += Σ_t weights[t] · rows[t]`, rows of `sum`'s length.
#[inline(always)]
fn weighted_sum_body<const FMA: bool>(weights: &[f32], rows: &[f32], sum: &mut [f32]) {
    for (weight, row) in weights.iter().zip(rows.chunks_exact(sum.len())) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum = fused::<FMA>(*weight, *value, *sum);
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

    fn check<W: Stored>(weights: &[W], rows: usize, columns: usize, vectors: usize) {
        let inputs = numbers(vectors * columns, 7);
        let mut outputs = vec![f32::NAN; vectors * rows];
        products(weights, &inputs, columns, &mut outputs, rows);
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
                    "{rows}x{columns} by {vectors}: row {r}, vector {n}: {got} and {exact}"
                );
            }
        }
    }

    #[test]
    fn products_of_every_remainder() {
        for (rows, columns, vectors) in [
            (1, 1, 1),
            (4, 16, 1),
            (7, 33, 1),
            (9, 100, 2),
            (6, 47, 5),
            (13, 64, 9),
        ] {
            let weights = numbers(rows * columns, 3);
            check(&weights, rows, columns, vectors);
            let halves: Vec<half::bf16> =
                weights.iter().map(|&w| half::bf16::from_f32(w)).collect();
            check(&halves, rows, columns, vectors);
        }
    }

    #[test]
    fn weighted_sum_adds_to_what_is_there() {
        let mut sum = [1.0, 2.0, 3.0];
        weighted_sum(&[2.0, -1.0], &[1.0, 0.0, 1.0, 5.0, 5.0, 5.0], &mut sum);
        assert_eq!(sum, [-2.0, -3.0, 0.0]);
    }
}
