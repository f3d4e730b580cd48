//! The decoder's layers and head. Follows `Qwen2_5_VLTextModel`.

use burn::module::Module;
use burn::nn::{Embedding, RmsNorm};
use burn::tensor::Tensor;

use super::attention::TextAttention;
use crate::lora::Linear;
use crate::norm::rms_norm;
use crate::qwen3::KvCache;
use crate::qwen3::cache::LayerCache;
use crate::qwen3::mlp::Mlp;
use crate::qwen3::rotary::Rotary;

/// A transformer block.
#[derive(Module, Debug)]
pub struct TextLayer {
    /// Before attention.
    pub input_layernorm: RmsNorm,
    /// Grouped-query attention.
    pub self_attn: TextAttention,
    /// Before the feed-forward.
    pub post_attention_layernorm: RmsNorm,
    /// SwiGLU.
    pub mlp: Mlp,
}

impl TextLayer {
    fn forward(
        &self,
        x: Tensor<3>,
        rotary: &Rotary,
        bias: Option<&Tensor<5>>,
        cache: Option<&mut LayerCache>,
    ) -> Tensor<3> {
        let normed = rms_norm(&self.input_layernorm, x.clone());
        let x = x + self.self_attn.forward(normed, rotary, bias, cache);
        let normed = rms_norm(&self.post_attention_layernorm, x.clone());
        x + self.mlp.forward(normed)
    }
}

/// From embeddings to logits.
#[derive(Module, Debug)]
pub struct TextDecoder {
    /// `[vocab, hidden]`
    pub embed_tokens: Embedding,
    /// The layers.
    pub layers: Vec<TextLayer>,
    /// After the last layer.
    pub norm: RmsNorm,
    /// `[hidden, vocab]`; absent when the embedding serves as the head.
    pub lm_head: Option<Linear>,
}

impl TextDecoder {
    /// Final states of embeddings `[batch, tokens, hidden]`, the same shape. With
    /// a cache they follow what it holds, and it then holds them too. `bias` is
    /// `[batch, 1, 1, tokens, keys]`.
    pub fn forward(
        &self,
        mut x: Tensor<3>,
        rotary: &Rotary,
        bias: Option<&Tensor<5>>,
        mut cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        for (index, layer) in self.layers.iter().enumerate() {
            let layer_cache = cache
                .as_deref_mut()
                .and_then(|cache| cache.layers.get_mut(index));
            x = layer.forward(x, rotary, bias, layer_cache);
        }
        rms_norm(&self.norm, x)
    }

    /// Logits `[batch, tokens, vocab]` of final states `[batch, tokens, hidden]`.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => {
                let head = self.embed_tokens.weight.val().transpose();
                burn::tensor::module::linear(hidden, head, None)
            }
        }
    }
}
