//! Grouped-query self-attention with normalised queries and keys.
//!
//! Source: Ainslie et al., *GQA* (arXiv:2305.13245); the per-head RMSNorm is
//! Qwen3's (arXiv:2505.09388, §2).

use burn::module::Module;
use burn::nn::{RmsNorm, RmsNormConfig};
use burn::tensor::{DType, Device, Tensor, activation::softmax};

use super::training::{self, Turns};
use super::{cache::LayerCache, config::Qwen3Config, rotary::Rotary, weights::projection};
use crate::lora::Linear;
use crate::norm::rms_norm;

/// Attention over the tokens of one sequence, or of a cache and new tokens.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `[hidden, heads × head_dim]`
    pub q_proj: Linear,
    /// `[hidden, kv_heads × head_dim]`
    pub k_proj: Linear,
    /// `[hidden, kv_heads × head_dim]`
    pub v_proj: Linear,
    /// `[heads × head_dim, hidden]`
    pub o_proj: Linear,
    /// Over one query head.
    pub q_norm: RmsNorm,
    /// Over one key head.
    pub k_norm: RmsNorm,
    num_kv_heads: usize,
    groups: usize,
    head_dim: usize,
}

impl SelfAttention {
    /// Fresh weights.
    pub fn init(config: &Qwen3Config, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let query_width = config.num_attention_heads * config.head_dim;
        let key_width = config.num_key_value_heads * config.head_dim;
        let norm = || {
            RmsNormConfig::new(config.head_dim)
                .with_epsilon(config.rms_norm_eps)
                .init(device)
        };
        Self {
            q_proj: projection(config, hidden, query_width, device),
            k_proj: projection(config, hidden, key_width, device),
            v_proj: projection(config, hidden, key_width, device),
            o_proj: projection(config, query_width, hidden, device),
            q_norm: norm(),
            k_norm: norm(),
            num_kv_heads: config.num_key_value_heads,
            groups: config.groups(),
            head_dim: config.head_dim,
        }
    }

    /// `[batch, tokens, hidden]` → the same shape.
    ///
    /// With a cache, the new keys and values are appended to it and attention
    /// runs over all it holds. `bias` has shape `[batch, 1, 1, tokens, keys]`.
    pub fn forward(
        &self,
        x: Tensor<3>,
        rotary: &Rotary,
        bias: Option<&Tensor<5>>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let (kv_heads, groups, head_dim) = (self.num_kv_heads, self.groups, self.head_dim);
        let split = |x: Tensor<3>, heads: usize| x.reshape([batch, tokens, heads, head_dim]);

        let query = split(self.q_proj.forward(x.clone()), kv_heads * groups);
        let key = split(self.k_proj.forward(x.clone()), kv_heads);
        let value = split(self.v_proj.forward(x), kv_heads).swap_dims(1, 2);
        let query = rotary.apply(rms_norm(&self.q_norm, query).swap_dims(1, 2));
        let key = rotary.apply(rms_norm(&self.k_norm, key).swap_dims(1, 2));
        let (key, value) = match cache {
            Some(cache) => cache.append(key, value),
            None => (key, value),
        };
        self.o_proj
            .forward(grouped_attention(query, key, value, bias))
    }
}

impl SelfAttention {
    /// The same of whole sequences, each token of which sees those before it, in code of our
    /// own; none where that does not serve (see [`training`]).
    pub(super) fn forward_whole(&self, x: &Tensor<3>, turns: &Turns) -> Option<Tensor<3>> {
        let [batch, tokens, _] = x.dims();
        let (kv_heads, head_dim) = (self.num_kv_heads, self.head_dim);
        let heads = kv_heads * self.groups;
        let split = |x: Tensor<3>, heads: usize| x.reshape([batch, tokens, heads, head_dim]);
        let query = split(self.q_proj.forward(x.clone()), heads);
        let key = split(self.k_proj.forward(x.clone()), kv_heads);
        let value = split(self.v_proj.forward(x.clone()), kv_heads);
        let query = training::normed_and_turned(&query, &self.q_norm, turns)?;
        let key = training::normed_and_turned(&key, &self.k_norm, turns)?;
        let contexts = training::attend(&query, &key, &value)?;
        let contexts = contexts.reshape([batch, tokens, heads * head_dim]);
        Some(self.o_proj.forward(contexts))
    }
}

/// Softmax attention of queries `[batch, kv_heads × groups, tokens, head_dim]`
/// over keys and values `[batch, kv_heads, keys, head_dim]`, the heads side by
/// side in the result `[batch, tokens, kv_heads × groups × head_dim]`. `bias`
/// has shape `[batch, 1, 1, tokens, keys]`.
pub fn grouped_attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    bias: Option<&Tensor<5>>,
) -> Tensor<3> {
    #[cfg(feature = "tch")]
    if let Some(attended) = crate::torch::attention(&query, &key, &value, bias) {
        return attended;
    }
    let [batch, heads, tokens, head_dim] = query.dims();
    let [_, kv_heads, keys, _] = key.dims();
    let groups = heads / kv_heads;
    // The query heads of a group are rows against one shared key head, so
    // that keys and values are never repeated in memory.
    let scale = 1.0 / (head_dim as f64).sqrt();
    let query = (query * scale).reshape([batch, kv_heads, groups * tokens, head_dim]);
    let mut scores = query
        .matmul(key.swap_dims(2, 3))
        .reshape([batch, kv_heads, groups, tokens, keys]);
    if let Some(bias) = bias {
        let dtype = scores.dtype();
        scores = scores + bias.clone().cast(dtype);
    }
    // As the reference: the shares of a bf16 model are made in f32.
    let dtype = scores.dtype();
    let weights = softmax(scores.cast(DType::F32), 4).cast(dtype).reshape([
        batch,
        kv_heads,
        groups * tokens,
        keys,
    ]);
    weights
        .matmul(value)
        .reshape([batch, heads, tokens, head_dim])
        .swap_dims(1, 2)
        .reshape([batch, tokens, heads * head_dim])
}
