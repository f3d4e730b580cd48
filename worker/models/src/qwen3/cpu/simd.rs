//! Vector registers of f32, behind one small trait.
//!
//! The kernels are generic over [`Simd`] and always inlined into functions that
//! enable the instruction set (see [`super::kernel`]), so that each operation
//! becomes one instruction.

use half::bf16;

use super::lines::Number;

/// One instruction set's vector of `LANES` f32.
pub(crate) trait Simd {
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
    /// `LANES` pairs of numbers stored as bf16: the first of each, then the second.
    ///
    /// # Safety
    /// `source` must be readable for `2 · LANES` numbers.
    unsafe fn load_bf16_pairs(source: *const bf16) -> [Self::V; 2];
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
    /// `a + b` lane by lane.
    ///
    /// # Safety
    /// The instruction set must be present.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// Asks for the cache line of `address`, which may be any address.
    ///
    /// # Safety
    /// The instruction set must be present.
    unsafe fn prefetch(address: *const u8);
}

/// A number as it is stored in a weight matrix.
pub(crate) trait Stored: Number + Send + Sync {
    /// Its value, exactly.
    fn value(self) -> f32;
    /// Columns of a row that lie together in a panel.
    const TOGETHER: usize;
    /// Two columns of `S::LANES` rows of a panel of `panel` rows.
    ///
    /// # Safety
    /// `source` must be readable for the numbers of both.
    unsafe fn load_columns<S: Simd>(source: *const Self, panel: usize) -> [S::V; 2];
}

impl Stored for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
    const TOGETHER: usize = 1;
    #[inline(always)]
    unsafe fn load_columns<S: Simd>(source: *const Self, panel: usize) -> [S::V; 2] {
        // SAFETY: the caller's promise is the same.
        unsafe { [S::load(source), S::load(source.add(panel))] }
    }
}

impl Stored for bf16 {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
    /// As the instructions take them that multiply bf16 in pairs.
    const TOGETHER: usize = 2;
    #[inline(always)]
    unsafe fn load_columns<S: Simd>(source: *const Self, _panel: usize) -> [S::V; 2] {
        // SAFETY: the caller's promise is the same.
        unsafe { S::load_bf16_pairs(source) }
    }
}

/// Plain arrays, for whatever the compiler makes of them.
pub(crate) struct Baseline;

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
    unsafe fn load_bf16_pairs(source: *const bf16) -> [Self::V; 2] {
        // SAFETY: the caller promises four readable pairs.
        let pairs = unsafe { source.cast::<[[bf16; 2]; 4]>().read() };
        [
            pairs.map(|pair| pair[0].value()),
            pairs.map(|pair| pair[1].value()),
        ]
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
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|lane| a[lane] + b[lane])
    }
    #[inline(always)]
    unsafe fn prefetch(_address: *const u8) {}
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    //! AVX-512 and AVX2.

    use std::arch::x86_64::*;

    use half::bf16;

    use super::Simd;

    /// The second of two bf16.
    const SECOND: i32 = 0xffff_0000_u32 as i32;

    /// 16 lanes; needs `avx512f`.
    pub(crate) struct Avx512;

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
        unsafe fn load_bf16_pairs(source: *const bf16) -> [__m512; 2] {
            unsafe {
                let pairs = _mm512_loadu_si512(source.cast());
                let second = _mm512_and_si512(pairs, _mm512_set1_epi32(SECOND));
                let first = _mm512_slli_epi32::<16>(pairs);
                [_mm512_castsi512_ps(first), _mm512_castsi512_ps(second)]
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
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn prefetch(address: *const u8) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
    }

    /// 8 lanes; needs `avx2` and `fma`.
    pub(crate) struct Avx2;

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
        unsafe fn load_bf16_pairs(source: *const bf16) -> [__m256; 2] {
            unsafe {
                let pairs = _mm256_loadu_si256(source.cast());
                let second = _mm256_and_si256(pairs, _mm256_set1_epi32(SECOND));
                let first = _mm256_slli_epi32::<16>(pairs);
                [_mm256_castsi256_ps(first), _mm256_castsi256_ps(second)]
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
        #[inline(always)]
        unsafe fn add(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn prefetch(address: *const u8) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
        }
    }
}
