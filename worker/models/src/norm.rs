//! The norm of the decoders.

use burn::nn::RmsNorm;
use burn::tensor::Tensor;

/// `x / √(mean x² + ε) · γ` over the last axis: in one operation on a device that has it.
pub(crate) fn rms_norm<const D: usize>(norm: &RmsNorm, x: Tensor<D>) -> Tensor<D> {
    if let Some(normed) = crate::qwen3::training::rms_norm(norm, &x) {
        return normed;
    }
    #[cfg(feature = "tch")]
    if let Some(normed) = crate::torch::rms_norm(norm, &x) {
        return normed;
    }
    norm.forward(x)
}
