//! AMX, the matrix unit of newer Intel servers: products of tiles of 16 rows of 64 bytes.
//!
//! Source: *Intel 64 and IA-32 Architectures Software Developer's Manual*, volume 1, chapter
//! 18. The panels of [`super::panels`] and [`super::int8`] are tiles of its second operand.
//! The compiler has no stable names for the instructions.

pub(super) mod bf16;
pub(super) mod int8;

use std::arch::asm;
use std::arch::x86_64::*;
use std::marker::PhantomData;
use std::sync::LazyLock;

use super::lines::LINE;
use super::panels::PANEL;

/// Rows of a tile at most.
const TALL: usize = 16;

/// Bytes of weights that stay in the second cache.
const RESIDENT: usize = 512 * 1024;

/// A tile's sums.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Sums<T>([[T; PANEL]; TALL]);

/// Whether the unit is there, and this process may use it.
pub(super) fn is_there() -> bool {
    static THERE: LazyLock<bool> = LazyLock::new(|| has_instructions() && ask_kernel());
    *THERE
}

fn has_instructions() -> bool {
    /// Tiles, and products of bf16 and of bytes.
    const INSTRUCTIONS: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    // The kernel saves the tiles of threads.
    const STATES: u32 = 0b11 << 17;
    let has = |bits: u32, all: u32| bits & all == all;
    if !is_x86_feature_detected!("avx512f") || __cpuid_count(0, 0).eax < 7 {
        return false;
    }
    let (low, _high): (u32, u32);
    // SAFETY: with AVX-512 there is XGETBV, which writes two registers.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _high, options(nomem, nostack));
    }
    has(__cpuid_count(7, 0).edx, INSTRUCTIONS) && has(low, STATES)
}

/// A process must be given the tiles' memory before it uses them.
fn ask_kernel() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: this takes two numbers.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

/// The shapes of tiles, as the instruction reads them.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// The first of the tiles for weights.
const OF_WEIGHTS: usize = 6;

/// This thread's tiles: 0 to 3 are for sums, 4 and 5 for vectors, 6 and 7 for weights.
struct Tiles {
    /// Not another thread's.
    thread: PhantomData<*const ()>,
}

impl Tiles {
    /// With `rows` rows in those of sums and of vectors.
    ///
    /// # Safety
    /// The unit must be there.
    unsafe fn new(rows: usize) -> Self {
        let mut shapes = Shapes {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        for tile in 0..8 {
            shapes.row_bytes[tile] = LINE as u16;
            shapes.rows[tile] = if tile < OF_WEIGHTS {
                rows.min(TALL)
            } else {
                TALL
            } as u8;
        }
        // SAFETY: the caller promises the unit; the shapes are within its bounds.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly, preserves_flags));
        }
        Self {
            thread: PhantomData,
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // A thread without tiles is switched faster.
        // SAFETY: the tiles are this thread's, and no longer wanted.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// Loads tiles, each from lines one after the other.
macro_rules! load {
    ($($tile:literal from $from:expr),*) => {$(
        std::arch::asm!(
            concat!("tileloadd tmm", $tile, ", [{from} + {stride}*1]"),
            from = in(reg) $from,
            stride = in(reg) $crate::qwen3::cpu::lines::LINE,
            options(nostack, readonly, preserves_flags)
        );
    )*};
}

/// `sums += vectors · weights` of tiles, by the instruction named.
macro_rules! add_products {
    ($instruction:literal: $($sums:literal += $vectors:literal * $weights:literal),*) => {$(
        std::arch::asm!(
            concat!($instruction, " tmm", $sums, ", tmm", $vectors, ", tmm", $weights),
            options(nostack, nomem, preserves_flags)
        );
    )*};
}

macro_rules! zero {
    ($($tile:literal)*) => {$(
        std::arch::asm!(concat!("tilezero tmm", $tile), options(nostack, nomem, preserves_flags));
    )*};
}

/// Writes tiles to [`Sums`].
macro_rules! store {
    ($($tile:literal to $sums:expr),*) => {$(
        std::arch::asm!(
            concat!("tilestored [{to} + {stride}*1], tmm", $tile),
            to = in(reg) $sums.0.as_mut_ptr(),
            stride = in(reg) $crate::qwen3::cpu::lines::LINE,
            options(nostack, preserves_flags)
        );
    )*};
}

use {add_products, load, store, zero};

/// Asks for the tile at `from`, which may be any address.
#[inline(always)]
fn ask_for<T>(from: *const T) {
    for row in 0..TALL {
        let line = from.cast::<i8>().wrapping_add(row * LINE);
        // SAFETY: a prefetch may be anywhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
    }
}

/// Writes the first sums.
#[inline]
#[target_feature(enable = "avx512f")]
fn write(sums: &[f32; PANEL], to: &mut [f32]) {
    let mask = u16::MAX >> (PANEL - to.len());
    // SAFETY: both have as many numbers as the mask.
    unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), mask, _mm512_loadu_ps(sums.as_ptr())) };
}
