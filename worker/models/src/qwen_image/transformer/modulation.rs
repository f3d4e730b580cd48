//! Norms that the timestep shifts and scales (adaptive layer norm).
//!
//! Source: Peebles and Xie, *DiT* (arXiv:2212.09748), §3.2 (adaLN-Zero); the
//! reference's `QwenImageTransformerBlock._modulate` and `AdaLayerNormContinuous`.

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::tensor::{Tensor, module::layer_norm};

use super::cpu::{self, Apart};
use crate::device::Device;
use crate::lora::Linear;

/// Of every norm, fixed in the reference.
pub const NORM_EPS: f64 = 1e-6;

/// Shift, scale and gate around one part of a block, each `[batch, 1, inner]`.
#[derive(Clone, Debug)]
pub struct Modulation {
    shift: Tensor<3>,
    scale: Tensor<3>,
    gate: Tensor<3>,
}

/// The modulation of a stream: runs of tokens that are modulated alike.
#[derive(Clone, Debug)]
pub struct StreamModulation {
    /// Tokens of each run, which follow one another.
    runs: Vec<(usize, Modulation)>,
}

impl StreamModulation {
    /// Those around attention and feed-forward, of `parameters` `[runs × batch,
    /// 6 × inner]`; `runs` are the tokens of each run.
    pub fn pair(parameters: Tensor<2>, runs: &[usize]) -> [Self; 2] {
        let [rows, width] = parameters.dims();
        let (batch, inner) = (rows / runs.len().max(1), width / 6);
        let parameters = parameters.reshape([runs.len(), batch, 6, inner]);
        [0, 3].map(|first| {
            let run = |(index, &tokens): (usize, &usize)| {
                let part = |part: usize| {
                    let one = parameters.clone().narrow(0, index, 1);
                    one.narrow(2, first + part, 1).reshape([batch, 1, inner])
                };
                let modulation = Modulation {
                    shift: part(0),
                    scale: part(1),
                    gate: part(2),
                };
                (tokens, modulation)
            };
            Self {
                runs: runs.iter().enumerate().map(run).collect(),
            }
        })
    }

    /// The normalised `x` `[batch, tokens, inner]`, scaled and shifted.
    pub fn enter(&self, x: Tensor<3>) -> Tensor<3> {
        self.by_run(x, |x, run| normed(x, run.scale.clone(), run.shift.clone()))
    }

    /// `x` with the gated outcome of `last` on `y` added to it.
    pub fn leave(&self, x: Tensor<3>, y: Tensor<3>, last: &Linear) -> Tensor<3> {
        if let ([(_, only)], Some((product, bias))) = (&self.runs[..], last.apart(&y)) {
            return cpu::leave(x, product, only.gate.clone(), bias);
        }
        x + self.by_run(last.forward(y), |y, run| y * run.gate.clone())
    }

    fn by_run(
        &self,
        x: Tensor<3>,
        apply: impl Fn(Tensor<3>, &Modulation) -> Tensor<3>,
    ) -> Tensor<3> {
        if let [(_, only)] = &self.runs[..] {
            return apply(x, only);
        }
        let mut start = 0;
        let runs = self.runs.iter().filter(|(tokens, _)| *tokens > 0);
        let parts = runs.map(|(tokens, run)| {
            let part = x.clone().narrow(1, start, *tokens);
            start += tokens;
            apply(part, run)
        });
        Tensor::cat(parts.collect(), 1)
    }
}

/// Layer norm without parameters of its own, then `· (1 + scale) + shift`, each
/// `[batch, 1, inner]`.
fn normed(x: Tensor<3>, scale: Tensor<3>, shift: Tensor<3>) -> Tensor<3> {
    let [batch, _, inner] = x.dims();
    if cpu::serves(&x) {
        return cpu::modulated_norm(x, scale, shift, NORM_EPS);
    }
    if cpu::training::serves(&x) {
        return cpu::training::modulated_norm(x, scale, shift, NORM_EPS);
    }
    if batch == 1 {
        // One operation where the device has one.
        let gamma = (scale + 1.0).reshape([inner]);
        return layer_norm(x, gamma, Some(shift.reshape([inner])), NORM_EPS);
    }
    let ones = Tensor::<1>::ones([inner], (&x.device(), x.dtype()));
    layer_norm(x, ones, None, NORM_EPS) * (scale + 1.0) + shift
}

/// The last norm, modulated by its own projection.
#[derive(Module, Debug)]
pub struct AdaLayerNormContinuous {
    /// `[inner, 2 × inner]`: scale, then shift.
    pub linear: Linear,
}

impl AdaLayerNormContinuous {
    /// Fresh weights.
    pub fn init(inner: usize, device: &Device) -> Self {
        Self {
            linear: LinearConfig::new(inner, 2 * inner).init(device).into(),
        }
    }

    /// `x` `[batch, tokens, inner]` under the timestep's `condition`
    /// `[batch, inner]`, which has been through SiLU.
    pub fn forward(&self, x: Tensor<3>, condition: Tensor<2>) -> Tensor<3> {
        let parameters = self.linear.forward(condition).unsqueeze_dim::<3>(1);
        let inner = x.dims()[2];
        let scale = parameters.clone().narrow(2, 0, inner);
        normed(x, scale, parameters.narrow(2, inner, inner))
    }
}
