//! The norm of each pixel over its channels, and its derivative.

use rayon::prelude::*;

use crate::qwen3::cpu::exp;

/// Below it a pixel's length counts as this, as in `torch.nn.functional.normalize`.
pub(super) const SHORTEST: f32 = 1e-12;
/// Parts that a derivative by the scale is summed from, whatever the threads.
const PARTS: usize = 8;

/// See [`super::norm_silu`].
pub(super) fn forward(x: &[f32], scale: &[f32], activate: bool) -> Vec<f32> {
    let channels = scale.len();
    let root = (channels as f32).sqrt();
    let mut out = vec![0.0; x.len()];
    let part = (x.len() / channels).div_ceil(PARTS).max(1) * channels;
    x.par_chunks(part)
        .zip(out.par_chunks_mut(part))
        .for_each(|(x, out)| {
            let pixels = x.chunks_exact(channels);
            for (x, out) in pixels.zip(out.chunks_exact_mut(channels)) {
                let factor = root / length(x);
                for ((out, x), scale) in out.iter_mut().zip(x).zip(scale) {
                    *out = x * factor * scale;
                }
            }
            if activate {
                exp::silu(out);
            }
        });
    out
}

/// The derivatives by `x`, in its shape, and by `scale`.
pub(super) fn backward(
    x: &[f32],
    scale: &[f32],
    activate: bool,
    grad: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let channels = scale.len();
    let root = (channels as f32).sqrt();
    let mut by_x = vec![0.0; x.len()];
    let part = (x.len() / channels).div_ceil(PARTS).max(1) * channels;
    let sums: Vec<Vec<f32>> = x
        .par_chunks(part)
        .zip(grad.par_chunks(part))
        .zip(by_x.par_chunks_mut(part))
        .map(|((x, grad), by_x)| {
            let mut by_scale = vec![0.0; channels];
            // The gradient before the activation, then that of the pixel.
            by_x.copy_from_slice(grad);
            if activate {
                let mut y = vec![0.0; x.len()];
                for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
                    let factor = root / length(x);
                    for ((y, x), scale) in y.iter_mut().zip(x).zip(scale) {
                        *y = x * factor * scale;
                    }
                }
                exp::silu_derivative(&y, by_x);
            }
            for (x, by_x) in x
                .chunks_exact(channels)
                .zip(by_x.chunks_exact_mut(channels))
            {
                let inverse = 1.0 / length(x);
                let mut along = 0.0;
                for (((by_x, x), scale), by_scale) in
                    by_x.iter_mut().zip(x).zip(scale).zip(&mut by_scale)
                {
                    let unit = x * inverse;
                    *by_scale += *by_x * unit * root;
                    *by_x *= scale * root;
                    along += *by_x * unit;
                }
                for (by_x, x) in by_x.iter_mut().zip(x) {
                    *by_x = (*by_x - x * inverse * along) * inverse;
                }
            }
            by_scale
        })
        .collect();
    let by_scale = sums.iter().fold(vec![0.0; channels], |total, sum| {
        total.iter().zip(sum).map(|(a, b)| a + b).collect()
    });
    (by_x, by_scale)
}

fn length(x: &[f32]) -> f32 {
    let squares: f32 = x.iter().map(|x| x * x).sum();
    squares.sqrt().max(SHORTEST)
}
