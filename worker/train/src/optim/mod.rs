//! AdamW and moving averages over any module.
//!
//! Source: Loshchilov and Hutter, *Decoupled Weight Decay Regularization*
//! (arXiv:1711.05101), algorithm 2; gradients are clipped by their common norm as in
//! Pascanu et al. (arXiv:1211.5063), algorithm 1. State is kept in the order in which
//! the module visits its parameters, as flat tensors, so that it can be written down
//! and read again without a name.

mod average;
mod muon;
mod state;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::{Gradients, Tensor};
use rayon::prelude::*;

pub use average::{Average, weights, with_weights};
pub use state::{load_tensors, recover_folder, replace_folder, save_tensors};

/// What the optimizer is told.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct AdamWOptions {
    /// Decay of the mean of gradients.
    pub beta_1: f32,
    /// Decay of the mean of their squares.
    pub beta_2: f32,
    /// Added to the root of the second.
    pub epsilon: f32,
    /// Pull of matrices and kernels towards zero; scales and biases have none.
    pub weight_decay: f32,
    /// The most that the norm of all gradients may be.
    pub max_norm: f64,
    /// Whether matrices of hidden layers are updated as Muon does, all else as AdamW.
    #[serde(default)]
    pub muon: bool,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self {
            beta_1: 0.9,
            beta_2: 0.99,
            epsilon: 1e-8,
            weight_decay: 0.01,
            max_norm: 1.0,
            muon: false,
        }
    }
}

/// The optimizer of one module.
pub struct ModuleAdamW {
    decayed: AdamW,
    plain: AdamW,
    options: AdamWOptions,
    moments: Vec<Option<Moments>>,
}

impl std::fmt::Debug for ModuleAdamW {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ModuleAdamW")
            .field("parameters", &self.moments.len())
            .finish_non_exhaustive()
    }
}

/// Of one parameter, flat.
#[derive(Clone, Debug)]
struct Moments {
    time: usize,
    first: Tensor<1>,
    second: Tensor<1>,
}

impl Moments {
    fn none(like: &Tensor<1>) -> Self {
        Self {
            time: 0,
            first: like.zeros_like(),
            second: like.zeros_like(),
        }
    }
}

impl ModuleAdamW {
    /// No step taken yet.
    pub fn new(options: &AdamWOptions) -> Self {
        let adamw = |weight_decay: f32| {
            AdamWConfig::new()
                .with_beta_1(options.beta_1)
                .with_beta_2(options.beta_2)
                .with_epsilon(options.epsilon)
                .with_weight_decay(weight_decay)
                .build()
        };
        Self {
            decayed: adamw(options.weight_decay),
            plain: adamw(0.0),
            options: options.clone(),
            moments: Vec::new(),
        }
    }

    /// One update of every parameter of `module` (on an autodiff device) that has a
    /// gradient. Returns the norm of all gradients before clipping; when that is not a
    /// number nothing is changed.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        gradients: &Gradients,
        learning_rate: f64,
    ) -> (M, f64) {
        let flat = FlatGradients::of(&module, gradients);
        self.apply(module, flat, learning_rate)
    }

    /// [`Self::step`] with gradients that were collected or added up before.
    pub fn apply<M: Module>(
        &mut self,
        module: M,
        FlatGradients(flat): FlatGradients,
        learning_rate: f64,
    ) -> (M, f64) {
        let norm = norm(&flat);
        if !norm.is_finite() {
            return (module, norm);
        }
        // As in `torch.nn.utils.clip_grad_norm_`.
        let factor = (self.options.max_norm / (norm + 1e-6)).min(1.0);
        self.moments.resize_with(flat.len(), || None);
        let ahead = match self.options.muon {
            true => self.orthogonal_steps(&module, &flat, factor),
            false => Vec::new(),
        };
        let mut update = Update {
            optimizer: self,
            flat: flat.into_iter(),
            hidden: ahead,
            index: 0,
            factor,
            learning_rate,
        };
        (module.map(&mut update), norm)
    }

    /// Of each parameter that Muon updates, its new moments and the direction. Products
    /// of small matrices do not fill a machine, so that they are made side by side.
    fn orthogonal_steps<M: Module>(
        &self,
        module: &M,
        flat: &[Option<Tensor<1>>],
        factor: f64,
    ) -> Vec<Option<(Moments, Tensor<1>)>> {
        let mut shapes = Shapes(Vec::new());
        module.visit(&mut shapes);
        let beta = self.options.beta_1;
        let step = |((gradient, shape), old): ((&Option<Tensor<1>>, &Vec<usize>), _)| {
            let gradient = gradient.clone().filter(|_| muon::is_hidden(shape))?;
            let old = Option::<Moments>::clone(old).unwrap_or_else(|| Moments::none(&gradient));
            let gradient = gradient * factor;
            let first = old.first * beta + gradient.clone() * (1.0 - beta);
            // Nesterov's look ahead.
            let ahead = first.clone() * beta + gradient * (1.0 - beta);
            let direction = muon::direction(ahead.reshape([shape[0], shape[1]]));
            let moments = Moments {
                time: old.time + 1,
                first,
                second: old.second,
            };
            Some((moments, direction.reshape([shape[0] * shape[1]])))
        };
        flat.par_iter()
            .zip(&shapes.0)
            .zip(&self.moments)
            .map(step)
            .collect()
    }
}

