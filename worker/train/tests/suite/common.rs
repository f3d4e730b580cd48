//! A tiny model and fixed examples.

use std::path::PathBuf;

use burn::tensor::Tensor;
use illumine_models::qwen3::weights::{Slot, weight_specs};
use illumine_models::{Qwen3, Qwen3Config};
use illumine_train::Result;
use illumine_train::sft::{ExampleSource, SftConfig};
use illumine_train::tokenizer::chat::Encoded;

pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The same examples over and over.
#[derive(Debug)]
pub struct Fixed(pub Vec<Encoded>);

impl ExampleSource for Fixed {
    fn example(&self, index: u64, _progress: f64) -> Result<Encoded> {
        Ok(self.0[index as usize % self.0.len()].clone())
    }
}

pub fn tiny_config() -> Qwen3Config {
    Qwen3Config {
        vocab_size: 32,
        hidden_size: 16,
        intermediate_size: 24,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 8,
        tie_word_embeddings: true,
        max_position_embeddings: 64,
        initializer_range: 0.2,
        ..Qwen3Config::default()
    }
}

/// Examples of several lengths; each token follows from the one before it.
pub fn examples(count: usize) -> Fixed {
    let example = |index: usize| Encoded {
        ids: (0..6 + index % 5)
            .map(|token| ((index * 7 + token * 3) % 32) as u32)
            .collect(),
        prompt_tokens: 2 + index % 2,
    };
    Fixed((0..count).map(example).collect())
}

pub fn tiny_run() -> SftConfig {
    SftConfig {
        learning_rate: 1e-2,
        warmup_steps: 2,
        tokens_per_step: 30,
        tokens_per_micro_batch: 20,
        max_tokens: 24,
        log_every: 1,
        checkpoint_every: 1000,
        ..SftConfig::default()
    }
}

/// Every weight by its Hugging Face name, `[out, in]`.
pub fn weights(model: &Qwen3, config: &Qwen3Config) -> Vec<(String, Vec<f32>)> {
    let mut model = model.clone();
    let specs = weight_specs(config);
    let slots = model.slots();
    let read = |tensor: Tensor<2>| tensor.into_data().try_into_vec::<f32>().unwrap();
    specs
        .into_iter()
        .zip(slots)
        .map(|(spec, slot)| {
            let values = match slot {
                Slot::Projection(param) => read(param.val().inner().transpose()),
                Slot::Embedding(param) => read(param.val().inner()),
                Slot::Scale(param) => read(param.val().inner().unsqueeze_dim(0)),
            };
            (spec.name, values)
        })
        .collect()
}

pub fn largest_difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter()
        .zip(right)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}
