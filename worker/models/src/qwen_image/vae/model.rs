//! The whole autoencoder. Follows `AutoencoderKLQwenImage`.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use super::config::VaeConfig;
use super::decoder::Decoder;
use super::encoder::Encoder;
use super::layers::Conv;
use super::tiles::{Tiling, tiled};
use crate::error::{ModelError, Result};

/// Pictures to latents and back.
#[derive(Clone, Debug)]
pub struct QwenImageVae {
    /// The shapes.
    pub config: VaeConfig,
    /// The weights.
    pub parts: VaeParts,
}

/// The weights of [`QwenImageVae`].
#[derive(Module, Debug)]
pub struct VaeParts {
    pub encoder: Encoder,
    pub quant_conv: Conv,
    pub post_quant_conv: Conv,
    pub decoder: Decoder,
}

/// A normal distribution of latents, `[batch, rows, columns, z_dim]` each.
#[derive(Clone, Debug)]
pub struct Posterior {
    pub mean: Tensor<4>,
    /// Logarithm of the variance, between -30 and 20.
    pub log_variance: Tensor<4>,
}

impl QwenImageVae {
    /// A fresh one, to be trained.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the configuration is unusable.
    pub fn init(config: VaeConfig, device: &Device) -> Result<Self> {
        if let Some(reason) = config.fault() {
            let field = "vae";
            return Err(ModelError::Config { field, reason });
        }
        let z = config.z_dim;
        let parts = VaeParts {
            encoder: Encoder::init(&config, device),
            quant_conv: Conv::init(1, 2 * z, 2 * z, device),
            post_quant_conv: Conv::init(1, z, z, device),
            decoder: Decoder::init(&config, device),
        };
        Ok(Self { config, parts })
    }

    /// What pictures `[batch, rows, columns, colours]` of numbers in -1..1 are as
    /// latents, a [`VaeConfig::factor`]-th of the size; in tiles where the picture is
    /// larger than one and `tiling` is given.
    ///
    /// # Errors
    /// [`ModelError::Request`] for a side that is no multiple of the factor.
    pub fn encode(&self, pictures: Tensor<4>, tiling: Option<&Tiling>) -> Result<Posterior> {
        let factor = self.config.factor();
        let [_, rows, columns, colours] = pictures.dims();
        for (field, side) in [("height", rows), ("width", columns)] {
            if side == 0 || !side.is_multiple_of(factor) {
                let reason = format!("{side} pixels are no multiple of {factor}");
                return Err(ModelError::Request { field, reason });
            }
        }
        if colours != self.config.input_channels {
            let reason = format!("has {colours} colours of {}", self.config.input_channels);
            let field = "pictures";
            return Err(ModelError::Request { field, reason });
        }
        let run = |x| {
            let x = self.parts.encoder.forward(x);
            self.parts.quant_conv.forward(x)
        };
        let moments = match tiling.filter(|tiling| tiling.cuts(rows, columns)) {
            None => run(pictures),
            Some(tiling) => tiled(
                pictures,
                &tiling.in_pixels(),
                &tiling.in_latents(factor),
                run,
            ),
        };
        let z = self.config.z_dim;
        Ok(Posterior {
            mean: moments.clone().narrow(3, 0, z),
            log_variance: moments.narrow(3, z, z).clamp(-30.0, 20.0),
        })
    }

    /// The pictures `[batch, rows, columns, colours]` of latents, numbers in -1..1; in
    /// tiles where the picture is larger than one and `tiling` is given, and then, as in
    /// the reference, not cut to that range.
    ///
    /// # Errors
    /// [`ModelError::Request`] for latents of another number of channels.
    pub fn decode(&self, latents: Tensor<4>, tiling: Option<&Tiling>) -> Result<Tensor<4>> {
        let factor = self.config.factor();
        let [_, rows, columns, channels] = latents.dims();
        if channels != self.config.z_dim {
            let reason = format!("have {channels} channels of {}", self.config.z_dim);
            let field = "latents";
            return Err(ModelError::Request { field, reason });
        }
        let tiles = tiling.filter(|tiling| tiling.cuts(rows * factor, columns * factor));
        Ok(match tiles {
            // The reference clamps whole pictures only.
            None => self.decode_open(latents).clamp(-1.0, 1.0),
            Some(tiling) => tiled(
                latents,
                &tiling.in_latents(factor),
                &tiling.in_pixels(),
                |x| self.decode_open(x),
            ),
        })
    }

    /// The pictures of latents without bounds: what training compares.
    pub fn decode_open(&self, latents: Tensor<4>) -> Tensor<4> {
        let latents = self.parts.post_quant_conv.forward(latents);
        self.parts.decoder.forward(latents)
    }

    /// Latents as the transformer takes them: zero mean and unit spread.
    pub fn normalise(&self, latents: Tensor<4>) -> Tensor<4> {
        let device = latents.device();
        let mean = channels(&self.config.latents_mean, &device);
        (latents - mean) / channels(&self.config.latents_std, &device)
    }

    /// Latents as [`Self::decode`] takes them.
    pub fn denormalise(&self, latents: Tensor<4>) -> Tensor<4> {
        let device = latents.device();
        let mean = channels(&self.config.latents_mean, &device);
        latents * channels(&self.config.latents_std, &device) + mean
    }

    /// Number of weights.
    pub fn num_parameters(&self) -> usize {
        self.parts.num_params()
    }
}

fn channels(values: &[f32], device: &Device) -> Tensor<4> {
    let data = TensorData::new(values.to_vec(), [1, 1, 1, values.len()]);
    Tensor::from_data(data, device)
}
