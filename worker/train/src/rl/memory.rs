//! What a run needs of a CPU's memory, estimated before it starts.

use burn::tensor::Device;
use illumine_models::Qwen3Config;
use illumine_models::engine::free_memory;
use illumine_models::lora::sites;
use illumine_models::qwen3::weights::weight_specs;

use super::learner::{LearnerConfig, Numbers};
use crate::error::{Result, TrainError};
use crate::lanes::Lanes;

/// Bytes of a number.
const F32: u64 = 4;
/// Of what is learnt: the sum of gradients and two moments.
const LEARNT: u64 = 3;
/// Tokens of a prompt; most are shorter.
const PROMPT: usize = 128;

/// Refuses a run of so many processes that does not fit into the memory that is free on a
/// CPU. What a GPU has free is not known here.
///
/// # Errors
/// [`TrainError::Config`] with both numbers and what to lower.
pub fn check(
    model: &Qwen3Config,
    learner: &LearnerConfig,
    device: &Device,
    processes: usize,
) -> Result<()> {
    let lanes = Lanes::number(device, processes);
    match free_memory().filter(|_| *device == Device::flex()) {
        Some(free) => fits(model, learner, lanes, free / processes as u64),
        None => Ok(()),
    }
}

fn fits(model: &Qwen3Config, learner: &LearnerConfig, lanes: usize, free: u64) -> Result<()> {
    let needs = estimate(model, learner, lanes);
    if needs <= free {
        return Ok(());
    }
    let least = LearnerConfig {
        tokens_per_micro_batch: 1,
        ..learner.clone()
    };
    let (gigabytes, weights) = (
        |bytes: u64| bytes as f64 / 1e9,
        of_weights(model, learner, lanes),
    );
    let remedy = match estimate(model, &least, lanes) <= free {
        true if learner.recompute => "lower `tokens_per_micro_batch`",
        true => "lower `tokens_per_micro_batch`, or set `recompute`",
        false if weights <= free => "lower `max_answer_tokens`, or train on a machine with more",
        false => "its weights, gradients and moments alone do not fit: take a smaller model",
    };
    Err(TrainError::Config {
        field: "model",
        reason: format!(
            "the run needs about {:.1} GB of memory, {:.1} of them for weights and optimizer, and \
             {:.1} GB are free: {remedy}",
            gigabytes(needs),
            gigabytes(weights),
            gigabytes(free),
        ),
    })
}

/// Bytes of a run at its largest: weights and all that is kept of them, and what each lane
/// keeps of a micro-batch from its way forward for its way back.
fn estimate(model: &Qwen3Config, learner: &LearnerConfig, lanes: usize) -> u64 {
    // A longer answer has a micro-batch to itself.
    let width = learner.max_answer_tokens.saturating_add(PROMPT);
    let tokens = learner.tokens_per_micro_batch.max(width) as u64;
    let (heads, kv_heads) = (model.num_attention_heads, model.num_key_value_heads);
    // Norms and residuals; queries, keys, values, their rotations and contexts; scores and
    // their softmax; the gate, its activation and the product.
    let layer = match learner.precision {
        // Our own code keeps no score (`illumine_models::qwen3::training`).
        Numbers::F32 => {
            5 * model.hidden_size
                + 3 * (heads + kv_heads) * model.head_dim
                + 3 * model.intermediate_size
        }
        Numbers::Bf16 => {
            8 * model.hidden_size
                + 4 * (heads + 2 * kv_heads) * model.head_dim
                + 3 * heads * width
                + 4 * model.intermediate_size
        }
    };
    // Recomputed, the input of each layer and all of one.
    let of_layers = match learner.recompute {
        true => model.num_hidden_layers * model.hidden_size + layer,
        false => model.num_hidden_layers * layer,
    };
    let of_token = of_layers as u64 * computed_in(learner) + 3 * model.vocab_size as u64 * F32;
    of_weights(model, learner, lanes) + lanes as u64 * tokens * of_token
}

