//! A run that was interrupted, against one that was not.

use crate::common::{Fixed, examples, tiny_config, tiny_run, weights};
use burn::tensor::Device;
use illumine_models::Qwen3;
use illumine_train::sft::metrics::{self, StepMetrics};
use illumine_train::sft::{Budget, SftConfig, Trainer, checkpoint};

fn config() -> SftConfig {
    SftConfig {
        budget: Budget::Steps(8),
        checkpoint_every: 3,
        ..tiny_run()
    }
}

/// Runs that are compared start from one model: the seed of the device belongs
/// to the whole process, and other tests draw from it, too.
fn start(model: &Qwen3) -> Trainer<Fixed> {
    let model = Some(model.clone());
    Trainer::new(
        config(),
        tiny_config(),
        model,
        examples(11),
        &Device::flex(),
    )
    .unwrap()
}

fn losses(run: &std::path::Path) -> Vec<(u64, f64, f64)> {
    std::fs::read_to_string(run.join("metrics.jsonl"))
        .unwrap()
        .lines()
        .map(|line| {
            let metrics: StepMetrics = serde_json::from_str(line).unwrap();
            (metrics.step, metrics.loss, metrics.lr)
        })
        .collect()
}

#[test]
fn a_resumed_run_ends_with_the_same_weights_and_metrics() {
    let device = Device::flex();
    let whole = tempfile::tempdir().unwrap();
    let model = tiny_config().init(&device.clone().autodiff());
    let mut trainer = start(&model);
    trainer.run(whole.path(), |_| ()).unwrap();
    let expected = weights(&trainer.model, &tiny_config());

    // Killed after step 5: the checkpoint of step 3 and five lines are there.
    let cut = tempfile::tempdir().unwrap();
    let mut first = start(&model);
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        first.run(cut.path(), |metrics| assert!(metrics.step < 5, "killed"))
    }));
    assert!(stopped.is_err());
    assert_eq!(losses(cut.path()).len(), 5);

    let folder = checkpoint::latest(cut.path()).unwrap();
    assert!(folder.ends_with("checkpoints/step-000003"));
    let mut second = Trainer::resume(config(), examples(11), &folder, &device).unwrap();
    assert_eq!(second.state().step, 3);
    second.run(cut.path(), |_| ()).unwrap();

    assert_eq!(weights(&second.model, &tiny_config()), expected);
    assert_eq!(losses(cut.path()), losses(whole.path()));

    let curve = metrics::curve(&cut.path().join("metrics.jsonl"), 4).unwrap();
    let steps: Vec<&str> = curve
        .lines()
        .filter_map(|row| row.split(',').next())
        .collect();
    assert_eq!(steps, ["step", "2", "4", "6", "8"]);
}

#[test]
fn old_checkpoints_go_and_a_half_written_one_is_never_resumed() {
    let device = Device::flex();
    let run = tempfile::tempdir().unwrap();
    let config = SftConfig {
        checkpoint_every: 1,
        keep_checkpoints: 2,
        ..config()
    };
    let mut trainer = Trainer::new(config, tiny_config(), None, examples(11), &device).unwrap();
    let last = trainer.run(run.path(), |_| ()).unwrap();
    let kept = std::fs::read_dir(run.path().join("checkpoints"))
        .unwrap()
        .count();
    assert_eq!(kept, 2);
    assert_eq!(checkpoint::latest(run.path()).unwrap(), last);

    std::fs::create_dir(run.path().join("checkpoints/step-000099")).unwrap();
    std::fs::create_dir(run.path().join("checkpoints/step-000098.part")).unwrap();
    assert_eq!(checkpoint::latest(run.path()).unwrap(), last);
}

#[test]
fn a_truncated_optimizer_file_is_an_error_that_names_it() {
    let device = Device::flex();
    let run = tempfile::tempdir().unwrap();
    let mut trainer = Trainer::new(config(), tiny_config(), None, examples(11), &device).unwrap();
    trainer.step().unwrap();
    let folder = trainer.checkpoint(run.path()).unwrap();
    let path = folder.join("optimizer.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = Trainer::resume(config(), examples(11), &folder, &device).unwrap_err();
    assert_eq!(error.code(), "train_checkpoint_invalid");
    assert!(error.to_string().contains("optimizer.safetensors"));
}
