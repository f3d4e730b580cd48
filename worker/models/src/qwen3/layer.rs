//! One decoder layer: pre-norm attention and feed-forward, each with a residual.

use burn::module::Module;
use burn::nn::{RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};

use super::{
    attention::SelfAttention, cache::LayerCache, config::Qwen3Config, mlp::Mlp, rotary::Rotary,
};

/// A transformer block.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Grouped-query attention.
    pub self_attn: SelfAttention,
    /// Feed-forward.
    pub mlp: Mlp,
    /// Before attention.
    pub input_layernorm: RmsNorm,
    /// Before the feed-forward.
    pub post_attention_layernorm: RmsNorm,
}

impl DecoderLayer {
    /// Fresh weights.
    pub fn init(config: &Qwen3Config, device: &Device) -> Self {
        let norm = || {
            RmsNormConfig::new(config.hidden_size)
                .with_epsilon(config.rms_norm_eps)
                .init(device)
        };
        Self {
            self_attn: SelfAttention::init(config, device),
            mlp: Mlp::init(config, device),
            input_layernorm: norm(),
            post_attention_layernorm: norm(),
        }
    }

    /// `[batch, tokens, hidden]` → the same shape. `bias` is added to the
    /// attention scores, shape `[batch, 1, 1, tokens, keys]`.
    pub fn forward(
        &self,
        x: Tensor<3>,
        rotary: &Rotary,
        bias: Option<&Tensor<5>>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let attended =
            self.self_attn
                .forward(self.input_layernorm.forward(x.clone()), rotary, bias, cache);
        let x = x + attended;
        let fed = self
            .mlp
            .forward(self.post_attention_layernorm.forward(x.clone()));
        x + fed
    }
}
