//! Three updates of low-rank changes against those of `peft`, see infra/parity/rl_lora.py.

use crate::common::{fixtures, largest_difference};
use crate::rl_parity::{RATE, learner_config, near, runs};
use burn::tensor::Device;
use illumine_models::load::{ModelFolder, SafetensorsFile};
use illumine_train::lora::{self, LoraOptions};
use illumine_train::optim;
use illumine_train::rl::{Learner, LearnerConfig, Objective};
use serde_json::Value;

fn read(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join(path)).unwrap()).unwrap()
}

fn options() -> LoraOptions {
    LoraOptions {
        rank: 3,
        alpha: 6.0,
        target_modules: ["q_proj", "v_proj", "down_proj"]
            .map(str::to_owned)
            .to_vec(),
    }
}

fn base(device: &Device) -> (ModelFolder, illumine_models::Qwen3) {
    let folder = ModelFolder::open(&fixtures().join("sft/model")).unwrap();
    let model = folder.load_model(&device.clone().autodiff()).unwrap();
    (folder, model)
}

fn check(most: usize, recompute: bool) {
    let device = Device::flex();
    let (folder, model) = base(&device);
    let before = optim::weights(&model);
    let model = lora::resume(model, &fixtures().join("rl_lora/start")).unwrap();
    let objective = Objective {
        dual_clip: Some(3.0),
        ..Objective::grpo()
    };
    let config = LearnerConfig {
        recompute,
        ..learner_config(objective, 1.0, most)
    };
    let mut learner = Learner::new(config, model, folder.config, &device);

    let (_, batches) = runs();
    let steps = read("rl_lora/steps.json");
    let steps = steps.as_array().unwrap();
    for (step, (expected, batch)) in steps.iter().zip(&batches).enumerate() {
        let metrics = learner.update(batch, RATE, step as u64).unwrap();
        near("lora", step, expected, &metrics);
    }

    let saved = tempfile::tempdir().unwrap();
    lora::save(&learner.model, &options(), "sft/model", saved.path()).unwrap();
    let ours = saved.path().join("adapter_model.safetensors");
    let mut ours = SafetensorsFile::open(&ours).unwrap();
    let theirs = fixtures().join("rl_lora/end/adapter_model.safetensors");
    let mut theirs = SafetensorsFile::open(&theirs).unwrap();
    let mut names = [ours.names(), theirs.names()];
    for names in &mut names {
        names.sort();
    }
    assert_eq!(names[0], names[1]);
    for name in &names[0] {
        let ((shape, values), (reference_shape, reference)) =
            (ours.read(name).unwrap(), theirs.read(name).unwrap());
        assert_eq!(shape, reference_shape, "{name}");
        let difference = largest_difference(&values, &reference);
        assert!(difference < 1e-4, "{name}: {difference}");
    }

    // The base is as it was, and the changes are in what is written with.
    let mut bare = learner.model.clone();
    for (_, linear) in illumine_models::lora::Adaptable::projections(&mut bare) {
        linear.lora = None;
    }
    let read = |weight: burn::tensor::Tensor<1>| weight.into_data().try_into_vec::<f32>().unwrap();
    for (then, now) in before.into_iter().zip(optim::weights(&bare)) {
        assert_eq!(read(then), read(now));
    }
}

#[test]
fn low_rank_changes_are_learnt_as_by_peft() {
    // All at once, and gradients that are summed over small parts.
    for (most, recompute) in [(1000, false), (20, false), (20, true)] {
        check(most, recompute);
    }
}

#[test]
fn a_fresh_change_is_none_and_a_merged_one_writes_the_same() {
    use burn::module::Module;
    let device = Device::flex();
    let (folder, model) = base(&device);
    let ids = burn::tensor::TensorData::from([[3_i64, 1, 4, 1, 5]]);
    let logits = |model: &illumine_models::Qwen3| {
        let ids = burn::tensor::Tensor::from_data(ids.clone(), &device);
        model
            .forward(ids, None, None)
            .into_data()
            .try_into_vec::<f32>()
            .unwrap()
    };
    let plain = logits(&model.clone().valid());
    let fresh = lora::begin(model.clone(), &options(), 1);
    assert!(lora::is_adapted(&fresh));
    assert_eq!(plain, logits(&fresh.valid()));
    let names = lora::trained_names(&fresh, &folder.config);
    let layers = folder.config.num_hidden_layers;
    assert_eq!(names.len(), 2 * 3 * layers);

    let changed = lora::resume(model, &fixtures().join("rl_lora/start")).unwrap();
    let (adapted, merged) = (logits(&changed.valid()), lora::merged(&changed));
    assert!(!lora::is_adapted(&merged));
    assert!(largest_difference(&plain, &adapted) > 1e-3);
    assert!(largest_difference(&adapted, &logits(&merged)) < 1e-5);
}

#[test]
fn bad_options_are_told_by_name() {
    for (options, field) in [
        (
            LoraOptions {
                rank: 0,
                ..options()
            },
            "lora.rank",
        ),
        (
            LoraOptions {
                alpha: 0.0,
                ..options()
            },
            "lora.alpha",
        ),
        (
            LoraOptions {
                target_modules: vec!["gate".to_owned()],
                ..options()
            },
            "lora.target_modules",
        ),
    ] {
        let error = options.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{error}");
    }
}
