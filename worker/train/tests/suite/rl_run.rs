//! Runs of reinforcement learning: interrupted and not, and what they refuse.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use illumine_datasets::{Dataset, ReadOptions, SplitRule};
use illumine_models::load::ModelFolder;
use illumine_models::tokenizer::ChatTokenizer;
use illumine_train::rl::{LearnerConfig, Objective, Run, RunConfig, Sampling, StepConfig};
use serde_json::Value;

use crate::common::weights;
use crate::rl_step::{around, demo_policy};

fn dataset() -> Dataset {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../datasets/demo/train.parquet");
    Dataset::read(&[path], &ReadOptions::default(), SplitRule::Column).unwrap()
}

fn config() -> RunConfig {
    RunConfig {
        step: StepConfig {
            sampling: Sampling {
                samples: 4,
                max_answer_tokens: 260,
                ..Sampling::default()
            },
            ..StepConfig::default()
        },
        // Also with a policy to stay near.
        learner: LearnerConfig {
            objective: Objective {
                kl_weight: 0.01,
                ..Objective::grpo()
            },
            ..LearnerConfig::default()
        },
        learning_rate: 1e-4,
        warmup_steps: 1,
        steps: 4,
        prompts_per_step: 3,
        checkpoint_every: 2,
        samples_every: 4,
        ..RunConfig::default()
    }
}

/// Lines of `metrics.jsonl` without what depends on the clock.
fn lines(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        let object = line.as_object_mut().unwrap();
        for name in ["tokens_per_s", "rollout_s", "update_s", "memory_bytes"] {
            assert!(object.remove(name).is_some(), "{name}");
        }
        line
    };
    text.lines().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_killed_reaches_what_it_would_have_reached() {
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let device = Device::flex();
    let policy = demo_policy();
    let surroundings = around(true);
    let mut run = Run::new(config(), &policy, dataset(), &device).unwrap();
    let on = |_: &_| ControlFlow::Continue(());
    let last = run.run(&surroundings, whole.path(), on).await.unwrap();

    // Three steps, of which the third is in no checkpoint.
    let mut killed = Run::new(config(), &policy, dataset(), &device).unwrap();
    for _ in 0..3 {
        killed.step(&surroundings, cut.path()).await.unwrap();
    }
    drop(killed);
    let mut resumed = Run::resume(config(), &policy, dataset(), &device, cut.path()).unwrap();
    assert_eq!(resumed.steps_done(), 2);
    resumed.run(&surroundings, cut.path(), on).await.unwrap();

    assert_eq!(lines(whole.path()), lines(cut.path()));
    let learner = &run.stepper.learner;
    let own = weights(&learner.model, learner.model_config());
    let other = &resumed.stepper.learner;
    assert_eq!(own, weights(&other.model, other.model_config()));
    let moved = lines(whole.path());
    let moved = moved.iter().filter(|line| line["grad_norm"] != 0.0);
    assert!(moved.count() > 0, "something was learnt");

    // The checkpoint is a policy like any other, system prompt and all.
    let folder = ModelFolder::open(&last).unwrap();
    assert!(folder.system_prompt.is_some());
    let loaded = folder.load_model(&device.clone().autodiff()).unwrap();
    assert_eq!(weights(&loaded, &folder.config), own);
    let samples = std::fs::read_to_string(whole.path().join("samples/step-000004.jsonl")).unwrap();
    let samples: Vec<Value> = samples
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(samples.len(), 12);
    for sample in samples {
        assert!(!sample["prompt"].as_str().unwrap().is_empty());
        assert!(sample["document"]["blocks"].is_array());
        assert!(
            sample["score"]["breakdown"]["count"].is_number(),
            "{sample}"
        );
    }
}

#[test]
fn what_cannot_be_learnt_from_is_refused_by_name() {
    let device = Device::flex();
    let refuse = |change: &dyn Fn(&mut RunConfig)| {
        let mut config = config();
        change(&mut config);
        let error = Run::new(config, &demo_policy(), dataset(), &device).unwrap_err();
        error.to_string()
    };
    let words = refuse(&|config| config.learning_rate = 10.0);
    assert!(words.contains("learning_rate"), "{words}");
    let words = refuse(&|config| config.step.sampling.samples = 1);
    assert!(
        words.contains("samples") && words.contains("group"),
        "{words}"
    );
    let words = refuse(&|config| config.step.sampling.temperature = 0.0);
    assert!(words.contains("temperature"), "{words}");
    let words = refuse(&|config| config.learner.optimizer.muon = true);
    assert!(words.contains("muon"), "{words}");
    let words = refuse(&|config| config.steps = 0);
    assert!(words.contains("steps"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_does_not_fit_or_was_cut_is_named() {
    let run = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let first = Run::new(config(), &demo_policy(), dataset(), &device).unwrap();
    let checkpoint = first.checkpoint(run.path()).unwrap();
    // A place in the data that would be another is refused first.
    let other = RunConfig {
        seed: 2,
        ..config()
    };
    let error = Run::resume(other, &demo_policy(), dataset(), &device, run.path());
    let words = error.unwrap_err().to_string();
    assert!(
        words.contains("`seed`") && words.contains("begun with 1"),
        "{words}"
    );
    let path = checkpoint.join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = Run::resume(config(), &demo_policy(), dataset(), &device, run.path());
    let words = error.unwrap_err().to_string();
    assert!(words.contains("model.safetensors"), "{words}");
}

/// As newer releases of `transformers` save it.
#[test]
fn a_template_in_a_file_of_its_own_goes_along() {
    let (origin, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for entry in std::fs::read_dir(demo_policy()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), origin.path().join(entry.file_name())).unwrap();
    }
    let path = origin.path().join("tokenizer_config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut settings: Value = serde_json::from_str(&text).unwrap();
    let template = settings.as_object_mut().unwrap().remove("chat_template");
    let file = origin.path().join("chat_template.jinja");
    std::fs::write(file, template.unwrap().as_str().unwrap()).unwrap();
    std::fs::write(&path, settings.to_string()).unwrap();
    let begun = Run::new(config(), origin.path(), dataset(), &Device::flex()).unwrap();
    let saved = ChatTokenizer::from_folder(&begun.checkpoint(run.path()).unwrap()).unwrap();
    assert!(saved.has_chat_template());
}
