//! The whole decoder, from token ids to logits.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, RmsNorm, RmsNormConfig};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::training::{self, Turns};
use super::{
    cache::KvCache,
    config::Qwen3Config,
    layer::DecoderLayer,
    rotary::{Frequencies, Rotary},
    weights::{normal, projection},
};
use crate::lora::Linear;
use crate::norm::rms_norm;

/// Added to the score of a hidden key. Finite, so that a row with every key
/// hidden (padding) stays finite too.
const HIDDEN: f32 = -1e30;

/// The Qwen3 decoder. Fields are named as in Hugging Face, below `model.`.
#[derive(Module, Debug)]
pub struct Qwen3 {
    /// `[vocab, hidden]`
    pub embed_tokens: Embedding,
    /// The decoder layers.
    pub layers: Vec<DecoderLayer>,
    /// After the last layer.
    pub norm: RmsNorm,
    /// `[hidden, vocab]`; absent when the embedding serves as the head.
    pub lm_head: Option<Linear>,
    #[module(skip)]
    frequencies: Frequencies,
}

/// Positions and mask as layers use them.
#[derive(Clone, Debug)]
pub struct Around {
    rotary: Rotary,
    bias: Tensor<5>,
    /// Where tokens are at their places, see all before them, and our own code serves.
    whole: Option<Turns>,
}

impl Qwen3 {
    /// Fresh weights on `device` (an autodiff device for training).
    pub fn init(config: &Qwen3Config, device: &Device) -> Self {
        let embed_tokens = EmbeddingConfig::new(config.vocab_size, config.hidden_size)
            .with_initializer(normal(config))
            .init(device);
        let layers = (0..config.num_hidden_layers)
            .map(|index| DecoderLayer::init(config, index, device))
            .collect();
        let lm_head = (!config.tie_word_embeddings)
            .then(|| projection(config, config.hidden_size, config.vocab_size, device));
        Self {
            embed_tokens,
            layers,
            norm: RmsNormConfig::new(config.hidden_size)
                .with_epsilon(config.rms_norm_eps)
                .init(device),
            lm_head,
            frequencies: Frequencies::new(config),
        }
    }

    /// Logits `[batch, tokens, vocab]` of ids `[batch, tokens]`.
    ///
    /// See [`Self::hidden_states`] for `positions` and `mask`.
    pub fn forward(
        &self,
        input_ids: Tensor<2, Int>,
        positions: Option<Tensor<2, Int>>,
        mask: Option<Tensor<4, Bool>>,
    ) -> Tensor<3> {
        self.logits(self.hidden_states(input_ids, positions, mask))
    }

    /// Final normalised states `[batch, tokens, hidden]` of ids `[batch, tokens]`.
    ///
    /// - `positions` `[batch, tokens]`: rotary positions; `0..tokens` when absent.
    /// - `mask` `[batch, 1, tokens, tokens]` (batch may be 1): **true hides** the
    ///   key (last axis) from the query; it must include causality, as
    ///   [`segment_mask`] and [`padding_mask`] do. Causal when absent.
    ///
    /// Differentiable when the model is on an autodiff device.
    pub fn hidden_states(
        &self,
        input_ids: Tensor<2, Int>,
        positions: Option<Tensor<2, Int>>,
        mask: Option<Tensor<4, Bool>>,
    ) -> Tensor<3> {
        let around = self.around(&input_ids, positions, mask);
        let mut x = self.embedded(input_ids);
        for index in 0..self.layers.len() {
            x = self.layer(index, x, &around);
        }
        rms_norm(&self.norm, x)
    }

    /// What each layer of [`Self::hidden_states`] is told beside its states.
    pub fn around(
        &self,
        input_ids: &Tensor<2, Int>,
        positions: Option<Tensor<2, Int>>,
        mask: Option<Tensor<4, Bool>>,
    ) -> Around {
        let [_, tokens] = input_ids.dims();
        let device = input_ids.device();
        let is_plain = positions.is_none() && mask.is_none();
        let whole = is_plain && training::serves(&self.norm.gamma.val());
        let positions = positions.unwrap_or_else(|| arange(0, tokens, &device));
        Around {
            whole: whole.then(|| Turns::new(tokens, &self.frequencies)),
            rotary: Rotary::new(positions, &self.frequencies),
            bias: mask.map_or_else(|| causal_bias(0, tokens, &device), score_bias),
        }
    }

    /// States `[batch, tokens, hidden]` before the first layer.
    pub fn embedded(&self, input_ids: Tensor<2, Int>) -> Tensor<3> {
        self.embed_tokens.forward(input_ids)
    }

    /// Layer `index` alone; the last one's states go through `norm`.
    pub fn layer(&self, index: usize, x: Tensor<3>, around: &Around) -> Tensor<3> {
        let layer = &self.layers[index];
        around
            .whole
            .as_ref()
            .and_then(|turns| layer.forward_whole(x.clone(), turns))
            .unwrap_or_else(|| layer.forward(x, &around.rotary, Some(&around.bias), None))
    }

