//! Runs that several processes share, here threads that meet on the loopback: they come to
//! what one process comes to.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use burn::tensor::Device;
use illumine_datasets::{Dataset, ReadOptions, SplitRule};
use illumine_train::lora::LoraOptions;
use illumine_train::parallel::{Meeting, Peers, Secret, Times, join};
use illumine_train::rl::{
    LearnerConfig, Objective, Run, RunConfig, Sampling, StepConfig, Surroundings,
};
use illumine_train::{Result, TrainError};
use serde_json::Value;

use crate::common::{largest_difference, weights};
use crate::rl_step::{around, demo_policy};

fn dataset() -> Dataset {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../datasets/demo");
    let paths = ["train.parquet", "test.parquet"].map(|name| folder.join(name));
    Dataset::read(&paths, &ReadOptions::default(), SplitRule::Column).unwrap()
}

/// Lines of `metrics.jsonl`, the validation before the first step too, without what depends
/// on the clock.
fn lines(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for name in ["tokens_per_s", "rollout_s", "update_s", "memory_bytes"] {
            line.as_object_mut().unwrap().remove(name);
        }
        line
    };
    text.lines().map(line).collect()
}

fn config(lora: Option<LoraOptions>) -> RunConfig {
    RunConfig {
        step: StepConfig {
            sampling: Sampling {
                samples: 3,
                max_answer_tokens: 200,
                ..Sampling::default()
            },
            minibatches: 2,
            ..StepConfig::default()
        },
        learner: LearnerConfig {
            objective: Objective {
                kl_weight: 0.01,
                ..Objective::grpo()
            },
            // Several of them in an update, also of half of the answers.
            tokens_per_micro_batch: 800,
            lora,
            ..LearnerConfig::default()
        },
        learning_rate: 1e-5,
        warmup_steps: 1,
        steps: 3,
        // Not as many to each process.
        prompts_per_step: 3,
        checkpoint_every: 2,
        samples_every: 3,
        validate_every: 3,
        validation_prompts: 3,
        ..RunConfig::default()
    }
}

/// A run to its end or to the step after which the first process is told to stop, and where
/// each process is then.
fn run(
    count: usize,
    config: &RunConfig,
    folder: &Path,
    around: &Surroundings,
    stop_after: u64,
) -> Vec<Result<Run>> {
    let one = |peers: Peers| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let (leads, device) = (peers.leads(), Device::flex());
            let (config, policy) = (config.clone(), demo_policy());
            let run = Run::resume_among(config, &policy, dataset(), &device, folder, peers)?;
            let mut run = run.from_base("demo");
            let report = |line: &illumine_train::rl::Line| match leads && line.step == stop_after {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            run.run(around, folder, report).await?;
            Ok(run)
        })
    };
    let times = Times {
        exchange: Duration::from_secs(300),
        ..Times::default()
    };
    let (meeting, secret) = (Meeting::open().unwrap(), Secret::random());
    let address = meeting.address();
    std::thread::scope(|scope| {
        let one = &one;
        let others: Vec<_> = (1..count)
            .map(|rank| scope.spawn(move || one(join(address, secret, rank, count, times)?)))
            .collect();
        let first = meeting.wait(count, secret, times, || Ok(()));
        let mut runs = vec![first.and_then(one)];
        runs.extend(others.into_iter().map(|thread| thread.join().unwrap()));
        runs
    })
}

fn own_weights(run: &Result<Run>) -> Vec<(String, Vec<f32>)> {
    let learner = &run.as_ref().unwrap().stepper.learner;
    let merged = illumine_train::lora::merged(&learner.model);
    weights(&merged, learner.model_config())
}

fn assert_near(name: &str, left: &Value, right: &Value) {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            let names = |object: &serde_json::Map<String, Value>| {
                object
                    .keys()
                    .cloned()
                    .collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(names(left), names(right), "{name}");
            for (key, value) in left {
                assert_near(&format!("{name}.{key}"), value, &right[key]);
            }
        }
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            let most = 1e-5 * (1.0 + left.abs());
            assert!((left - right).abs() < most, "{name}: {left} and {right}");
        }
        _ => assert_eq!(left, right, "{name}"),
    }
}

/// That a run came to the same as another: figures and weights.
fn assert_same(one: (&Path, &Result<Run>), other: (&Path, &Result<Run>)) {
    let (own, others) = (lines(one.0), lines(other.0));
    assert_eq!(own.len(), others.len());
    let norms = own.iter().filter_map(|line| line["grad_norm"].as_f64());
    assert!(norms.sum::<f64>() > 0.0, "something was learnt");
    for (own, others) in own.iter().zip(&others) {
        assert_near("line", own, others);
    }
    for ((name, own), (_, others)) in own_weights(one.1).iter().zip(own_weights(other.1)) {
        let difference = largest_difference(own, &others);
        assert!(difference < 1e-5, "{name}: {difference}");
    }
}