fn of_weights(model: &Qwen3Config, learner: &LearnerConfig, lanes: usize) -> u64 {
    let count = count(model);
    let reference = u64::from(learner.objective.kl_weight != 0.0);
    let learnt = match &learner.lora {
        Some(options) => sites(model)
            .iter()
            .filter(|site| options.changes(&site.name))
            .map(|site| (site.input + site.output) * options.rank)
            .sum(),
        None => count as usize,
    };
    let (learnt, lanes) = (learnt as u64, lanes as u64);
    let number = computed_in(learner);
    // The policy's and the reference's; each lane's rounded ones, where they are not kept
    // so; and the engine's that writes.
    let base = learner.precision.of_base(learner.lora.as_ref()).size() as u64;
    let rounded = if number == base { 0 } else { lanes * number };
    let copies = count * ((1 + reference) * base + rounded + F32);
    // Each lane holds gradients of its own.
    copies + learnt * (LEARNT * F32 + lanes * number)
}

/// Weights of a model.
fn count(model: &Qwen3Config) -> u64 {
    let specs = weight_specs(model);
    let sizes = specs
        .iter()
        .map(|spec| spec.shape.iter().product::<usize>());
    sizes.sum::<usize>() as u64
}

/// Bytes of a number on the way through the policy and back.
fn computed_in(learner: &LearnerConfig) -> u64 {
    learner.precision.dtype().size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn low_rank_changes_need_less_than_the_weights() {
        let full = LearnerConfig::default();
        let low_rank = LearnerConfig {
            lora: Some(crate::lora::LoraOptions::default()),
            ..full.clone()
        };
        let [full, low_rank] = [full, low_rank].map(|learner| of_weights(&demo(), &learner, 2));
        assert!(low_rank < full, "{low_rank} and {full}");
    }

    #[test]
    fn bf16_halves_a_base_that_is_not_learnt_and_keeps_scores() {
        let with = |precision, lora: bool| LearnerConfig {
            precision,
            lora: lora.then(crate::lora::LoraOptions::default),
            ..LearnerConfig::default()
        };
        let weights = |learner: &LearnerConfig| of_weights(&demo(), learner, 1);
        let (f32, bf16) = (with(Numbers::F32, true), with(Numbers::Bf16, true));
        assert!(weights(&bf16) < weights(&f32));
        let (f32, bf16) = (with(Numbers::F32, false), with(Numbers::Bf16, false));
        // A rounded copy beside the weights that are learnt, which stay f32.
        assert!(weights(&bf16) > weights(&f32) - count(&demo()) * F32);
        let all = |learner: &LearnerConfig| estimate(&demo(), learner, 1);
        assert!(all(&bf16) > all(&f32), "{} {}", all(&bf16), all(&f32));
    }

    /// The demo policy's shape.
    fn demo() -> Qwen3Config {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/demo-policy");
        let folder = illumine_models::load::ModelFolder::open(std::path::Path::new(path));
        folder.unwrap().config
    }

    #[test]
    fn the_estimate_is_near_what_was_measured() {
        // 0.79 GB resident after a step of two lanes, of which 0.25 GB are program, tools and
        // pictures; 4,096 tokens a micro-batch, answers of at most 400.
        let learner = LearnerConfig {
            max_answer_tokens: 400,
            ..LearnerConfig::default()
        };
        let estimate = estimate(&demo(), &learner, 2) as f64 / 1e9;
        assert!((0.4..1.0).contains(&estimate), "{estimate}");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_to_lower() {
        let learner = LearnerConfig::default();
        let demo = demo();
        fits(&demo, &learner, 2, 8 << 30).unwrap();
        let refusal = |free: u64| {
            let error = fits(&demo, &learner, 2, free).unwrap_err();
            assert_eq!(error.code(), "train_config_invalid");
            error.to_string()
        };
        assert!(refusal(400 << 20).contains("`tokens_per_micro_batch`"));
        assert!(refusal(100 << 20).contains("`max_answer_tokens`"));
        let words = refusal(10 << 20);
        assert!(
            words.contains("smaller model") && words.contains("GB are free"),
            "{words}"
        );
    }
}
