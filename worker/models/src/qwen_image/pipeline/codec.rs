//! What turns pictures into latents and back.

use std::fmt::Debug;
use std::path::Path;

use burn::tensor::Tensor;

use super::super::transformer::TransformerConfig;
use super::super::vae::{QwenImageVae, Tiling};
use super::latents::PATCH;
use crate::error::{ModelError, Result};

/// A VAE as a pipeline sees it. Latents are as the transformer reads them: of mean 0
/// and deviation 1.
pub trait LatentCodec: Send + Sync + Debug {
    /// Channels of the latents.
    fn channels(&self) -> usize;

    /// Pixels along the side of one latent.
    fn scale(&self) -> usize;

    /// Its weights' number.
    fn num_parameters(&self) -> usize;

    /// Bytes that encoding or decoding a picture of these pixels takes, estimated.
    fn memory(&self, width: u64, height: u64) -> u64;

    /// Latents `[1, channels, height / scale, width / scale]` of a picture `[1, 3,
    /// height, width]` in −1..1: the mode of their distribution.
    ///
    /// # Errors
    /// [`ModelError::Request`] for sides that do not divide.
    fn encode(&self, picture: Tensor<4>) -> Result<Tensor<4>>;

    /// The picture `[1, 3, height, width]`, about −1..1, of latents.
    ///
    /// # Errors
    /// [`ModelError::Request`] for another number of channels.
    fn decode(&self, latents: Tensor<4>) -> Result<Tensor<4>>;
}

/// Pixels above which the VAE works in tiles, which are seen a little where they meet:
/// the largest picture of Qwen-Image's own recipe and some more.
const WHOLE_PIXELS: u64 = 1664 * 1664;
/// Vectors of `base_dim` numbers that are alive at once for a pixel.
const VECTORS_A_PIXEL: u64 = 6;

fn tiling(width: u64, height: u64) -> Option<Tiling> {
    (width * height > WHOLE_PIXELS).then(Tiling::default)
}

impl LatentCodec for QwenImageVae {
    fn channels(&self) -> usize {
        self.config.z_dim
    }

    fn scale(&self) -> usize {
        self.config.factor()
    }

    fn num_parameters(&self) -> usize {
        Self::num_parameters(self)
    }

    fn memory(&self, width: u64, height: u64) -> u64 {
        let at_once = match tiling(width, height) {
            Some(tiling) => (tiling.tile * tiling.tile) as u64,
            None => width * height,
        };
        let vector = self.config.base_dim * size_of::<f32>();
        at_once * VECTORS_A_PIXEL * vector as u64 + width * height * 4 * size_of::<f32>() as u64
    }

    fn encode(&self, picture: Tensor<4>) -> Result<Tensor<4>> {
        let [_, _, height, width] = picture.dims();
        let tiling = tiling(width as u64, height as u64);
        let posterior = Self::encode(self, picture.permute([0, 2, 3, 1]), tiling.as_ref())?;
        Ok(self.normalise(posterior.mean).permute([0, 3, 1, 2]))
    }

    fn decode(&self, latents: Tensor<4>) -> Result<Tensor<4>> {
        let [_, _, height, width] = latents.dims();
        let side = |latents: usize| (latents * self.config.factor()) as u64;
        let tiling = tiling(side(width), side(height));
        let latents = self.denormalise(latents.permute([0, 2, 3, 1]));
        Ok(Self::decode(self, latents, tiling.as_ref())?.permute([0, 3, 1, 2]))
    }
}

/// Whether the transformer reads such latents, packed.
///
/// # Errors
/// [`ModelError::Malformed`] naming `path`, the transformer's configuration, and the
/// field.
pub(super) fn check(
    codec: &dyn LatentCodec,
    config: &TransformerConfig,
    path: &Path,
) -> Result<()> {
    let width = codec.channels() * PATCH * PATCH;
    let fields = [
        ("patch_size", config.patch_size, PATCH),
        ("in_channels", config.in_channels, width),
        ("out_channels", config.out_width(), width),
    ];
    match fields.iter().find(|(_, found, expected)| found != expected) {
        Some((field, found, expected)) => {
            let reason = format!("`{field}` gives {found}; the VAE's latents need {expected}");
            Err(ModelError::malformed(path, reason))
        }
        None => Ok(()),
    }
}
