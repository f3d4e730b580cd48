//! Three updates of each objective against PyTorch's, see infra/parity/rl.py.

use crate::common::{fixtures, largest_difference, weights};
use burn::tensor::{DType, Device};
use illumine_models::load::{ModelFolder, SafetensorsFile};
use illumine_train::lora::LoraOptions;
use illumine_train::optim::AdamWOptions;
use illumine_train::rl::{
    Aggregation, Answer, KlEstimate, Learner, LearnerConfig, Numbers, Objective, UpdateMetrics,
};
use serde_json::Value;

pub const RATE: f64 = 5e-3;

fn numbers(value: &Value) -> Vec<f32> {
    let numbers = value.as_array().unwrap().iter();
    numbers
        .map(|number| number.as_f64().unwrap() as f32)
        .collect()
}

fn answer(value: &Value) -> Answer {
    let ids = value["ids"].as_array().unwrap().iter();
    Answer {
        ids: ids.map(|id| id.as_u64().unwrap() as u32).collect(),
        prompt_tokens: value["prompt_tokens"].as_u64().unwrap() as usize,
        old_logp: Some(numbers(&value["old_logp"])),
        reference: Some(numbers(&value["reference"])),
        advantage: value["advantage"].as_f64().unwrap(),
    }
}

pub fn learner_config(
    objective: Objective,
    temperature: f64,
    tokens_per_micro_batch: usize,
) -> LearnerConfig {
    LearnerConfig {
        objective,
        optimizer: AdamWOptions {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.1,
            max_norm: 0.7,
            muon: false,
        },
        temperature,
        max_answer_tokens: 12,
        tokens_per_micro_batch,
        recompute: false,
        precision: Numbers::F32,
        lora: None,
    }
}

fn learner(
    objective: Objective,
    temperature: f64,
    tokens_per_micro_batch: usize,
    recompute: bool,
) -> Learner {
    let device = Device::flex();
    let folder = ModelFolder::open(&fixtures().join("sft/model")).unwrap();
    let model = folder.load_model(&device.clone().autodiff()).unwrap();
    let config = LearnerConfig {
        recompute,
        ..learner_config(objective, temperature, tokens_per_micro_batch)
    };
    Learner::new(config, model, folder.config.clone(), &device)
}

/// Whether an update says the same as the reference's.
pub fn near(name: &str, step: usize, expected: &Value, metrics: &UpdateMetrics) {
    for (key, value) in [
        ("loss", metrics.loss),
        ("grad_norm", metrics.grad_norm),
        ("entropy", metrics.entropy),
        ("kl", metrics.kl),
        ("clip_share", metrics.clip_share),
        ("moved", metrics.moved),
    ] {
        let reference = expected[key].as_f64().unwrap();
        let tolerance = 1e-4 * reference.abs().max(1.0);
        assert!(
            (value - reference).abs() < tolerance,
            "{name}, step {step}, {key}: {value}, {reference}"
        );
    }
}

fn check(name: &str, objective: Objective, temperature: f64) {
    // All at once, and gradients that are summed over small parts.
    for tokens_per_micro_batch in [1000, 20] {
        check_split(name, &objective, temperature, tokens_per_micro_batch, false);
    }
    // And layer by layer, with activations that are computed again.
    check_split(name, &objective, temperature, 20, true);
}

/// The reference's runs, and the answers of each update.
pub fn runs() -> (Value, Vec<Vec<Answer>>) {
    let path = fixtures().join("rl/runs.json");
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let answers = fixture["answers"].as_array().unwrap().iter().map(answer);
    let answers: Vec<Answer> = answers.collect();
    let per_step = fixture["per_step"].as_u64().unwrap() as usize;
    let batches = answers.chunks(per_step).map(<[Answer]>::to_vec).collect();
    (fixture, batches)
}

fn check_split(name: &str, objective: &Objective, temperature: f64, most: usize, recompute: bool) {
    let (fixture, batches) = runs();
    let mut learner = learner(objective.clone(), temperature, most, recompute);
    let steps = fixture["runs"][name].as_array().unwrap();
    for (step, (expected, batch)) in steps.iter().zip(&batches).enumerate() {
        let metrics = learner.update(batch, RATE, step as u64).unwrap();
        near(name, step, expected, &metrics);
    }
    let after = fixtures().join(format!("rl/{name}.safetensors"));
    let mut reference = SafetensorsFile::open(&after).unwrap();
    for (weight, values) in weights(&learner.model, learner.model_config()) {
        let expected = reference.read(&weight).unwrap().1;
        let difference = largest_difference(&values, &expected);
        assert!(difference < 1e-4, "{name}, {weight}: {difference}");
    }
}

