//! The feed-forward block: SwiGLU (Shazeer, arXiv:2002.05202, eq. 6).

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation::silu};

use super::{config::Qwen3Config, training, weights::projection};
use crate::lora::Linear;

/// `down(silu(gate(x)) · up(x))`.
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[hidden, intermediate]`
    pub gate_proj: Linear,
    /// `[hidden, intermediate]`
    pub up_proj: Linear,
    /// `[intermediate, hidden]`
    pub down_proj: Linear,
}

impl Mlp {
    /// Fresh weights.
    pub fn init(config: &Qwen3Config, device: &Device) -> Self {
        Self::with_width(config, config.intermediate_size, device)
    }

    /// Fresh weights with `inner` in place of `intermediate_size`.
    pub fn with_width(config: &Qwen3Config, inner: usize, device: &Device) -> Self {
        let hidden = config.hidden_size;
        Self {
            gate_proj: projection(config, hidden, inner, device),
            up_proj: projection(config, hidden, inner, device),
            down_proj: projection(config, inner, hidden, device),
        }
    }

    /// `[batch, tokens, hidden]` → the same shape.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = self.gate_proj.forward(x.clone());
        let up = self.up_proj.forward(x);
        let gated = training::swiglu(&gate, &up).unwrap_or_else(|| silu(gate) * up);
        self.down_proj.forward(gated)
    }
}
