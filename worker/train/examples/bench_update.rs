//! Times updates of a policy with random weights, drawn on the device itself.
//!
//! `bench_update CONFIG DEVICE TOKENS ANSWERS UPDATES full|lora[:RANK] [keep|recompute]`
//! learns with GRPO from `ANSWERS` answers of `TOKENS` tokens, prompts included, each in a
//! micro-batch of its own, with a Qwen3 of the shapes in the file `CONFIG`. Prints one
//! line of JSON. Its shapes are those of `infra/bench/gpu.py`.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};
use illumine_models::device::parse_device_and_precision;
use illumine_models::{Qwen3, Qwen3Config};
use illumine_train::lora::{self, LoraOptions};
use illumine_train::rl::{Answer, Learner, LearnerConfig, Numbers};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [config, device, tokens, answers, updates, what, rest @ ..] = &arguments[..] else {
        return Err("CONFIG DEVICE TOKENS ANSWERS UPDATES full|lora[:RANK] are needed".into());
    };
    let config: Qwen3Config = serde_json::from_str(&std::fs::read_to_string(Path::new(config))?)?;
    let (device, precision) = parse_device_and_precision(device)?;
    let numbers = match precision.module_dtype() {
        DType::BF16 => Numbers::Bf16,
        _ => Numbers::F32,
    };
    let (tokens, count, updates): (usize, usize, u64) =
        (tokens.parse()?, answers.parse()?, updates.parse()?);
    let options = match what.split_once(':') {
        None if what == "full" => None,
        Some(("lora", rank)) => Some(LoraOptions {
            rank: rank.parse()?,
            ..LoraOptions::default()
        }),
        None if what == "lora" => Some(LoraOptions::default()),
        _ => return Err(format!("`{what}`: full, lora or lora:RANK").into()),
    };
    let learning = LearnerConfig {
        max_answer_tokens: tokens,
        tokens_per_micro_batch: tokens,
        precision: numbers,
        recompute: rest.first().is_none_or(|how| how == "recompute"),
        lora: options.clone(),
        ..LearnerConfig::default()
    };
    let mut model = Qwen3::init(&config, &device.clone().autodiff());
    if let Some(options) = &options {
        if numbers == Numbers::Bf16 {
            model = model.map(&mut Rounded);
        }
        model = lora::begin(model, options, 0);
    }
    let mut learner = Learner::new(learning, model, config.clone(), &device);
    let answers: Vec<Answer> = (0..count)
        .map(|answer| Answer {
            ids: (0..tokens)
                .map(|i| ((i + 1) * (answer + 7919) % config.vocab_size) as u32)
                .collect(),
            prompt_tokens: 64.min(tokens / 2),
            old_logp: None,
            reference: None,
            advantage: if answer % 2 == 0 { 1.0 } else { -1.0 },
        })
        .collect();
    let mut seconds = Vec::new();
    for step in 0..=updates {
        let started = Instant::now();
        let metrics = learner.update(&answers, 1e-6, step)?;
        eprintln!(
            "update {step}: {:?}, loss {:.5}, norm {:.4}",
            started.elapsed(),
            metrics.loss,
            metrics.grad_norm
        );
        seconds.push(started.elapsed().as_secs_f64());
    }
    // The first also chooses kernels.
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    let median = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    let all = (tokens * count) as f64;
    println!(
        "{{\"update_s\": {median:.3}, \"tokens_per_s\": {:.1}}}",
        all / median
    );
    Ok(())
}

/// As a base under low-rank changes is kept.
struct Rounded;

impl ModuleMapper for Rounded {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let id = param.id;
        Param::initialized(id, param.val().cast(DType::BF16))
    }
}
