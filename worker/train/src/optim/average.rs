//! A moving average of a module's weights, which is better than the last of them.
//!
//! Source: Polyak and Juditsky (1992); as an exponential average, Karras et al.
//! (arXiv:1710.10196), §6.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

/// The averages, in the order of the module's parameters.
#[derive(Clone, Debug)]
pub struct Average {
    decay: f64,
    pub(super) values: Vec<Tensor<1>>,
    pub(super) updates: usize,
}

impl Average {
    /// Nothing seen yet; `decay` of the old stays at each update.
    pub fn new(decay: f64) -> Self {
        Self {
            decay,
            values: Vec::new(),
            updates: 0,
        }
    }

    /// Takes the weights of `module`, on an autodiff device.
    pub fn update<M: Module>(&mut self, module: &M) {
        let weights = weights(module);
        // Early averages must not remember the first weights for ever.
        let seen = self.updates as f64;
        let decay = self.decay.min((1.0 + seen) / (10.0 + seen));
        self.values = match self.values.is_empty() {
            true => weights,
            false => std::mem::take(&mut self.values)
                .into_iter()
                .zip(weights)
                .map(|(old, new)| old * decay + new * (1.0 - decay))
                .collect(),
        };
        self.updates += 1;
    }

    /// `module` with the averages for its weights.
    pub fn apply<M: Module>(&self, module: M) -> M {
        match self.values.is_empty() {
            true => module,
            false => with_weights(module, self.values.clone()),
        }
    }
}

/// The weights of a module on an autodiff device, flat, in the order in which it visits
/// its parameters.
pub fn weights<M: Module>(module: &M) -> Vec<Tensor<1>> {
    let mut weights = Weights(Vec::new());
    module.visit(&mut weights);
    weights.0
}

/// `module` with other weights, in that order, each a leaf of its own.
pub fn with_weights<M: Module>(module: M, weights: Vec<Tensor<1>>) -> M {
    module.map(&mut Replace(weights.into_iter()))
}

struct Weights(Vec<Tensor<1>>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weight = param.val().inner();
        let count = weight.shape().num_elements();
        self.0.push(weight.reshape([count]));
    }
}

struct Replace(std::vec::IntoIter<Tensor<1>>);

impl ModuleMapper for Replace {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(value) = self.0.next() else {
            return param;
        };
        let (id, shape) = (param.id, param.val().dims());
        Param::initialized(id, Tensor::from_inner(value.reshape(shape)).require_grad())
    }
}
