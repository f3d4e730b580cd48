//! One decoder layer: pre-norm attention and feed-forward, each with a residual.

use burn::module::Module;
use burn::nn::{RmsNorm, RmsNormConfig};
use burn::tensor::{Device, Tensor};

use super::{
    attention::SelfAttention, cache::LayerCache, config::Qwen3Config, mlp::Mlp, moe::SparseMoe,
    rotary::Rotary, training::Turns,
};
use crate::norm::rms_norm;

/// The feed-forward of a layer.
#[derive(Module, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one a layer; a box would only add a hop"
)]
pub enum FeedForward {
    /// One block for every token.
    Dense(Mlp),
    /// A few of many blocks for each.
    Sparse(SparseMoe),
}

impl FeedForward {
    /// Fresh weights of layer `index`.
    pub fn init(config: &Qwen3Config, index: usize, device: &Device) -> Self {
        match config.sparse(index) {
            Some(moe) => Self::Sparse(SparseMoe::init(config, moe, device)),
            None => Self::Dense(Mlp::init(config, device)),
        }
    }

    /// `[batch, tokens, hidden]` → the same shape.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Dense(mlp) => mlp.forward(x),
            Self::Sparse(moe) => moe.forward(x),
        }
    }

    /// The block for every token, where it is one.
    pub fn dense(&self) -> Option<&Mlp> {
        match self {
            Self::Dense(mlp) => Some(mlp),
            Self::Sparse(_) => None,
        }
    }
}

/// A transformer block.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Grouped-query attention.
    pub self_attn: SelfAttention,
    /// Feed-forward.
    pub mlp: FeedForward,
    /// Before attention.
    pub input_layernorm: RmsNorm,
    /// Before the feed-forward.
    pub post_attention_layernorm: RmsNorm,
}

impl DecoderLayer {
    /// Fresh weights of layer `index`.
    pub fn init(config: &Qwen3Config, index: usize, device: &Device) -> Self {
        let norm = || {
            RmsNormConfig::new(config.hidden_size)
                .with_epsilon(config.rms_norm_eps)
                .init(device)
        };
        Self {
            self_attn: SelfAttention::init(config, device),
            mlp: FeedForward::init(config, index, device),
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
        let normed = rms_norm(&self.input_layernorm, x.clone());
        let attended = self.self_attn.forward(normed, rotary, bias, cache);
        self.fed(x + attended)
    }

    /// The same of whole sequences, each token of which sees those before it.
    pub(super) fn forward_whole(&self, x: Tensor<3>, turns: &Turns) -> Option<Tensor<3>> {
        let normed = rms_norm(&self.input_layernorm, x.clone());
        let attended = self.self_attn.forward_whole(&normed, turns)?;
        Some(self.fed(x + attended))
    }

    /// `x` with its feed-forward.
    fn fed(&self, x: Tensor<3>) -> Tensor<3> {
        let fed = self
            .mlp
            .forward(rms_norm(&self.post_attention_layernorm, x.clone()));
        x + fed
    }
}
