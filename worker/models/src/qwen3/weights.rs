//! The model's weights as a table: Hugging Face name, shape, parameter.

use burn::module::{Initializer, Param};
use burn::nn::LinearConfig;
use burn::tensor::{Device, Tensor};

use super::{config::Qwen3Config, layer::FeedForward, mlp::Mlp, model::Qwen3};
use crate::lora::Linear;

/// Name and shape of one tensor of the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightSpec {
    /// As in Hugging Face, e.g. `model.layers.0.mlp.up_proj.weight`.
    pub name: String,
    /// As in the file: projections are `[out, in]`.
    pub shape: Vec<usize>,
}

/// A parameter of the model, by the kind of tensor that the file holds for it.
#[derive(Debug)]
pub enum Slot<'a> {
    /// A projection: `[out, in]` in the file, `[in, out]` here.
    Projection(&'a mut Param<Tensor<2>>),
    /// The embedding, the same both sides.
    Embedding(&'a mut Param<Tensor<2>>),
    /// A norm's scale.
    Scale(&'a mut Param<Tensor<1>>),
}

/// A bias-free projection `[input, output]` with the model's initial spread.
pub(super) fn projection(
    config: &Qwen3Config,
    input: usize,
    output: usize,
    device: &Device,
) -> Linear {
    LinearConfig::new(input, output)
        .with_bias(false)
        .with_initializer(normal(config))
        .init(device)
        .into()
}

pub(super) fn normal(config: &Qwen3Config) -> Initializer {
    Initializer::Normal {
        mean: 0.0,
        std: config.initializer_range,
    }
}

/// Every tensor of a checkpoint with this configuration, in the model's order.
pub fn weight_specs(config: &Qwen3Config) -> Vec<WeightSpec> {
    let hidden = config.hidden_size;
    let query = config.num_attention_heads * config.head_dim;
    let key = config.num_key_value_heads * config.head_dim;
    let head = config.head_dim;
    let mut specs = vec![spec("model.embed_tokens", &[config.vocab_size, hidden])];
    for layer in 0..config.num_hidden_layers {
        let at = |part: &str| format!("model.layers.{layer}.{part}");
        specs.extend([
            spec(&at("self_attn.q_proj"), &[query, hidden]),
            spec(&at("self_attn.k_proj"), &[key, hidden]),
            spec(&at("self_attn.v_proj"), &[key, hidden]),
            spec(&at("self_attn.o_proj"), &[hidden, query]),
            spec(&at("self_attn.q_norm"), &[head]),
            spec(&at("self_attn.k_norm"), &[head]),
        ]);
        match config.sparse(layer) {
            None => specs.extend(mlp_specs(&at("mlp"), hidden, config.intermediate_size)),
            Some(moe) => {
                specs.push(spec(&at("mlp.gate"), &[moe.num_experts, hidden]));
                for expert in 0..moe.num_experts {
                    let module = at(&format!("mlp.experts.{expert}"));
                    specs.extend(mlp_specs(&module, hidden, moe.moe_intermediate_size));
                }
            }
        }
        specs.extend([
            spec(&at("input_layernorm"), &[hidden]),
            spec(&at("post_attention_layernorm"), &[hidden]),
        ]);
    }
    specs.push(spec("model.norm", &[hidden]));
    if !config.tie_word_embeddings {
        specs.push(spec("lm_head", &[config.vocab_size, hidden]));
    }
    specs
}

fn mlp_specs(module: &str, hidden: usize, inner: usize) -> [WeightSpec; 3] {
    [
        spec(&format!("{module}.gate_proj"), &[inner, hidden]),
        spec(&format!("{module}.up_proj"), &[inner, hidden]),
        spec(&format!("{module}.down_proj"), &[hidden, inner]),
    ]
}

fn spec(module: &str, shape: &[usize]) -> WeightSpec {
    WeightSpec {
        name: format!("{module}.weight"),
        shape: shape.to_vec(),
    }
}

fn mlp_slots(mlp: &mut Mlp) -> [Slot<'_>; 3] {
    [
        Slot::Projection(&mut mlp.gate_proj.weight),
        Slot::Projection(&mut mlp.up_proj.weight),
        Slot::Projection(&mut mlp.down_proj.weight),
    ]
}

impl Qwen3 {
    /// The parameters in the order of [`weight_specs`].
    pub fn slots(&mut self) -> Vec<Slot<'_>> {
        let mut slots = vec![Slot::Embedding(&mut self.embed_tokens.weight)];
        for layer in &mut self.layers {
            let attention = &mut layer.self_attn;
            slots.extend([
                Slot::Projection(&mut attention.q_proj.weight),
                Slot::Projection(&mut attention.k_proj.weight),
                Slot::Projection(&mut attention.v_proj.weight),
                Slot::Projection(&mut attention.o_proj.weight),
                Slot::Scale(&mut attention.q_norm.gamma),
                Slot::Scale(&mut attention.k_norm.gamma),
            ]);
            match &mut layer.mlp {
                FeedForward::Dense(mlp) => slots.extend(mlp_slots(mlp)),
                FeedForward::Sparse(moe) => {
                    slots.push(Slot::Projection(&mut moe.gate.weight));
                    slots.extend(moe.experts.iter_mut().flat_map(mlp_slots));
                }
            }
            slots.extend([
                Slot::Scale(&mut layer.input_layernorm.gamma),
                Slot::Scale(&mut layer.post_attention_layernorm.gamma),
            ]);
        }
        slots.push(Slot::Scale(&mut self.norm.gamma));
        if let Some(head) = &mut self.lm_head {
            slots.push(Slot::Projection(&mut head.weight));
        }
        slots
    }
}
