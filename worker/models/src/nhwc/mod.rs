//! Operations on pictures whose channels lie last, `[batch, rows, columns, channels]`,
//! and on the CPU in code of our own, forwards and backwards.
//!
//! The CPU backend's convolution works by unfolding and reaches a small part of what
//! the machine can multiply when channels are few, as in a small picture model; this
//! one keeps a block of outputs in registers over the whole window. On other devices
//! the backend's own operations are used.
//!
//! - [`conv2d`]: a convolution.
//! - [`norm_silu`]: the norm of each pixel, and the activation behind it.
//!
//! Results do not depend on the number of threads.

mod conv;
mod kernel;
mod norm;
pub(crate) mod tracked;

use burn::tensor::{Tensor, module, ops::ConvOptions, ops::PadMode};

pub use conv::Window;
use tracked::Place;

/// Convolves `x` `[batch, rows, columns, in]` with `kernel`
/// `[window rows, window columns, in, out]`, and adds `bias` `[out]`.
///
/// # Panics
/// When channels do not fit each other, as all tensor operations.
pub fn conv2d(x: Tensor<4>, kernel: Tensor<4>, bias: Tensor<1>, window: Window) -> Tensor<4> {
    let [_, _, _, input] = x.dims();
    let [_, _, kernel_input, output] = kernel.dims();
    assert_eq!((input, output), (kernel_input, bias.dims()[0]), "channels");
    match tracked::place(&x) {
        Place::Cpu => tracked::conv_cpu(x, kernel, bias, window),
        Place::CpuAutodiff => tracked::conv_autodiff(x, kernel, bias, window),
        Place::Elsewhere => {
            let Window {
                stride,
                above,
                below,
                left,
                right,
            } = window;
            let x = x.permute([0, 3, 1, 2]);
            let x = x.pad((left, right, above, below), PadMode::Constant(0.0));
            let kernel = kernel.permute([3, 2, 0, 1]);
            let options = ConvOptions::new([stride, stride], [0, 0], [1, 1], 1);
            module::conv2d(x, kernel, Some(bias), options).permute([0, 2, 3, 1])
        }
    }
}

/// `silu(y)` or `y`, with `y = √channels · x / max(‖x‖, 1e-12) · scale`, for each pixel
/// of `x` `[batch, rows, columns, channels]`; `scale` is `[channels]`.
///
/// Source: `QwenImageRMS_norm` of `diffusers`.
pub fn norm_silu(x: Tensor<4>, scale: Tensor<1>, activate: bool) -> Tensor<4> {
    match tracked::place(&x) {
        Place::Cpu => tracked::norm_cpu(x, scale, activate),
        Place::CpuAutodiff => tracked::norm_autodiff(x, scale, activate),
        Place::Elsewhere => {
            let channels = x.dims()[3];
            let length = (x.clone() * x.clone()).sum_dim(3).sqrt();
            let scale = scale.reshape([1, 1, 1, channels]) * (channels as f32).sqrt();
            let y = x / length.clamp_min(norm::SHORTEST) * scale;
            match activate {
                true => burn::tensor::activation::silu(y),
                false => y,
            }
        }
    }
}
