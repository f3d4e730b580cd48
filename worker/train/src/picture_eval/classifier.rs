//! A small convolutional network with one linear layer of answers.

use std::path::Path;

use burn::module::{Initializer, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use illumine_models::nhwc::{Window, conv2d, norm_silu};
use image::RgbImage;

use super::labels::{Head, Labels};
use crate::error::{Result, TrainError};
use crate::optim;
use crate::painter::SIDE;
use crate::picture_vae::pictures_to_tensor;

/// Output channels and step of each convolution.
const STAGES: [(usize, usize); 6] = [(16, 2), (32, 2), (64, 1), (64, 2), (96, 2), (128, 1)];
/// Side of the last one's outputs.
const LAST: usize = SIDE / 16;
/// Columns of these in which the main thing stands; the companion is right of them.
const MAIN: usize = 5;
/// Pictures that are looked at together.
const BATCH: usize = 32;

#[derive(Module, Debug)]
struct Stage {
    kernel: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
    scale: Param<Tensor<1>>,
    stride: usize,
}

impl Stage {
    fn init(input: usize, output: usize, stride: usize, device: &Device) -> Self {
        let spread = (2.0 / (9 * input) as f64).sqrt();
        let normal = Initializer::Normal {
            mean: 0.0,
            std: spread,
        };
        Self {
            kernel: normal.init([3, 3, input, output], device),
            bias: Initializer::Zeros.init([output], device),
            scale: Initializer::Ones.init([output], device),
            stride,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let window = match self.stride {
            1 => Window::around(1),
            stride => Window {
                stride,
                above: 0,
                below: 1,
                left: 0,
                right: 1,
            },
        };
        let x = conv2d(x, self.kernel.val(), self.bias.val(), window);
        norm_silu(x, self.scale.val(), true)
    }
}

/// Pictures to classes.
#[derive(Module, Debug)]
pub struct Classifier {
    stages: Vec<Stage>,
    answers: Linear,
}

impl Classifier {
    /// Fresh weights.
    pub fn init(device: &Device) -> Self {
        let mut input = 3;
        let stages = STAGES.into_iter().map(|(output, stride)| {
            let stage = Stage::init(input, output, stride, device);
            input = output;
            stage
        });
        Self {
            stages: stages.collect(),
            answers: LinearConfig::new(4 * STAGES[5].0, Head::total()).init(device),
        }
    }

    /// `[batch, 128, 128, 3]` in -1..1 → scores `[batch, answers of all heads]`.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let x = self
            .stages
            .iter()
            .fold(pictures, |x, stage| stage.forward(x));
        let [batch, _, _, channels] = x.dims();
        // Mean and maximum, of the main thing's side and of the other.
        let pooled = [(0, MAIN), (MAIN, LAST - MAIN)].map(|(from, count)| {
            let half = x.clone().narrow(2, from, count);
            let flat = half.reshape([batch, LAST * count, channels]);
            [
                flat.clone().mean_dim(1).reshape([batch, channels]),
                flat.max_dim(1).reshape([batch, channels]),
            ]
        });
        self.answers
            .forward(Tensor::cat(pooled.into_iter().flatten().collect(), 1))
    }

    /// The most likely class of each head for each picture of 128 × 128.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] when the device failed.
    pub fn look(&self, pictures: &[RgbImage], device: &Device) -> Result<Vec<[usize; 9]>> {
        let mut seen = Vec::with_capacity(pictures.len());
        for batch in pictures.chunks(BATCH) {
            let scores = self.forward(pictures_to_tensor(batch, device));
            let scores: Vec<f32> = scores
                .into_data()
                .try_into_vec::<f32>()
                .map_err(|error| TrainError::checkpoint("classifier", format!("{error:?}")))?;
            seen.extend(scores.chunks_exact(Head::total()).map(|scores| {
                Head::ALL.map(|head| {
                    let scores = &scores[head.offset()..][..head.classes()];
                    let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
                    best.map_or(0, |(class, _)| class)
                })
            }));
        }
        Ok(seen)
    }

    /// Writes the weights as one file.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`].
    pub fn save(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| TrainError::io(folder, error))?;
        }
        let weights = optim::weights(self).into_iter().enumerate();
        let tensors: Vec<(String, Tensor<1>)> = weights
            .map(|(index, weight)| (format!("weight.{index}"), weight))
            .collect();
        optim::save_tensors(path, &tensors)
    }

    /// Reads what [`Self::save`] wrote, without derivatives.
    ///
    /// # Errors
    /// [`TrainError::Io`], [`TrainError::Checkpoint`].
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let fresh = Self::init(&device.clone().autodiff());
        let mut tensors = optim::load_tensors(path, device)?;
        let weights: Vec<Tensor<1>> = (0..)
            .map_while(|index| tensors.remove(&format!("weight.{index}")))
            .collect();
        let sizes = |weights: &[Tensor<1>]| -> Vec<usize> {
            weights.iter().map(|weight| weight.dims()[0]).collect()
        };
        if sizes(&weights) != sizes(&optim::weights(&fresh)) {
            return Err(TrainError::checkpoint(
                path,
                "weights of another classifier",
            ));
        }
        Ok(optim::with_weights(fresh, weights).valid())
    }
}

/// How often each head is right: `(right, asked)` in the order of [`Head::ALL`].
pub fn count(seen: &[[usize; 9]], expected: &[Labels]) -> [(usize, usize); 9] {
    Head::ALL.map(|head| {
        let pairs = seen.iter().zip(expected);
        let asked = pairs.filter_map(|(seen, labels)| {
            labels.get(head).map(|label| seen[head as usize] == label)
        });
        let (mut right, mut total) = (0, 0);
        for is_right in asked {
            right += usize::from(is_right);
            total += 1;
        }
        (right, total)
    })
}