fn plain() -> Objective {
    Objective {
        dual_clip: None,
        ..Objective::grpo()
    }
}

#[test]
fn grpo_with_its_dual_clip() {
    let objective = Objective {
        dual_clip: Some(3.0),
        ..Objective::grpo()
    };
    check("grpo", objective, 1.0);
}

#[test]
fn dapo_clips_higher_and_pays_for_entropy() {
    let objective = Objective {
        clip_high: 0.28,
        entropy_weight: 0.01,
        ..plain()
    };
    check("dapo", objective, 1.0);
}

#[test]
fn dr_grpo_divides_by_the_limit() {
    let objective = Objective {
        aggregation: Aggregation::SeqMeanTokenSumNorm,
        ..plain()
    };
    check("dr_grpo", objective, 1.0);
}

#[test]
fn gspo_compares_whole_answers() {
    let objective = Objective {
        clip_low: 3e-2,
        clip_high: 4e-2,
        ..Objective::gspo()
    };
    check("gspo", objective, 1.0);
}

#[test]
fn a_reference_policy_holds_back() {
    let with = |kl_estimate, aggregation| Objective {
        kl_weight: 0.1,
        kl_estimate,
        aggregation,
        ..plain()
    };
    check("kl_k1", with(KlEstimate::K1, Aggregation::TokenMean), 1.0);
    check(
        "kl_k2",
        with(KlEstimate::K2, Aggregation::SeqMeanTokenMean),
        1.0,
    );
    check("kl_k3", with(KlEstimate::K3, Aggregation::TokenMean), 0.7);
}

/// Computed in bf16: the reference's figures but for rounding, and weights that stay f32, so
/// that updates far below a step of bf16 are not lost.
#[test]
fn bf16_comes_near_and_small_updates_add_up() {
    let (fixture, batches) = runs();
    for recompute in [false, true] {
        let mut learner = in_bf16(recompute, None);
        let before = weights(&learner.model, learner.model_config());
        let rounded = |value: f32| half::bf16::from_f32(value).to_f32();
        let expected = &fixture["runs"]["grpo"].as_array().unwrap()[0];
        let metrics = learner.update(&batches[0], 1e-6, 0).unwrap();
        for (key, value, within) in [
            ("loss", metrics.loss, 0.05),
            ("grad_norm", metrics.grad_norm, 0.1),
            ("entropy", metrics.entropy, 0.05),
        ] {
            let reference = expected[key].as_f64().unwrap();
            let difference = (value - reference).abs() / reference.abs().max(0.1);
            assert!(difference < within, "{key}: {value}, {reference}");
            assert!(difference > 0.0, "{key} is what f32 gives");
        }
        let after = weights(&learner.model, learner.model_config());
        let (mut moved, mut lost) = (0, 0);
        for ((_, before), (_, after)) in before.iter().zip(&after) {
            for (a, b) in before.iter().zip(after) {
                moved += usize::from(a != b);
                lost += usize::from(a != b && rounded(*a) == rounded(*b));
            }
        }
        assert!(lost > 1000 && lost * 10 > moved * 9, "{lost} of {moved}");
    }
}

/// Low-rank changes stay f32 beside weights that are kept in bf16 alone.
#[test]
fn low_rank_changes_learn_beside_bf16_weights() {
    let (_, batches) = runs();
    let options = LoraOptions {
        rank: 2,
        ..LoraOptions::default()
    };
    let mut learner = in_bf16(false, Some(options));
    let kept = |learner: &Learner| learner.model.layers[0].self_attn.q_proj.clone();
    assert_eq!(kept(&learner).weight.val().dtype(), DType::BF16);
    let metrics = learner.update(&batches[0], 1e-3, 0).unwrap();
    assert!(metrics.grad_norm > 0.0 && metrics.loss.is_finite());
    let lora = kept(&learner).lora.unwrap();
    assert_eq!(lora.b.val().dtype(), DType::F32);
    let changes = lora.b.val().into_data().try_to_vec::<f32>().unwrap();
    assert!(changes.iter().any(|value| *value != 0.0));
    // Written with the changes worked in, in f32.
    let merged = illumine_train::lora::merged(&learner.model);
    assert_eq!(
        merged.layers[0].self_attn.q_proj.weight.val().dtype(),
        DType::F32
    );
}

