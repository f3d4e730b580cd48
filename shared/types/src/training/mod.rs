//! Training runs: what is asked, what a run is told, and what it tells.
//!
//! A request names a [`Preset`] and what differs from it; [`TrainingRunRequest::resolve`]
//! makes the whole [`TrainingConfig`], which is what is queued, kept and shown.

mod preset;
mod progress;
mod ray;
mod resolve;
mod settings;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;

pub use preset::Preset;
pub use progress::{
    Checkpoint, CheckpointFile, ChosenPolicy, MetricPoints, PolicyChoice, RunLinks, RunSummary,
    TrainingRun, TrainingRunAccepted, TrainingSample, TrainingSamples,
};
pub use resolve::{FieldError, TrainingRunRequest};
pub use settings::{
    Activations, AdvantageScale, Aggregation, Algorithm, Engine, KlPlace, Precision, RewardFactors,
    TrainingConfig, TrainingSettings,
};

/// The data that comes with the program, as `dataset` names it.
pub const DEMO_DATASET: &str = "demo";
/// The policy that comes with the program, as `model` names it.
pub const DEMO_MODEL: &str = "demo";

/// Where a run keeps what it makes: `runs/{id}/{file}`.
#[must_use]
pub fn run_key(id: &crate::JobId, file: &str) -> String {
    format!("runs/{id}/{file}")
}

/// The folder of the checkpoint after `step` steps, below the run's.
#[must_use]
pub fn checkpoint_folder(step: u64) -> String {
    format!("checkpoints/step-{step:06}")
}

/// The samples of the step that ended as number `step`, below the run's folder.
#[must_use]
pub fn samples_file(step: u64) -> String {
    format!("samples/step-{step:06}.jsonl")
}

/// Below the run's folder: a [`RunSummary`].
pub const SUMMARY_FILE: &str = "summary.json";
/// Below the run's folder: a line a step.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// Below a checkpoint's folder, written last: a [`Checkpoint`].
pub const CHECKPOINT_FILE: &str = "checkpoint.json";
/// The [`PolicyChoice`] of the installation.
pub const POLICY_KEY: &str = "settings/policy.json";
