//! Three updates against PyTorch's, see infra/parity/sft.py.

use crate::common::{Fixed, fixtures, largest_difference, weights};
use burn::tensor::Device;
use illumine_models::load::{ModelFolder, SafetensorsFile};
use illumine_train::sft::{Budget, Layout, SftConfig, Trainer};
use illumine_train::tokenizer::chat::Encoded;
use serde_json::Value;

fn check(layout: Layout, tokens_per_micro_batch: usize) {
    let folder = fixtures().join("sft");
    let run: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("run.json")).unwrap()).unwrap();
    let examples = run["examples"].as_array().unwrap().iter().map(|example| {
        let ids = example["ids"].as_array().unwrap();
        Encoded {
            ids: ids.iter().map(|id| id.as_u64().unwrap() as u32).collect(),
            prompt_tokens: example["prompt_tokens"].as_u64().unwrap() as usize,
        }
    });
    let device = Device::flex();
    let loaded = ModelFolder::open(&folder.join("model")).unwrap();
    let model = loaded.load_model(&device.clone().autodiff()).unwrap();
    let config = SftConfig {
        learning_rate: 1e-2,
        final_lr_share: 0.1,
        warmup_steps: 2,
        weight_decay: 0.1,
        epsilon: 1e-8,
        max_grad_norm: 0.5,
        tokens_per_step: run["tokens_per_step"].as_u64().unwrap() as usize,
        tokens_per_micro_batch,
        max_tokens: 28,
        layout,
        budget: Budget::Steps(3),
        ..SftConfig::default()
    };
    let source = Fixed(examples.collect());
    let model_config = loaded.config.clone();
    let mut trainer =
        Trainer::new(config, model_config.clone(), Some(model), source, &device).unwrap();

    for expected in run["steps"].as_array().unwrap() {
        let metrics = trainer.step().unwrap();
        let near = |name: &str, value: f64| {
            let reference = expected[name].as_f64().unwrap();
            assert!(
                (value - reference).abs() < 1e-4,
                "{name}: {value}, {reference}"
            );
        };
        near("loss", metrics.loss);
        near("grad_norm", metrics.grad_norm);
        near("lr", metrics.lr);
    }
    let mut reference = SafetensorsFile::open(&folder.join("after.safetensors")).unwrap();
    for (name, values) in weights(&trainer.model, &model_config) {
        let expected = reference.read(&name).unwrap().1;
        let difference = largest_difference(&values, &expected);
        assert!(difference < 1e-4, "{name}: {difference}");
    }
}

#[test]
fn one_micro_batch_of_padded_rows() {
    check(Layout::Bucket, 1000);
}

#[test]
fn gradients_accumulated_over_micro_batches() {
    check(Layout::Bucket, 20);
}

#[test]
fn several_examples_a_row() {
    check(Layout::Pack, 1000);
}
