//! What an autoencoder is measured by.

use burn::tensor::Tensor;
use illumine_models::qwen_image::vae::Posterior;

/// Mean absolute difference of `ours` and `theirs` `[batch, rows, columns, colours]`.
pub(super) fn absolute(ours: Tensor<4>, theirs: Tensor<4>) -> Tensor<1> {
    (ours - theirs).abs().mean()
}

/// Mean squared difference.
pub(super) fn squared(ours: Tensor<4>, theirs: Tensor<4>) -> Tensor<1> {
    (ours - theirs).square().mean()
}

/// Mean absolute difference of the steps from pixel to pixel: what makes edges sharp.
pub(super) fn edges(ours: Tensor<4>, theirs: Tensor<4>) -> Tensor<1> {
    let error = ours - theirs;
    let [_, rows, columns, _] = error.dims();
    let along = |axis: usize, size: usize| {
        let next = error.clone().narrow(axis, 1, size - 1);
        (next - error.clone().narrow(axis, 0, size - 1))
            .abs()
            .mean()
    };
    along(1, rows) + along(2, columns)
}

/// Divergence of the latents' distribution from a standard normal one, summed over
/// latents and divided by the pixels of the picture.
pub(super) fn divergence(posterior: &Posterior, pixels: usize) -> Tensor<1> {
    let (mean, log_variance) = (posterior.mean.clone(), posterior.log_variance.clone());
    let terms = mean.square() + log_variance.clone().exp() - log_variance - 1.0;
    terms.sum() * (0.5 / pixels as f64)
}
