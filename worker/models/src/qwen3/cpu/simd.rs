//! Vector registers of f32, behind one small trait.
//!
//! The kernels are generic over [`Simd`] and always inlined into functions that
//! enable the instruction set (see [`super::kernel`]), so that each operation
//! becomes one instruction.

use half::bf16;

/// One instruction set's vector of `LANES` f32.
pub(super) trait Simd {
    /// The register.
    type V: Copy;
    /// Numbers in a register.
    const LANES: usize;

    /// All zero.
    ///
    /// # Safety
    /// As for every function here: the instruction set must be present.
    unsafe fn zero() -> Self::V;
    /// `LANES` numbers from `source`, which need not be aligned.
    ///
    /// # Safety
    /// `source` must be readable for `LANES` numbers.
    unsafe fn load(source: *const f32) -> Self::V;
    /// `LANES` numbers stored as bf16.
    ///
    /// # Safety
    /// `source` must be readable for `LANES` numbers.
    unsafe fn load_bf16(source: *const bf16) -> Self::V;
    /// Writes `LANES` numbers.
    ///
    /// # Safety
    /// `target` must be writable for `LANES` numbers.
    unsafe fn store(target: *mut f32, value: Self::V);
    /// `value` in every lane.
    ///
    /// # Safety
    /// The instruction set must be present.
    unsafe fn splat(value: f32) -> Self::V;
    /// `a · b + c` lane by lane.
    ///
    /// # Safety
    /// The instruction set must be present.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
}

/// The sum of a register's lanes, by halves.
///
/// # Safety
/// The instruction set of `S` must be present.
#[inline(always)]
pub(super) unsafe fn sum<S: Simd>(value: S::V) -> f32 {
    let mut lanes = [0.0_f32; 16];
    // SAFETY: no register here is wider than 16 lanes.
    unsafe { S::store(lanes.as_mut_ptr(), value) };
    let mut width = S::LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// A number as it is stored in a weight matrix.
pub(super) trait Stored: Copy + Send + Sync {
    /// Its value, exactly.
    fn value(self) -> f32;
    /// `S::LANES` numbers.
    ///
    /// # Safety
    /// As [`Simd::load`].
    unsafe fn load<S: Simd>(source: *const Self) -> S::V;
}

impl Stored for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(source: *const Self) -> S::V {
        // SAFETY: the caller's promise is the same.
        unsafe { S::load(source) }
    }
}

impl Stored for bf16 {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
    #[inline(always)]
    unsafe fn load<S: Simd>(source: *const Self) -> S::V {
        // SAFETY: the caller's promise is the same.
        unsafe { S::load_bf16(source) }
    }
}

/// Plain arrays, for whatever the compiler makes of them.
pub(super) struct Baseline;

/// Whether the baseline target multiplies and adds in one instruction; where it
/// does not, `mul_add` would be a slow library call.
const BASELINE_FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

impl Simd for Baseline {
    type V = [f32; 4];
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self::V {
        [0.0; 4]
    }
    #[inline(always)]
    unsafe fn load(source: *const f32) -> Self::V {
        // SAFETY: the caller promises four readable numbers.
        unsafe { source.cast::<[f32; 4]>().read() }
    }
    #[inline(always)]
    unsafe fn load_bf16(source: *const bf16) -> Self::V {
        // SAFETY: the caller promises four readable numbers.
        unsafe { source.cast::<[bf16; 4]>().read() }.map(bf16::value)
    }
    #[inline(always)]
    unsafe fn store(target: *mut f32, value: Self::V) {
        // SAFETY: the caller promises room for four numbers.
        unsafe { target.cast::<[f32; 4]>().write(value) };
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        [value; 4]
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|lane| match BASELINE_FMA {
            true => a[lane].mul_add(b[lane], c[lane]),
            false => a[lane] * b[lane] + c[lane],
        })
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    //! AVX-512 and AVX2.

    use std::arch::x86_64::*;

    use half::bf16;

    use super::Simd;

    /// 16 lanes; needs `avx512f`.
    pub(in super::super) struct Avx512;

    impl Simd for Avx512 {
        type V = __m512;
        const LANES: usize = 16;

        #[inline(always)]
        unsafe fn zero() -> __m512 {
            // SAFETY (here and below): the caller promises the instruction set
            // and the memory.
            unsafe { _mm512_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn load(source: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(source) }
        }
        #[inline(always)]
        unsafe fn load_bf16(source: *const bf16) -> __m512 {
            unsafe {
                let halves = _mm256_loadu_si256(source.cast());
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves)))
            }
        }
        #[inline(always)]
        unsafe fn store(target: *mut f32, value: __m512) {
            unsafe { _mm512_storeu_ps(target, value) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m512 {
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
    }

    /// 8 lanes; needs `avx2` and `fma`.
    pub(in super::super) struct Avx2;

    impl Simd for Avx2 {
        type V = __m256;
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn zero() -> __m256 {
            // SAFETY (here and below): the caller promises the instruction set
            // and the memory.
            unsafe { _mm256_setzero_ps() }
        }
        #[inline(always)]
        unsafe fn load(source: *const f32) -> __m256 {
            unsafe { _mm256_loadu_ps(source) }
        }
        #[inline(always)]
        unsafe fn load_bf16(source: *const bf16) -> __m256 {
            unsafe {
                let halves = _mm_loadu_si128(source.cast());
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves)))
            }
        }
        #[inline(always)]
        unsafe fn store(target: *mut f32, value: __m256) {
            unsafe { _mm256_storeu_ps(target, value) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> __m256 {
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: __m256, b: __m256, c: __m256) -> __m256 {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
    }
}
