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
        let mut weights = Weights(Vec::new());
        module.visit(&mut weights);
        // Early averages must not remember the first weights for ever.
        let seen = self.updates as f64;
        let decay = self.decay.min((1.0 + seen) / (10.0 + seen));
        self.values = match self.values.is_empty() {
            true => weights.0,
            false => std::mem::take(&mut self.values)
                .into_iter()
                .zip(weights.0)
                .map(|(old, new)| old * decay + new * (1.0 - decay))
                .collect(),
        };
        self.updates += 1;
    }

    /// `module` with the averages for its weights.
    pub fn apply<M: Module>(&self, module: M) -> M {
        match self.values.is_empty() {
            true => module,
            false => module.map(&mut Replace(self.values.clone().into_iter())),
        }
    }
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