struct Shapes(Vec<Vec<usize>>);

impl ModuleVisitor for Shapes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.dims().to_vec());
    }
}

/// The gradients of a module's parameters in their order, `None` where the loss does
/// not depend on one.
#[derive(Clone, Debug, Default)]
pub struct FlatGradients(Vec<Option<Tensor<1>>>);

impl FlatGradients {
    /// Those of `module` among `gradients`.
    pub fn of<M: Module>(module: &M, gradients: &Gradients) -> Self {
        let mut collected = Collected {
            gradients,
            flat: Vec::new(),
        };
        module.visit(&mut collected);
        Self(collected.flat)
    }

    /// The sum with those of another part of the batch, of the same module.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        self.0.resize_with(other.0.len().max(self.0.len()), || None);
        for (sum, part) in self.0.iter_mut().zip(other.0) {
            *sum = match (sum.take(), part) {
                (Some(sum), Some(part)) => Some(sum + part),
                (sum, part) => sum.or(part),
            };
        }
        self
    }
}

fn norm(gradients: &[Option<Tensor<1>>]) -> f64 {
    let squares = gradients.iter().flatten().cloned();
    let total = squares
        .map(|gradient| gradient.square().sum())
        .reduce(|left, right| left + right);
    total.map_or(0.0, |total| f64::from(total.into_scalar::<f32>()).sqrt())
}

struct Collected<'g> {
    gradients: &'g Gradients,
    flat: Vec<Option<Tensor<1>>>,
}

impl ModuleVisitor for Collected<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients);
        self.flat.push(gradient.map(|gradient| {
            let count = gradient.shape().num_elements();
            gradient.reshape([count])
        }));
    }
}

struct Update<'o> {
    optimizer: &'o mut ModuleAdamW,
    flat: std::vec::IntoIter<Option<Tensor<1>>>,
    hidden: Vec<Option<(Moments, Tensor<1>)>>,
    index: usize,
    factor: f64,
    learning_rate: f64,
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.index;
        self.index += 1;
        let Some(gradient) = self.flat.next().flatten() else {
            return param;
        };
        let id = param.id;
        let weight = param.val().inner();
        let shape = weight.dims();
        let count = shape.iter().product::<usize>();
        let adamw = match D {
            0 | 1 => &self.optimizer.plain,
            _ => &self.optimizer.decayed,
        };
        let moments = &mut self.optimizer.moments[index];
        if let Some((new, direction)) = self.hidden.get_mut(index).and_then(Option::take) {
            let decay = self.learning_rate * f64::from(self.optimizer.options.weight_decay);
            let direction = direction.reshape(shape) * self.learning_rate;
            let weight = weight * (1.0 - decay) - direction;
            *moments = Some(new);
            return Param::initialized(id, Tensor::from_inner(weight).require_grad());
        }
        let state = moments.take().map(|moments| {
            AdamWState::new(AdaptiveMomentumState::new(
                moments.time,
                moments.first,
                moments.second,
            ))
        });
        let (weight, state) = adamw.step(
            self.learning_rate,
            weight.reshape([count]),
            gradient * self.factor,
            state,
        );
        *moments = state.map(|state| Moments {
            time: state.momentum.time,
            first: state.momentum.moment_1,
            second: state.momentum.moment_2,
        });
        let weight = weight.reshape(shape);
        Param::initialized(id, Tensor::from_inner(weight).require_grad())
    }
}

/// The learning rate of update `step` (from 0) of a run of which `progress` (0 to 1)
/// is over: linear over the warm-up, then half a cosine down to zero.
///
/// Source: Loshchilov and Hutter, *SGDR* (arXiv:1608.03983), eq. 5.
pub fn learning_rate(peak: f64, warmup: u64, step: u64, progress: f64) -> f64 {
    let warm = ((step + 1) as f64 / warmup.max(1) as f64).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos());
    peak * warm * cosine
}
