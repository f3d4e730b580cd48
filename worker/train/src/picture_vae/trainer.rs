//! The loop.

use std::path::Path;
use std::time::Instant;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use illumine_models::qwen_image::vae::QwenImageVae;
use illumine_models::save::WeightType;
use image::{RgbImage, imageops};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::config::VaeTraining;
use super::loss;
use crate::error::{Result, TrainError};
use crate::optim::{self, ModuleAdamW};

const STATE: &str = "trainer_state.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// Where pictures come from: the same for the same number.
pub trait PictureSource: Sync {
    /// Picture `number`; all are of one size.
    fn picture(&self, number: u64) -> RgbImage;
}

impl<F: Fn(u64) -> RgbImage + Sync> PictureSource for F {
    fn picture(&self, number: u64) -> RgbImage {
        self(number)
    }
}

/// A run in memory.
#[derive(Debug)]
pub struct VaeTrainer {
    /// On an autodiff device.
    pub model: QwenImageVae,
    config: VaeTraining,
    optimizer: ModuleAdamW,
    step: u64,
    device: Device,
}

/// What an update says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Progress {
    /// Updates done.
    pub step: u64,
    /// Mean absolute difference of numbers in -1..1.
    pub absolute: f64,
    /// The same of steps between pixels.
    pub edges: f64,
    /// Norm of all gradients before clipping.
    pub grad_norm: f64,
    /// Pictures a second of this update.
    pub pictures_per_s: f64,
}

#[derive(Serialize, Deserialize)]
struct State {
    step: u64,
    times: Vec<usize>,
    config: VaeTraining,
}

impl VaeTrainer {
    /// A fresh run on `device`, a plain one.
    ///
    /// # Errors
    /// [`TrainError::Model`] when the shapes do not fit each other.
    pub fn new(config: VaeTraining, device: &Device) -> Result<Self> {
        device.seed(config.seed);
        let training = device.clone().autodiff();
        let mut model = QwenImageVae::init(config.model.clone(), &training)?;
        quieten(&mut model);
        Ok(Self {
            model,
            optimizer: ModuleAdamW::new(&config.optimizer),
            config,
            step: 0,
            device: training,
        })
    }

    /// Goes on from the folder of a checkpoint with what the run was told then, but
    /// for the number of updates.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`], [`TrainError::Model`].
    pub fn resume(folder: &Path, steps: u64, device: &Device) -> Result<Self> {
        let path = folder.join(STATE);
        let text = std::fs::read_to_string(&path).map_err(|error| TrainError::io(&path, error))?;
        let state: State =
            serde_json::from_str(&text).map_err(|error| TrainError::checkpoint(&path, error))?;
        let config = VaeTraining {
            steps,
            ..state.config
        };
        let mut trainer = Self::new(config, device)?;
        trainer.model = QwenImageVae::load(folder, &trainer.device, DType::F32)?;
        let mut tensors = optim::load_tensors(&folder.join(OPTIMIZER), device)?;
        trainer.optimizer.restore(&state.times, &mut tensors);
        trainer.step = state.step;
        Ok(trainer)
    }

    /// Updates done.
    pub const fn step_number(&self) -> u64 {
        self.step
    }

    /// Writes the model's folder with the optimizer's state beside it.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`], [`TrainError::Model`].
    pub fn checkpoint(&self, folder: &Path) -> Result<()> {
        let part = folder.with_extension("part");
        if part.exists() {
            std::fs::remove_dir_all(&part).map_err(|error| TrainError::io(&part, error))?;
        }
        self.model.save(&part, WeightType::F32)?;
        optim::save_tensors(&part.join(OPTIMIZER), &self.optimizer.tensors())?;
        let path = part.join(STATE);
        let state = State {
            step: self.step,
            times: self.optimizer.times(),
            config: self.config.clone(),
        };
        let text = serde_json::to_string_pretty(&state)
            .map_err(|error| TrainError::checkpoint(&path, error))?;
        std::fs::write(&path, text).map_err(|error| TrainError::io(&path, error))?;
        optim::replace_folder(&part, folder)
    }

