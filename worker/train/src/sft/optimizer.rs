//! AdamW over the model's parameters, with the norm of all gradients clipped
//! together.
//!
//! Source: Loshchilov and Hutter, *Decoupled Weight Decay Regularization*
//! (arXiv:1711.05101), algorithm 2; the global norm as in Pascanu et al.
//! (arXiv:1211.5063), algorithm 1. Parameters are kept in the order of
//! [`lora::trained`], each as a matrix, a norm's scale as one row.

use burn::module::Param;
use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{DType, Gradients, Tensor};
use illumine_models::Qwen3;
use illumine_models::qwen3::weights::Slot;

use crate::lora;
use crate::optim::AdamWOptions;

/// One gradient a parameter, `None` where the loss does not depend on it.
#[derive(Debug, Default)]
pub struct GradientSum(pub(crate) Vec<Option<Tensor<2>>>);

impl GradientSum {
    /// Takes the gradients of `model` out of `gradients`.
    pub fn of(model: &mut Qwen3, mut gradients: Gradients) -> Self {
        let slots = lora::trained(model).into_iter();
        Self(
            slots
                .map(|slot| gradient_of(&slot, &mut gradients))
                .collect(),
        )
    }

    /// Takes the gradients of `model` out of `gradients` and adds them.
    pub fn add(&mut self, model: &mut Qwen3, gradients: Gradients) {
        self.merge(Self::of(model, gradients));
    }

    /// Adds others of the same model.
    pub fn merge(&mut self, others: Self) {
        self.0.resize_with(others.0.len(), || None);
        for (sum, gradient) in self.0.iter_mut().zip(others.0) {
            let Some(gradient) = gradient else { continue };
            *sum = Some(match sum.take() {
                Some(sum) => sum + gradient,
                None => gradient,
            });
        }
    }

    /// The Euclidean norm of all gradients as one vector.
    pub fn norm(&self) -> f64 {
        let squares = self.0.iter().flatten().cloned();
        let total = squares
            .map(|gradient| gradient.square().sum())
            .reduce(|left, right| left + right);
        total.map_or(0.0, |total| f64::from(total.into_scalar::<f32>()).sqrt())
    }

    /// Scales all gradients alike so that their norm is at most `max_norm`;
    /// returns the norm before.
    pub fn clip(&mut self, max_norm: f64) -> f64 {
        let norm = self.norm();
        if norm > max_norm {
            // As in `torch.nn.utils.clip_grad_norm_`.
            let factor = max_norm / (norm + 1e-6);
            for gradient in &mut self.0 {
                *gradient = gradient.take().map(|gradient| gradient * factor);
            }
        }
        norm
    }
}

/// In f32, whatever the way back was computed in.
fn gradient_of(slot: &Slot<'_>, gradients: &mut Gradients) -> Option<Tensor<2>> {
    let gradient = match slot {
        Slot::Projection(param) | Slot::Embedding(param) => param.val().grad_remove(gradients),
        Slot::Scale(param) => param
            .val()
            .grad_remove(gradients)
            .map(|gradient| gradient.unsqueeze_dim(0)),
    };
    gradient.map(|gradient| gradient.cast(DType::F32))
}

/// The moments of one parameter, as matrices.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Updates seen.
    pub time: usize,
    /// Running mean of the gradient.
    pub first: Tensor<2>,
    /// Running mean of its square.
    pub second: Tensor<2>,
}

/// AdamW with its state in the open, so that a checkpoint holds it by name.
pub struct ModelAdamW {
    decayed: AdamW,
    plain: AdamW,
    /// In the order of the model's parameters.
    pub moments: Vec<Option<Moments>>,
}

impl std::fmt::Debug for ModelAdamW {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ModelAdamW")
            .field("parameters", &self.moments.len())
            .finish_non_exhaustive()
    }
}

impl ModelAdamW {
    /// No step taken yet.
    pub fn new(config: &AdamWOptions) -> Self {
        let adamw = |weight_decay: f32| {
            AdamWConfig::new()
                .with_beta_1(config.beta_1)
                .with_beta_2(config.beta_2)
                .with_epsilon(config.epsilon)
                .with_weight_decay(weight_decay)
                .build()
        };
        Self {
            decayed: adamw(config.weight_decay),
            plain: adamw(0.0),
            moments: Vec::new(),
        }
    }

    /// One update of every parameter that has a gradient.
    pub fn step(&mut self, model: &mut Qwen3, gradients: GradientSum, learning_rate: f64) {
        let slots = lora::trained(model);
        self.moments.resize_with(slots.len(), || None);
        for ((slot, gradient), moments) in slots.into_iter().zip(gradients.0).zip(&mut self.moments)
        {
            let Some(gradient) = gradient else { continue };
            match slot {
                Slot::Projection(param) | Slot::Embedding(param) => {
                    let weight = param.val().inner();
                    let updated = update(&self.decayed, learning_rate, weight, gradient, moments);
                    replace(param, updated);
                }
                Slot::Scale(param) => {
                    let weight = param.val().inner().unsqueeze_dim(0);
                    let updated = update(&self.plain, learning_rate, weight, gradient, moments);
                    replace(param, updated.squeeze_dim(0));
                }
            }
        }
    }
}

fn update(
    adamw: &AdamW,
    learning_rate: f64,
    weight: Tensor<2>,
    gradient: Tensor<2>,
    moments: &mut Option<Moments>,
) -> Tensor<2> {
    let state = moments.take().map(|moments| {
        AdamWState::new(AdaptiveMomentumState::new(
            moments.time,
            moments.first,
            moments.second,
        ))
    });
    let (weight, state) = adamw.step(learning_rate, weight, gradient, state);
    *moments = state.map(|state| Moments {
        time: state.momentum.time,
        first: state.momentum.moment_1,
        second: state.momentum.moment_2,
    });
    weight
}

/// Puts `value` in the place of what `param` has learnt so far.
pub(crate) fn replace<const D: usize>(param: &mut Param<Tensor<D>>, value: Tensor<D>) {
    *param = Param::initialized(param.id, Tensor::from_inner(value).require_grad());
}
