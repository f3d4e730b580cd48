//! Grouped-query attention with biases, without norms over heads.
//! Follows `Qwen2_5_VLAttention`.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::lora::Linear;
use crate::qwen3::attention::grouped_attention;
use crate::qwen3::cache::LayerCache;
use crate::qwen3::rotary::Rotary;

/// Attention over the tokens of one sequence, or of a cache and new tokens.
#[derive(Module, Debug)]
pub struct TextAttention {
    /// `[hidden, heads × head_dim]`, with bias.
    pub q_proj: Linear,
    /// `[hidden, kv_heads × head_dim]`, with bias.
    pub k_proj: Linear,
    /// `[hidden, kv_heads × head_dim]`, with bias.
    pub v_proj: Linear,
    /// `[heads × head_dim, hidden]`
    pub o_proj: Linear,
    /// Width of one head.
    pub head_dim: usize,
}

impl TextAttention {
    /// `[batch, tokens, hidden]` → the same shape. `bias` is
    /// `[batch, 1, 1, tokens, keys]`.
    pub fn forward(
        &self,
        x: Tensor<3>,
        rotary: &Rotary,
        bias: Option<&Tensor<5>>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let heads = |projected: Tensor<3>| {
            let heads = projected.dims()[2] / self.head_dim;
            projected
                .reshape([batch, tokens, heads, self.head_dim])
                .swap_dims(1, 2)
        };
        let query = rotary.apply(heads(self.q_proj.forward(x.clone())));
        let key = rotary.apply(heads(self.k_proj.forward(x.clone())));
        let value = heads(self.v_proj.forward(x));
        let (key, value) = match cache {
            Some(cache) => cache.append(key, value),
            None => (key, value),
        };
        self.o_proj
            .forward(grouped_attention(query, key, value, bias))
    }
}