fn samples(run: &Path) -> Vec<(String, u64, Value)> {
    let text = std::fs::read_to_string(run.join("samples/step-000003.jsonl")).unwrap();
    let sample = |line: &str| {
        let sample: Value = serde_json::from_str(line).unwrap();
        (
            sample["prompt"].as_str().unwrap().to_owned(),
            sample["sample"].as_u64().unwrap(),
            sample["score"]["breakdown"]["count"].clone(),
        )
    };
    text.lines().map(sample).collect()
}

#[test]
fn two_processes_come_to_what_one_comes_to() {
    let (alone, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (config, around) = (config(None), around(true));
    let one = run(1, &config, alone.path(), &around, 0);
    let two = run(2, &config, shared.path(), &around, 0);
    assert_same((alone.path(), &one[0]), (shared.path(), &two[0]));
    assert_eq!(own_weights(&two[0]), own_weights(&two[1]), "the same bits");
    assert_eq!(lines(alone.path()).len(), 4);
    assert!(lines(alone.path())[3]["validation_reward"].is_number());
    assert_eq!(samples(alone.path()), samples(shared.path()));
    assert_eq!(samples(shared.path()).len(), 9);

    // Cut off after its second step, and gone on with in another number of processes.
    std::fs::remove_dir_all(shared.path().join("checkpoints/step-000003")).unwrap();
    let three = run(3, &config, shared.path(), &around, 0);
    assert_same((alone.path(), &one[0]), (shared.path(), &three[0]));
    assert_eq!(own_weights(&three[0]), own_weights(&three[2]));
}

#[test]
fn low_rank_changes_are_learnt_by_two_as_by_one() {
    let (alone, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = LoraOptions {
        rank: 4,
        alpha: 8.0,
        ..LoraOptions::default()
    };
    let (config, around) = (config(Some(options)), around(true));
    let one = run(1, &config, alone.path(), &around, 0);
    let two = run(2, &config, shared.path(), &around, 0);
    assert_same((alone.path(), &one[0]), (shared.path(), &two[0]));
    assert_eq!(own_weights(&two[0]), own_weights(&two[1]), "the same bits");
    let adapter = shared.path().join("checkpoints/step-000003/adapter");
    let config = std::fs::read_to_string(adapter.join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        config["base_model_name_or_path"], "demo",
        "no folder of this machine"
    );
}

/// Short answers: what they are worth is no matter.
fn short() -> RunConfig {
    let mut config = config(None);
    config.step.sampling.max_answer_tokens = 30;
    config.validate_every = 0;
    config
}

#[test]
fn all_stop_when_the_first_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let runs = run(2, &short(), folder.path(), &around(true), 2);
    for run in &runs {
        assert_eq!(run.as_ref().unwrap().steps_done(), 2);
    }
    assert_eq!(lines(folder.path()).len(), 2);
}

#[test]
fn an_outage_is_one_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(None);
    // However many of them are which process's.
    config.step.most_excluded = 0.0;
    config.validate_every = 0;
    let runs = run(2, &config, folder.path(), &around(false), 0);
    let words: Vec<String> = runs
        .into_iter()
        .map(|run| {
            let error = run.unwrap_err();
            assert_eq!(error.code(), "train_outage");
            error.to_string()
        })
        .collect();
    assert_eq!(words[0], words[1]);
    assert!(words[0].contains("503"), "{}", words[0]);
}

#[test]
fn processes_of_different_runs_do_not_learn_together() {
    let folder = tempfile::tempdir().unwrap();
    let (meeting, secret) = (Meeting::open().unwrap(), Secret::random());
    let address = meeting.address();
    let begin = |peers: Peers, steps: u64| {
        let config = RunConfig { steps, ..short() };
        let device = Device::flex();
        Run::resume_among(
            config,
            &demo_policy(),
            dataset(),
            &device,
            folder.path(),
            peers,
        )
    };
    let errors: Vec<TrainError> = std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let peers = join(address, secret, 1, 2, Times::default());
            begin(peers.unwrap(), 4)
        });
        let first = meeting
            .wait(2, secret, Times::default(), || Ok(()))
            .unwrap();
        let first = begin(first, 3);
        vec![first.unwrap_err(), second.join().unwrap().unwrap_err()]
    });
    for error in errors {
        let words = error.to_string();
        assert_eq!(error.code(), "train_peer");
        assert!(
            words.contains("process 1") && words.contains("settings"),
            "{words}"
        );
    }
}
