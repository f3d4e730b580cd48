//! The inner loops, for the instruction sets that are chosen at run time.

use super::conv::Shape;
#[cfg(target_arch = "x86_64")]
use crate::qwen3::cpu::simd::x86::{Avx2, Avx512};
use crate::qwen3::cpu::simd::{Baseline, Simd};
use crate::qwen3::cpu::{ISA, Isa};

/// Registers of output channels that are computed at once.
const REGISTERS: usize = 2;
/// Pixels, or input channels of a derivative, that are computed at once.
const TILE: usize = 8;

fn lanes() -> usize {
    match *ISA {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Avx512::LANES,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Avx2::LANES,
        Isa::Baseline => Baseline::LANES,
    }
}

/// Channels, rounded up to whole registers.
pub(super) fn padded(channels: usize) -> usize {
    channels.next_multiple_of(lanes())
}

/// A kernel `[taps, in, out]` in blocks of output channels, `[taps, in, block]` each,
/// the last one filled up with zeros.
pub(super) struct Packed {
    blocks: Vec<Vec<f32>>,
    width: usize,
}

impl Packed {
    pub(super) fn new(weights: &[f32], taps: usize, input: usize, output: usize) -> Self {
        let most = REGISTERS * lanes();
        let block = |start: usize| {
            let width = padded((output - start).min(most));
            let mut values = vec![0.0; taps * input * width];
            let count = width.min(output - start);
            let rows = weights
                .chunks_exact(output)
                .zip(values.chunks_exact_mut(width));
            for (source, target) in rows {
                target[..count].copy_from_slice(&source[start..start + count]);
            }
            values
        };
        Self {
            blocks: (0..output).step_by(most).map(block).collect(),
            width: most,
        }
    }
}

/// Copies pixels of `channels`, filled up with zeros to whole registers.
pub(super) fn widen(pixels: &[f32], channels: usize, out: &mut Vec<f32>) {
    let width = padded(channels);
    out.clear();
    out.resize(pixels.len() / channels * width, 0.0);
    let rows = pixels
        .chunks_exact(channels)
        .zip(out.chunks_exact_mut(width));
    for (source, target) in rows {
        target[..channels].copy_from_slice(source);
    }
}

/// Rows of output `[rows, out columns, out]` from padded rows of input.
pub(super) fn rows(shape: &Shape, x: &[f32], packed: &Packed, bias: &[f32], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn avx512(shape: &Shape, x: &[f32], packed: &Packed, bias: &[f32], out: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { rows_with::<Avx512>(shape, x, packed, bias, out) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(shape: &Shape, x: &[f32], packed: &Packed, bias: &[f32], out: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { rows_with::<Avx2>(shape, x, packed, bias, out) }
    }
    match *ISA {
        // SAFETY: it was found on this machine.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(shape, x, packed, bias, out) },
        // SAFETY: it was found on this machine.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(shape, x, packed, bias, out) },
        // SAFETY: arrays are always there.
        Isa::Baseline => unsafe { rows_with::<Baseline>(shape, x, packed, bias, out) },
    }
}

/// # Safety
/// The instruction set of `S` must be present.
#[inline(always)]
unsafe fn rows_with<S: Simd>(
    shape: &Shape,
    x: &[f32],
    packed: &Packed,
    bias: &[f32],
    out: &mut [f32],
) {
    let (columns, output) = (shape.out_columns(), shape.output);
    for (number, block) in packed.blocks.iter().enumerate() {
        let start = number * packed.width;
        let count = packed.width.min(output - start);
        let mut wide_bias = [0.0_f32; 64];
        wide_bias[..count].copy_from_slice(&bias[start..start + count]);
        let two = block.len() / (shape.kernel_rows * shape.kernel_columns * shape.input) > S::LANES;
        for (row, out) in out.chunks_exact_mut(columns * output).enumerate() {
            let mut column = 0;
            while column < columns {
                let left = columns - column;
                let mut to = Target {
                    out: &mut out[column * output + start..],
                    output,
                    count,
                };
                let at = (row, column);
                // SAFETY: the caller's promise.
                column += unsafe {
                    match (left >= TILE, two) {
                        (true, true) => {
                            tile::<S, TILE, 2>(shape, x, block, &wide_bias, at, &mut to)
                        }
                        (true, false) => {
                            tile::<S, TILE, 1>(shape, x, block, &wide_bias, at, &mut to)
                        }
                        (false, true) => tile::<S, 1, 2>(shape, x, block, &wide_bias, at, &mut to),
                        (false, false) => tile::<S, 1, 1>(shape, x, block, &wide_bias, at, &mut to),
                    }
                };
            }
        }
    }
}

/// Where a tile's pixels go.
struct Target<'o> {
    out: &'o mut [f32],
    /// Channels of a pixel.
    output: usize,
    /// Channels of the block that are real.
    count: usize,
}

/// `P` pixels by `V` registers of channels; returns `P`.
///
/// # Safety
/// The instruction set of `S` must be present.
#[inline(always)]
unsafe fn tile<S: Simd, const P: usize, const V: usize>(
    shape: &Shape,
    x: &[f32],
    block: &[f32],
    bias: &[f32; 64],
    (row, column): (usize, usize),
    to: &mut Target<'_>,
) -> usize {
    let stride = shape.window.stride;
    let width = (shape.columns + shape.window.left + shape.window.right) * shape.input;
    let step = stride * shape.input;
    let from = row * stride * width + column * step;
    let reach =
        (shape.kernel_rows - 1) * width + (P - 1) * step + shape.kernel_columns * shape.input;
    let x = &x[from..from + reach];
    let span = shape.kernel_columns * shape.input;
    let block = &block[..shape.kernel_rows * span * V * S::LANES];
    // SAFETY: the slices above were cut to what is read below; a row of the window is
    // `span` numbers on end, and pixels lie `step` apart.
    unsafe {
        let mut sums = [[S::zero(); V]; P];
        for sums in &mut sums {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = S::load(bias.as_ptr().add(v * S::LANES));
            }
        }
        let mut weights = block.as_ptr();
        for kernel_row in 0..shape.kernel_rows {
            let line = x.as_ptr().add(kernel_row * width);
            for number in 0..span {
                let mut w = [S::zero(); V];
                for (v, w) in w.iter_mut().enumerate() {
                    *w = S::load(weights.add(v * S::LANES));
                }
                weights = weights.add(V * S::LANES);
                for (p, sums) in sums.iter_mut().enumerate() {
                    let value = S::splat(*line.add(p * step + number));
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = S::mul_add(value, w, *sum);
                    }
                }
            }
        }
        for (p, sums) in sums.iter().enumerate() {
            let mut values = [0.0_f32; 64];
            for (v, sum) in sums.iter().enumerate() {
                S::store(values.as_mut_ptr().add(v * S::LANES), *sum);
            }
            to.out[p * to.output..][..to.count].copy_from_slice(&values[..to.count]);
        }
    }
    P
}