    /// Final states `[batch, tokens, hidden]` of new tokens that follow what
    /// `cache` holds; the cache then holds them too.
    ///
    /// - `positions` `[batch, tokens]`; they go on from the cache's length when absent.
    /// - `mask` `[batch, 1, tokens, cached + tokens]`, true hides; causal when absent.
    pub fn forward_cached(
        &self,
        input_ids: Tensor<2, Int>,
        positions: Option<Tensor<2, Int>>,
        mask: Option<Tensor<4, Bool>>,
        cache: &mut KvCache,
    ) -> Tensor<3> {
        let [_, tokens] = input_ids.dims();
        let device = input_ids.device();
        let past = cache.len();
        let positions = positions.unwrap_or_else(|| arange(past, tokens, &device));
        // One new token sees every earlier one.
        let causal = || (tokens > 1).then(|| causal_bias(past, tokens, &device));
        let bias = mask.map_or_else(causal, |mask| Some(score_bias(mask)));
        self.run(input_ids, positions, bias, Some(cache))
    }

    /// Logits `[batch, tokens, vocab]` of final states `[batch, tokens, hidden]`.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        match &self.lm_head {
            Some(head) => head.forward(hidden),
            None => burn::tensor::module::linear(
                hidden,
                self.embed_tokens.weight.val().transpose(),
                None,
            ),
        }
    }

    fn run(
        &self,
        input_ids: Tensor<2, Int>,
        positions: Tensor<2, Int>,
        bias: Option<Tensor<5>>,
        mut cache: Option<&mut KvCache>,
    ) -> Tensor<3> {
        let rotary = Rotary::new(positions, &self.frequencies);
        let mut x = self.embed_tokens.forward(input_ids);
        if let Some(cache) = cache.as_deref_mut() {
            cache.moved();
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let layer_cache = cache
                .as_deref_mut()
                .and_then(|cache| cache.layers.get_mut(index));
            x = layer.forward(x, &rotary, bias.as_ref(), layer_cache);
        }
        rms_norm(&self.norm, x)
    }
}

/// The mask of sequences packed into rows: a token sees itself and the earlier
/// tokens of its own segment.
///
/// `segments` `[batch, tokens]` numbers the sequences of a row; the result
/// `[batch, 1, tokens, tokens]` is true where the key is hidden.
pub fn segment_mask(segments: Tensor<2, Int>) -> Tensor<4, Bool> {
    let [batch, tokens] = segments.dims();
    let device = segments.device();
    let rows = segments
        .clone()
        .reshape([batch, 1, tokens, 1])
        .expand([batch, 1, tokens, tokens]);
    let columns = segments
        .reshape([batch, 1, 1, tokens])
        .expand([batch, 1, tokens, tokens]);
    let causal = causal_mask(0, tokens, &device).expand([batch, 1, tokens, tokens]);
    rows.not_equal(columns).bool_or(causal)
}

/// Positions `[batch, tokens]` and mask `[batch, 1, tokens, tokens]` of a padded
/// batch. `attention_mask` `[batch, tokens]` is 1 on tokens and 0 on padding, on
/// either side, as in `transformers`; a row's first token has position 0.
pub fn padding_mask(attention_mask: Tensor<2, Int>) -> (Tensor<2, Int>, Tensor<4, Bool>) {
    let [batch, tokens] = attention_mask.dims();
    let device = attention_mask.device();
    let positions = (attention_mask.clone().cumsum(1) - 1).clamp_min(0);
    let padded = attention_mask
        .equal_elem(0)
        .reshape([batch, 1, 1, tokens])
        .expand([batch, 1, tokens, tokens]);
    let causal = causal_mask(0, tokens, &device).expand([batch, 1, tokens, tokens]);
    (positions, padded.bool_or(causal))
}

/// `[1, 1, tokens, past + tokens]`, true above the diagonal.
fn causal_mask(past: usize, tokens: usize, device: &Device) -> Tensor<4, Bool> {
    // `tril_mask` is true strictly above the shifted diagonal.
    Tensor::<2, Bool>::tril_mask([tokens, past + tokens], past as i64, device).unsqueeze()
}

fn arange(start: usize, tokens: usize, device: &Device) -> Tensor<2, Int> {
    Tensor::<1, Int>::arange(start as i64..(start + tokens) as i64, device).unsqueeze()
}

/// `[1, 1, 1, tokens, past + tokens]`, zero where a key may be seen. Every token
/// sees itself, so what is hidden can be infinitely far away: the exponential of
/// infinity costs nothing, that of a large number is slow in the C library.
pub fn causal_bias(past: usize, tokens: usize, device: &Device) -> Tensor<5> {
    let hidden = causal_mask(past, tokens, device);
    Tensor::<4>::zeros([1, 1, tokens, past + tokens], device)
        .mask_fill(hidden, f32::NEG_INFINITY)
        .unsqueeze_dim(2)
}

/// `[batch, 1, 1, tokens, keys]`, zero where a key may be seen, of a mask
/// `[batch, 1, tokens, keys]` whose `true` hides. Added to the scores, and not
/// handed to the device's own attention: burn-tch 0.22 would pass it to torch,
/// where `true` means the opposite.
pub fn score_bias(mask: Tensor<4, Bool>) -> Tensor<5> {
    let [batch, heads, tokens, keys] = mask.dims();
    mask.float()
        .mul_scalar(HIDDEN)
        .reshape([batch, heads, 1, tokens, keys])
}

/// `tokens` as one row of the model's input, `[1, tokens]`.
pub(crate) fn token_ids(tokens: &[u32], device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i64> = tokens.iter().map(|&token| i64::from(token)).collect();
    let shape = [1, ids.len()];
    Tensor::from_data(TensorData::new(ids, shape), device)
}
