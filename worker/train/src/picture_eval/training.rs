//! The classifier's training: pictures of the painter, a little blurred, noisy and
//! too light or dark, so that it judges drawn ones fairly.

use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use image::RgbImage;
use rayon::prelude::*;

use super::classifier::Classifier;
use super::labels::{Head, Labels};
use crate::corpus::Rng;
use crate::error::{Result, TrainError};
use crate::optim::{self, AdamWOptions, ModuleAdamW};
use crate::painter::draw::finish::blur;
use crate::painter::{Painter, Pixels, paint, to_image};
use crate::picture_model::batch::normal;
use crate::picture_vae::pictures_to_tensor;

/// What the training is told.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifierTraining {
    /// Updates.
    pub steps: u64,
    /// Pictures in one.
    pub batch: usize,
    /// At its peak.
    pub learning_rate: f64,
    /// Of weights and pictures.
    pub seed: u64,
}

impl Default for ClassifierTraining {
    fn default() -> Self {
        Self {
            steps: 3_000,
            batch: 32,
            learning_rate: 3e-3,
            seed: 99,
        }
    }
}

/// Trains from scratch on scenes of both kinds: pictures and outcomes of edits.
/// `report` sees step and loss.
///
/// # Errors
/// [`TrainError::Diverged`].
pub fn train(
    config: &ClassifierTraining,
    device: &Device,
    mut report: impl FnMut(u64, f64),
) -> Result<Classifier> {
    device.seed(config.seed);
    let training = device.clone().autodiff();
    let mut model = Classifier::init(&training);
    let mut optimizer = ModuleAdamW::new(&AdamWOptions::default());
    let painter = Painter::training(config.seed);
    for step in 0..config.steps {
        let first = step * config.batch as u64;
        let numbers: Vec<u64> = (first..first + config.batch as u64).collect();
        let (pictures, labels): (Vec<RgbImage>, Vec<Labels>) = numbers
            .into_par_iter()
            .map(|number| {
                let scene = match number % 2 {
                    0 => painter.example(number).scene,
                    _ => painter.edit(number).after,
                };
                let mut rng = Rng::new(config.seed ^ 0xA06, number);
                let pixels = worn(&mut rng, paint(&scene).pixels);
                (to_image(&pixels), Labels::of(&scene))
            })
            .unzip();
        let scores = model.forward(pictures_to_tensor(&pictures, &training));
        let loss = answers_loss(scores, &labels, &training);
        let value = f64::from(loss.clone().into_scalar::<f32>());
        let progress = step as f64 / config.steps.max(1) as f64;
        let rate = optim::learning_rate(config.learning_rate, 100, step, progress);
        let (updated, norm) = optimizer.step(model, &loss.backward(), rate);
        model = updated;
        if !(value + norm).is_finite() {
            return Err(TrainError::Diverged { step, loss: value });
        }
        report(step + 1, value);
    }
    Ok(model.valid())
}

/// The mean cross-entropy of each head's known labels, summed over heads.
pub fn answers_loss(scores: Tensor<2>, labels: &[Labels], device: &Device) -> Tensor<1> {
    let batch = labels.len();
    let heads = Head::ALL.map(|head| {
        let known: Vec<f32> = labels
            .iter()
            .map(|labels| f32::from(u8::from(labels.get(head).is_some())))
            .collect();
        let count = known.iter().sum::<f32>().max(1.0);
        let classes: Vec<i64> = labels
            .iter()
            .map(|labels| labels.get(head).unwrap_or(0) as i64)
            .collect();
        let known = Tensor::<2>::from_data(TensorData::new(known, [batch, 1]), device);
        let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [batch, 1]), device);
        let scores = scores.clone().narrow(1, head.offset(), head.classes());
        let likely = log_softmax(scores, 1).gather(1, classes);
        (likely * known).sum() * (-1.0 / count)
    });
    let [first, rest @ ..] = heads;
    rest.into_iter().fold(first, |sum, head| sum + head)
}

/// A picture as a drawing model might give it back.
fn worn(rng: &mut Rng, pixels: Pixels) -> Pixels {
    let mut pixels = match rng.chance(50) {
        true => blur(&pixels, 1),
        false => pixels,
    };
    let (gain, lift) = (rng.range(0.93, 1.07), rng.range(-0.03, 0.03));
    let noise = rng.range(0.0, 0.04);
    let grain = normal(rng, pixels.len() * 3);
    for (pixel, grain) in pixels.iter_mut().zip(grain.chunks_exact(3)) {
        for (value, grain) in pixel.iter_mut().zip(grain) {
            *value = (*value * gain + lift + noise * grain).clamp(0.0, 1.0);
        }
    }
    pixels
}