fn in_bf16(recompute: bool, lora: Option<LoraOptions>) -> Learner {
    let device = Device::flex();
    let folder = ModelFolder::open(&fixtures().join("sft/model")).unwrap();
    let dtype = match lora {
        Some(_) => DType::BF16,
        None => DType::F32,
    };
    let model = folder
        .load_model_as(&device.clone().autodiff(), dtype)
        .unwrap();
    let model = match &lora {
        Some(options) => illumine_train::lora::begin(model, options, 1),
        None => model,
    };
    let objective = Objective {
        dual_clip: Some(3.0),
        ..Objective::grpo()
    };
    let config = LearnerConfig {
        recompute,
        precision: Numbers::Bf16,
        lora,
        ..learner_config(objective, 1.0, 1000)
    };
    Learner::new(config, model, folder.config.clone(), &device)
}

#[test]
fn a_loss_that_is_no_number_leaves_the_weights_alone() {
    let path = fixtures().join("rl/runs.json");
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut bad = answer(&fixture["answers"][0]);
    bad.advantage = f64::NAN;
    let mut learner = learner(Objective::grpo(), 1.0, 1000, false);
    let before = weights(&learner.model, learner.model_config());
    let error = learner.update(&[bad], RATE, 7).unwrap_err();
    assert_eq!(error.code(), "train_diverged");
    assert!(error.to_string().contains("step 7"), "{error}");
    assert_eq!(weights(&learner.model, learner.model_config()), before);
}

#[test]
fn log_probabilities_are_those_of_the_update() {
    let path = fixtures().join("rl/runs.json");
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let answers: Vec<Answer> = fixture["answers"].as_array().unwrap()[..4]
        .iter()
        .map(answer)
        .collect();
    let mut learner = learner(Objective::grpo(), 1.0, 24, false);
    let own = learner.logprobs(&answers).unwrap();
    let answers: Vec<Answer> = answers
        .into_iter()
        .zip(own)
        .map(|(answer, old_logp)| Answer {
            old_logp: Some(old_logp),
            ..answer
        })
        .collect();
    // Nothing has moved before the first update, and all ratios are 1.
    let metrics = learner.update(&answers, RATE, 0).unwrap();
    assert!(
        metrics.moved.abs() < 1e-6 && (metrics.ratio - 1.0).abs() < 1e-6,
        "{metrics:?}"
    );
    assert!(learner.update(&answers, RATE, 1).unwrap().moved.abs() > 1e-4);
}

#[test]
fn an_only_update_needs_no_probabilities_of_before() {
    let path = fixtures().join("rl/runs.json");
    let fixture: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let without: Vec<Answer> = fixture["answers"].as_array().unwrap()[..4]
        .iter()
        .map(answer)
        .map(|answer| Answer {
            old_logp: None,
            ..answer
        })
        .collect();
    // Several micro-batches, which go side by side where there are cores.
    let (mut left, mut right) = (
        learner(Objective::grpo(), 1.0, 24, false),
        learner(Objective::grpo(), 1.0, 24, false),
    );
    let own = left.logprobs(&without).unwrap();
    let with: Vec<Answer> = without
        .iter()
        .cloned()
        .zip(own)
        .map(|(answer, old_logp)| Answer {
            old_logp: Some(old_logp),
            ..answer
        })
        .collect();
    let (with, without) = (
        left.update(&with, RATE, 0).unwrap(),
        right.update(&without, RATE, 0).unwrap(),
    );
    assert!(
        (with.loss - without.loss).abs() < 1e-6,
        "{with:?} {without:?}"
    );
    assert_eq!(without.moved, 0.0);
    let (left, right) = (
        weights(&left.model, left.model_config()),
        weights(&right.model, right.model_config()),
    );
    for ((name, left), (_, right)) in left.iter().zip(&right) {
        let apart = left.iter().zip(right).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f32::max) < 1e-6, "{name}");
    }
}
