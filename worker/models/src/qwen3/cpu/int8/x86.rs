//! Tiles of eight-bit products, by instruction set.
#![expect(
    clippy::needless_range_loop,
    reason = "indices run over registers: iterators would keep them in memory"
)]

use std::arch::x86_64::*;

use super::{BLOCK, FOUR, Operands, PANEL, PANEL_BLOCK, SHIFT};

/// How far ahead of its use a weight is asked for.
const PREFETCH_BYTES: usize = 2048;

/// `vpdpbusd` adds four products of unsigned by signed bytes to a sum of 32 bits.
///
/// # Safety
/// All slices must be as long as `blocks` says.
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
