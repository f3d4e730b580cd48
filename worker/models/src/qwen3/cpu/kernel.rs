//! The instruction sets that are chosen at run time, and the weighted sums of attention.

use std::ops::Range;
use std::sync::LazyLock;

#[cfg(target_arch = "x86_64")]
use super::simd::x86::{Avx2, Avx512};
use super::simd::{Baseline, Simd};

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

/// `sums[n] += Σ_t weights[n·stride + t] · rows[t]`, in the order of `t`: rows, and sums, of
/// `width` numbers one after the other.
///
/// What a sum gets does not depend on how many there are.
///
/// # Panics
/// When there are too few weights for the last sum's rows.
pub(super) fn add_weighted(
    weights: &[f32],
    stride: usize,
    rows: &[f32],
    width: usize,
    sums: &mut [f32],
) {
    add_weighted_on(*ISA, weights, stride, rows, width, sums);
}

fn add_weighted_on(
    isa: Isa,
    weights: &[f32],
    stride: usize,
    rows: &[f32],
    width: usize,
    sums: &mut [f32],
) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn avx512(work: Weighted<'_>) {
        // SAFETY: this function has the instruction set.
        unsafe { work.run::<Avx512, 4>() }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(work: Weighted<'_>) {
        // SAFETY: this function has the instruction set.
        unsafe { work.run::<Avx2, 2>() }
    }
    let (count, tokens) = (sums.len() / width, rows.len() / width);
    if count == 0 || tokens == 0 {
        return;
    }
    assert!(weights.len() >= (count - 1) * stride + tokens);
    let work = Weighted {
        weights,
        stride,
        rows: &rows[..tokens * width],
        width,
        sums: &mut sums[..count * width],
    };
    match isa {
        // SAFETY: `available` found it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(work) },
        // SAFETY: `available` found it.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(work) },
        // SAFETY: arrays are always there.
        Isa::Baseline => unsafe { work.run::<Baseline, 2>() },
    }
}

/// Whole rows and sums, with a weight for each of both.
struct Weighted<'w> {
    weights: &'w [f32],
    stride: usize,
    rows: &'w [f32],
    width: usize,
    sums: &'w mut [f32],
}

impl Weighted<'_> {
    /// Tiles of sums: up to six by `R` registers.
    ///
    /// # Safety
    /// The instruction set must be present.
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize>(mut self) {
        let count = self.sums.len() / self.width;
        let mut n = 0;
        while n < count {
            let mut at = 0;
            let sums = match count - n {
                6.. => 6,
                3.. => 3,
                _ => 1,
            };
            while at < self.width {
                // SAFETY: the caller promises the instruction set; there are as many sums, and
                // the tile is no wider than what is left of them.
                at += unsafe {
                    match (sums, self.width - at) {
                        (6, wide) if wide >= R * S::LANES => self.tile::<S, R, 6>(n, at),
                        (3, wide) if wide >= R * S::LANES => self.tile::<S, R, 3>(n, at),
                        (_, wide) if wide >= R * S::LANES => self.tile::<S, R, 1>(n, at),
                        (6, wide) if wide >= S::LANES => self.tile::<S, 1, 6>(n, at),
                        (3, wide) if wide >= S::LANES => self.tile::<S, 1, 3>(n, at),
                        (_, wide) if wide >= S::LANES => self.tile::<S, 1, 1>(n, at),
                        _ => self.column(n..n + sums, at),
                    }
                };
            }
            n += sums;
        }
    }

    /// `N` sums from `n` on, their numbers from `at` on; returns how many of each.
    ///
    /// # Safety
    /// The instruction set must be present, and as many sums and numbers.
    #[expect(
        clippy::needless_range_loop,
        reason = "indices run over registers: iterators would keep them in memory"
    )]
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const N: usize>(
        &mut self,
        n: usize,
        at: usize,
    ) -> usize {
        let (width, stride) = (self.width, self.stride);
        let tokens = self.rows.len() / width;
        let weights = self.weights[n * stride..].as_ptr();
        let rows = self.rows[at..].as_ptr();
        let sums = self.sums[n * width + at..].as_mut_ptr();
        // SAFETY: the caller promises the instruction set, and that a tile is within the sums,
        // and so within the rows; weights are there for each of both.
        unsafe {
            let mut all = [[S::zero(); R]; N];
            for n in 0..N {
                for r in 0..R {
                    all[n][r] = S::load(sums.add(n * width + r * S::LANES));
                }
            }
            for t in 0..tokens {
                let mut row = [S::zero(); R];
                for r in 0..R {
                    row[r] = S::load(rows.add(t * width + r * S::LANES));
                }
                for n in 0..N {
                    let weight = S::splat(*weights.add(n * stride + t));
                    for r in 0..R {
                        all[n][r] = S::mul_add(weight, row[r], all[n][r]);
                    }
                }
            }
            for n in 0..N {
                for r in 0..R {
                    S::store(sums.add(n * width + r * S::LANES), all[n][r]);
                }
            }
        }
        R * S::LANES
    }

    /// One number of each of some sums.
    fn column(&mut self, sums: Range<usize>, at: usize) -> usize {
        for n in sums {
            let weights = &self.weights[n * self.stride..];
            let rows = self.rows.chunks_exact(self.width);
            for (weight, row) in weights.iter().zip(rows) {
                self.sums[n * self.width + at] += weight * row[at];
            }
        }
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighted_sums_add_to_what_is_there_alike_in_any_company() {
        let number = |i: usize| (i * 7919 % 1013) as f32 / 500.0 - 1.0;
        for isa in available() {
            for (width, tokens, count) in
                [(1, 5, 1), (3, 1, 8), (16, 9, 2), (37, 6, 13), (128, 7, 9)]
            {
                let stride = tokens + 2;
                let rows: Vec<f32> = (0..tokens * width).map(number).collect();
                let weights: Vec<f32> = (0..count * stride).map(|i| number(i + 17)).collect();
                let mut sums = vec![1.0; count * width];
                add_weighted_on(isa, &weights, stride, &rows, width, &mut sums);
                for (n, sums) in sums.chunks(width).enumerate() {
                    let weights = &weights[n * stride..];
                    for (at, sum) in sums.iter().enumerate() {
                        let terms = (0..tokens).map(|t| weights[t] * rows[t * width + at]);
                        let exact = 1.0 + terms.sum::<f32>();
                        assert!((sum - exact).abs() < 1e-5, "{isa:?} {width} {n} {at}");
                    }
                    let mut alone = vec![1.0; width];
                    add_weighted_on(isa, weights, stride, &rows, width, &mut alone);
                    assert_eq!(sums, alone, "{isa:?} {width} {n}");
                }
            }
        }
    }
}