    /// One update.
    ///
    /// # Errors
    /// [`TrainError::Diverged`], [`TrainError::Model`].
    pub fn update(&mut self, source: &dyn PictureSource) -> Result<Progress> {
        let begun = Instant::now();
        let config = &self.config;
        let first = self.step * config.batch as u64;
        let pictures: Vec<RgbImage> = (0..config.batch as u64)
            .into_par_iter()
            .map(|number| self.piece(source.picture(first + number), first + number))
            .collect();
        let pictures = pictures_to_tensor(&pictures, &self.device);
        let [batch, rows, columns, _] = pictures.dims();

        let posterior = self.model.encode(pictures.clone(), None)?;
        // The noise of an update depends on its number alone.
        self.device
            .seed(config.seed ^ (self.step + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let noise = Tensor::random(
            posterior.mean.shape(),
            Distribution::Normal(0.0, 1.0),
            &self.device,
        );
        let deviation = (posterior.log_variance.clone() * 0.5).exp();
        let latents = posterior.mean.clone() + deviation * noise;
        let ours = self.model.decode_open(latents);
        let absolute = loss::absolute(ours.clone(), pictures.clone());
        let squared = loss::squared(ours.clone(), pictures.clone());
        let edges = loss::edges(ours, pictures);
        let divergence = loss::divergence(&posterior, batch * rows * columns);
        let total = absolute.clone()
            + squared * config.squares
            + edges.clone() * config.edges
            + divergence * config.kl;

        let value = |tensor: &Tensor<1>| f64::from(tensor.clone().into_scalar::<f32>());
        let (absolute, edges) = (value(&absolute), value(&edges));
        let gradients = total.backward();
        let progress = self.step as f64 / config.steps.max(1) as f64;
        let rate = optim::learning_rate(config.learning_rate, config.warmup, self.step, progress);
        let parts = self.model.parts.clone();
        let (parts, grad_norm) = self.optimizer.step(parts, &gradients, rate);
        self.model.parts = parts;
        if !(absolute + edges + grad_norm).is_finite() {
            return Err(TrainError::Diverged {
                step: self.step,
                loss: absolute,
            });
        }
        self.step += 1;
        Ok(Progress {
            step: self.step,
            absolute,
            edges,
            grad_norm,
            pictures_per_s: batch as f64 / begun.elapsed().as_secs_f64().max(1e-9),
        })
    }

    /// The piece of picture `number` that this update sees.
    fn piece(&self, picture: RgbImage, number: u64) -> RgbImage {
        let config = &self.config;
        let early = (self.step as f64) < config.crop_share * config.steps as f64;
        let (width, height) = picture.dimensions();
        match config.crop.filter(|_| early) {
            Some(side) if side < width && side < height => {
                let place = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let left = (place >> 40) as u32 % (width - side + 1);
                let top = (place >> 16) as u32 % (height - side + 1);
                imageops::crop_imm(&picture, left, top, side, side).to_image()
            }
            _ => picture,
        }
    }

    /// Trains to the last update, with checkpoints in `folder`.
    ///
    /// # Errors
    /// Those of [`Self::update`] and [`Self::checkpoint`].
    pub fn run(
        &mut self,
        source: &dyn PictureSource,
        folder: &Path,
        mut report: impl FnMut(&Progress),
    ) -> Result<()> {
        while self.step < self.config.steps {
            let progress = self.update(source)?;
            report(&progress);
            if self.step.is_multiple_of(self.config.checkpoint_every) {
                self.checkpoint(folder)?;
            }
        }
        self.checkpoint(folder)
    }

    /// The trained model without derivatives, with the mean and the deviation of its
    /// latents over `count` pictures from `first` on.
    ///
    /// # Errors
    /// [`TrainError::Model`].
    pub fn finish(
        &self,
        source: &dyn PictureSource,
        first: u64,
        count: u64,
    ) -> Result<QwenImageVae> {
        let mut model = QwenImageVae {
            config: self.config.model.clone(),
            parts: self.model.parts.valid(),
        };
        let device = self.device.clone().without_autodiff();
        let z_dim = model.config.z_dim;
        let (mut sums, mut squares, mut latents) = (vec![0.0; z_dim], vec![0.0; z_dim], 0.0);
        for start in (first..first + count).step_by(self.config.batch.max(1)) {
            let numbers = start..(start + self.config.batch as u64).min(first + count);
            let pictures: Vec<RgbImage> = numbers
                .into_par_iter()
                .map(|number| source.picture(number))
                .collect();
            let mean = model
                .encode(pictures_to_tensor(&pictures, &device), None)?
                .mean;
            let values: Vec<f32> = mean
                .into_data()
                .try_into_vec::<f32>()
                .map_err(|error| TrainError::checkpoint("latents", format!("{error:?}")))?;
            for latent in values.chunks_exact(z_dim) {
                latents += 1.0;
                for (channel, value) in latent.iter().enumerate() {
                    sums[channel] += f64::from(*value);
                    squares[channel] += f64::from(*value).powi(2);
                }
            }
        }
        let moments = sums.iter().zip(&squares).map(|(sum, square)| {
            let mean = sum / latents;
            let variance = (square / latents - mean * mean).max(1e-8);
            (mean as f32, variance.sqrt() as f32)
        });
        (model.config.latents_mean, model.config.latents_std) = moments.unzip();
        Ok(model)
    }
}

/// Logarithm of the latents' variance at the start.
const FIRST_LOG_VARIANCE: f32 = -6.0;

/// Begins with latents that are nearly free of noise: with that of a fresh network, as
/// large as its means, nothing of a picture comes through and little is learnt.
fn quieten(model: &mut QwenImageVae) {
    let (z_dim, conv) = (model.config.z_dim, &mut model.parts.quant_conv);
    let device = conv.bias.val().device();
    let mean = |size: usize| Tensor::<1>::ones([size], &device);
    let rest = Tensor::<1>::zeros([z_dim], &device);
    let keep = Tensor::cat(vec![mean(z_dim), rest], 0);
    let start = (keep.clone() * -1.0 + 1.0) * FIRST_LOG_VARIANCE;
    let weight = conv.weight.val() * keep.clone().reshape([1, 1, 1, 2 * z_dim]);
    let bias = conv.bias.val() * keep + start;
    conv.weight = Param::from_tensor(Tensor::from_inner(weight.inner()));
    conv.bias = Param::from_tensor(Tensor::from_inner(bias.inner()));
}

/// Pictures of one size as `[batch, rows, columns, 3]` of numbers in -1..1.
pub fn pictures_to_tensor(pictures: &[RgbImage], device: &Device) -> Tensor<4> {
    let (width, height) = pictures.first().map_or((0, 0), RgbImage::dimensions);
    let values: Vec<f32> = pictures
        .iter()
        .flat_map(|picture| picture.as_raw())
        .map(|&level| f32::from(level) / 127.5 - 1.0)
        .collect();
    let shape = [pictures.len(), height as usize, width as usize, 3];
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The other way round; numbers beyond -1..1 are cut.
///
/// # Errors
/// [`TrainError::Checkpoint`] when the device failed.
pub fn tensor_to_pictures(tensor: Tensor<4>) -> Result<Vec<RgbImage>> {
    let [_, rows, columns, _] = tensor.dims();
    let values: Vec<f32> = tensor
        .into_data()
        .try_into_vec::<f32>()
        .map_err(|error| TrainError::checkpoint("pictures", format!("{error:?}")))?;
    let level = |value: &f32| ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
    let pictures = values
        .chunks_exact(rows * columns * 3)
        .filter_map(|picture| {
            let levels = picture.iter().map(level).collect();
            RgbImage::from_raw(columns as u32, rows as u32, levels)
        });
    Ok(pictures.collect())
}