/// `sums[tap, in, :] += Σ_columns x[tap, in] · grad[:]` for one row of output; `x` is
/// the padded input that it looks at, `grad` `[out columns, padded out]`.
pub(super) fn outer(shape: &Shape, x: &[f32], grad: &[f32], sums: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn avx512(shape: &Shape, x: &[f32], grad: &[f32], sums: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { outer_with::<Avx512>(shape, x, grad, sums) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(shape: &Shape, x: &[f32], grad: &[f32], sums: &mut [f32]) {
        // SAFETY: this function has the instruction set.
        unsafe { outer_with::<Avx2>(shape, x, grad, sums) }
    }
    match *ISA {
        // SAFETY: it was found on this machine.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512(shape, x, grad, sums) },
        // SAFETY: it was found on this machine.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2(shape, x, grad, sums) },
        // SAFETY: arrays are always there.
        Isa::Baseline => unsafe { outer_with::<Baseline>(shape, x, grad, sums) },
    }
}

/// # Safety
/// The instruction set of `S` must be present.
#[inline(always)]
unsafe fn outer_with<S: Simd>(shape: &Shape, x: &[f32], grad: &[f32], sums: &mut [f32]) {
    let width = (shape.columns + shape.window.left + shape.window.right) * shape.input;
    let span = shape.kernel_columns * shape.input;
    let output = padded(shape.output);
    for kernel_row in 0..shape.kernel_rows {
        let line = &x[kernel_row * width..][..width];
        let mut number = 0;
        while number < span {
            let many = span - number >= TILE;
            let mut start = 0;
            while start < output {
                let two = output - start >= REGISTERS * S::LANES;
                let sums = &mut sums[(kernel_row * span + number) * output + start..];
                let at = (number, start);
                // SAFETY: the caller's promise.
                start += unsafe {
                    match (many, two) {
                        (true, true) => block::<S, TILE, 2>(shape, line, grad, sums, at, output),
                        (true, false) => block::<S, TILE, 1>(shape, line, grad, sums, at, output),
                        (false, true) => block::<S, 1, 2>(shape, line, grad, sums, at, output),
                        (false, false) => block::<S, 1, 1>(shape, line, grad, sums, at, output),
                    }
                };
            }
            number += if many { TILE } else { 1 };
        }
    }
}

/// `P` inputs of the window by `V` registers of channels; returns the channels.
///
/// # Safety
/// The instruction set of `S` must be present.
#[inline(always)]
unsafe fn block<S: Simd, const P: usize, const V: usize>(
    shape: &Shape,
    line: &[f32],
    grad: &[f32],
    sums: &mut [f32],
    (number, start): (usize, usize),
    output: usize,
) -> usize {
    let step = shape.window.stride * shape.input;
    let columns = shape.out_columns();
    let line = &line[number..][..(columns - 1) * step + P];
    let grad = &grad[start..][..(columns - 1) * output + V * S::LANES];
    let sums = &mut sums[..(P - 1) * output + V * S::LANES];
    // SAFETY: the slices above were cut to what is read and written below.
    unsafe {
        let mut totals = [[S::zero(); V]; P];
        for column in 0..columns {
            let mut g = [S::zero(); V];
            for (v, g) in g.iter_mut().enumerate() {
                *g = S::load(grad.as_ptr().add(column * output + v * S::LANES));
            }
            for (p, totals) in totals.iter_mut().enumerate() {
                let value = S::splat(*line.as_ptr().add(column * step + p));
                for (total, g) in totals.iter_mut().zip(g) {
                    *total = S::mul_add(value, g, *total);
                }
            }
        }
        for (p, totals) in totals.iter().enumerate() {
            for (v, total) in totals.iter().enumerate() {
                let place = sums.as_mut_ptr().add(p * output + v * S::LANES);
                S::store(place, S::add(S::load(place), *total));
            }
        }
    }
    V * S::LANES
}
