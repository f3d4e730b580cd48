//! Resampling with antialiasing of 8-bit RGB, bit for bit as the references do it.
//!
//! A kernel is widened by the scale where a picture shrinks; one pass along each
//! row, then one along each column, with 8-bit pixels between them and
//! whole-number weights.
//!
//! Bicubic (Keys' cubic with a = −0.5) has 16-bit weights with as many fractional
//! bits as the largest leaves free: PyTorch's
//! `aten/src/ATen/native/cpu/UpSampleKernel.cpp`
//! (`compute_index_ranges_int16_weights`), which torchvision calls. Lanczos, of
//! three lobes, has 32-bit weights with 22: Pillow's `libImaging/Resample.c`. Pillow 13
//! takes the columns first for some shapes (50×33 to 64×32), older releases never;
//! levels then differ by up to 3.

use rayon::prelude::*;

const CHANNELS: usize = 3;

/// Resizes `rgb`, rows of `width` pixels, to `to_width × to_height`.
///
/// All sizes must be at least one, and `rgb` must hold `width × height` pixels.
pub fn resize_bicubic(rgb: &[u8], from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    resize(rgb, from, to, &Filter::BICUBIC)
}

/// As [`resize_bicubic`], as Pillow's `resize` does with `LANCZOS`.
pub fn resize_lanczos(rgb: &[u8], from: [usize; 2], to: [usize; 2]) -> Vec<u8> {
    resize(rgb, from, to, &Filter::LANCZOS)
}

fn resize(
    rgb: &[u8],
    [width, height]: [usize; 2],
    [to_width, to_height]: [usize; 2],
    filter: &Filter,
) -> Vec<u8> {
    let wide = match width == to_width {
        true => rgb.to_vec(),
        false => along_rows(rgb, width, &Kernel::new(width, to_width, filter)),
    };
    match height == to_height {
        true => wide,
        false => along_columns(&wide, to_width, &Kernel::new(height, to_height, filter)),
    }
}

/// The shape of a kernel before it is widened.
struct Filter {
    /// Where it ends, in pixels from its middle.
    support: f64,
    value: fn(f64) -> f64,
    /// Fractional bits of the weights, given the largest.
    precision: fn(f64) -> u32,
}

impl Filter {
    const BICUBIC: Self = Self {
        support: 2.0,
        value: cubic,
        precision: int16_precision,
    };
    const LANCZOS: Self = Self {
        support: 3.0,
        value: lanczos,
        precision: |_| 22,
    };
}

/// For each pixel of the result, the pixels it is made of.
struct Kernel {
    taps: Vec<Taps>,
    /// Fractional bits of the weights.
    precision: u32,
}

struct Taps {
    first: usize,
    weights: Vec<i32>,
}

impl Kernel {
    fn new(from: usize, to: usize, filter: &Filter) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = filter.support * stretch;
        let exact: Vec<(usize, Vec<f64>)> = (0..to)
            .map(|place| {
                let center = scale * (place as f64 + 0.5);
                // Truncation, as the casts of the reference.
                let first = (center - support + 0.5).max(0.0) as usize;
                let end = ((center + support + 0.5) as usize).min(from);
                let shrink = 1.0 / stretch;
                let weight = |at: usize| (filter.value)((at as f64 - center + 0.5) * shrink);
                let weights: Vec<f64> = (first..end).map(weight).collect();
                let total: f64 = weights.iter().sum();
                (first, weights.iter().map(|weight| weight / total).collect())
            })
            .collect();

        let weights = exact.iter().flat_map(|(_, weights)| weights);
        let largest = weights.fold(0.0, |most: f64, &weight| most.max(weight));
        let precision = (filter.precision)(largest);
        let one = f64::from(1_u32 << precision);
        let taps = exact
            .into_iter()
            .map(|(first, weights)| Taps {
                first,
                // Rounds half away from zero.
                weights: weights.iter().map(|w| (w * one).round() as i32).collect(),
            })
            .collect();
        Self { taps, precision }
    }

    fn half(&self) -> i32 {
        1 << (self.precision - 1)
    }

    fn level(&self, sum: i32) -> u8 {
        (sum >> self.precision).clamp(0, 255) as u8
    }
}

/// Keys' cubic with a = −0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}

/// A sinc under a window of three lobes.
fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| match x == 0.0 {
        true => 1.0,
        false => (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI),
    };
    match (-3.0..3.0).contains(&x) {
        true => sinc(x) * sinc(x / 3.0),
        false => 0.0,
    }
}

/// The most fractional bits with which `largest` still fits 16 signed bits.
fn int16_precision(largest: f64) -> u32 {
    (0..22)
        .find(|bits| (0.5 + largest * f64::from(1_u32 << (bits + 1))) as i32 >= 1 << 15)
        .unwrap_or(22)
}

fn along_rows(rgb: &[u8], width: usize, kernel: &Kernel) -> Vec<u8> {
    let to_width = kernel.taps.len();
    let height = rgb.len() / (width * CHANNELS);
    let mut result = vec![0_u8; to_width * height * CHANNELS];
    result
        .par_chunks_mut(to_width * CHANNELS)
        .zip(rgb.par_chunks(width * CHANNELS))
        .for_each(|(out, row)| {
            let (pixels, _) = row.as_chunks::<CHANNELS>();
            let (out, _) = out.as_chunks_mut::<CHANNELS>();
            for (out, taps) in out.iter_mut().zip(&kernel.taps) {
                let mut sums = [kernel.half(); CHANNELS];
                for (pixel, weight) in pixels[taps.first..].iter().zip(&taps.weights) {
                    for (sum, &level) in sums.iter_mut().zip(pixel) {
                        *sum += i32::from(level) * weight;
                    }
                }
                *out = sums.map(|sum| kernel.level(sum));
            }
        });
    result
}

fn along_columns(rgb: &[u8], width: usize, kernel: &Kernel) -> Vec<u8> {
    let stride = width * CHANNELS;
    let mut result = vec![0_u8; kernel.taps.len() * stride];
    result
        .par_chunks_mut(stride)
        .zip(kernel.taps.par_iter())
        .for_each(|(out, taps)| {
            let mut sums = vec![kernel.half(); stride];
            let rows = rgb.chunks(stride).skip(taps.first);
            for (row, weight) in rows.zip(&taps.weights) {
                for (sum, &level) in sums.iter_mut().zip(row) {
                    *sum += i32::from(level) * weight;
                }
            }
            for (out, &sum) in out.iter_mut().zip(&sums) {
                *out = kernel.level(sum);
            }
        });
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_flat_picture_stays_flat_in_any_size(
            level in any::<u8>(), from in prop::array::uniform2(1_usize..60), to in prop::array::uniform2(1_usize..60),
        ) {
            let flat = vec![level; from[0] * from[1] * 3];
            let resized = resize_bicubic(&flat, from, to);
            prop_assert_eq!(resized.len(), to[0] * to[1] * 3);
            // Rounded weights need not sum to one exactly.
            prop_assert!(resized.iter().all(|v| v.abs_diff(level) <= 1));
        }
    }

    #[test]
    fn the_largest_weight_decides_the_precision() {
        assert_eq!(int16_precision(1.0), 14);
        assert_eq!(int16_precision(0.4), 16);
        assert_eq!(int16_precision(1e-9), 22);
    }
}
