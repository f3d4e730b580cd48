//! A training run, from the queue: what `illumine train` does, with S3 as its folder and
//! events for whoever watches.
//!
//! A killed worker's run is taken over by another and goes on from the newest whole
//! checkpoint. Cancelling ends it after the step under way, with a checkpoint from which
//! asking again goes on.

mod keep;
mod material;
mod mlflow;
mod progress;
mod ray;
pub(super) mod settings;
mod stall;
mod work;

use std::sync::Arc;

use illumine_models::device::parse_device_and_precision;
use illumine_rewards::JudgeSettings;
use illumine_store::queue::{JobContext, JobFailure};
use illumine_train::rl::{Run, Surroundings};
use illumine_types::Problem;
use illumine_types::training::{Engine, TrainingConfig};
use tokio_util::sync::CancellationToken;

pub use material::checkpoint;

use self::keep::{KeepError, Keeper};
use self::material::refused;
use self::mlflow::MlFlow;
use self::work::Work;
use super::{Workshop, request};
use crate::judges;
use crate::pictures::StorePictures;

pub async fn run(workshop: &Workshop, job: &JobContext) -> Result<(), JobFailure> {
    let config: TrainingConfig = request(job)?;
    config
        .validate()
        .map_err(|error| refused(&error.field, error.reason))?;
    if config.engine == Engine::Ray {
        return ray::run(workshop, job, &config).await;
    }
    let scratch = tempfile::Builder::new().prefix("illumine-run-").tempdir();
    let scratch = scratch.map_err(|error| local(&error))?;
    let mut keeper = Keeper::new(
        job.store.clone(),
        job.id.clone(),
        scratch.path().join("run"),
        config.settings.keep_checkpoints as usize,
    );
    let newest = keeper.fetch().await.map_err(kept)?;
    keeper
        .forget_after(newest.unwrap_or(0))
        .await
        .map_err(kept)?;
    let model = material::model(&job.store, &config.model).await?;
    let dataset = material::dataset(&job.store, &config).await?;
    let around = surroundings(workshop, job, &config, model.path())?;
    // Weights of the worker's policies may be rounded; those that are learnt never are.
    let (device, _) = parse_device_and_precision(&workshop.config().worker.device)
        .map_err(|error| refused("worker.device", error.to_string()))?;
    // Dropped with this future, when nobody waits for the run any more.
    let abandoned = CancellationToken::new();
    let _guard = abandoned.clone().drop_guard();
    let (job, asked) = (job.clone(), settings::run_config(&config));
    let mlflow = MlFlow::of(&workshop.config().mlflow, &job.id);
    let begun = tokio::task::spawn_blocking(move || {
        // Both live as long as the run.
        let (_scratch, model) = (scratch, model);
        let run = Run::resume(asked, model.path(), dataset, &device, &keeper.folder)
            .map_err(|error| work::failure(&error))?
            .from_base(&config.model);
        let work = Work::new(job, run, keeper, around, abandoned).tracked(mlflow, config);
        // Updates compute for long: not on a thread that serves others.
        tokio::runtime::Handle::current().block_on(work.run())
    });
    match begun.await {
        Ok(done) => done,
        Err(error) => Err(JobFailure::transient(Problem::new(
            "training_panicked",
            "The run broke off",
            error.to_string(),
        ))),
    }
}

fn surroundings(
    workshop: &Workshop,
    job: &JobContext,
    config: &TrainingConfig,
    model: &std::path::Path,
) -> Result<Surroundings, JobFailure> {
    let rewards = settings::rewards_of(config);
    let scorer = judges::scorer(workshop.config(), rewards, &JudgeSettings::default())
        .map_err(|error| refused("reward", format!("{error:#}")))?;
    let marks = illumine_agent::policy::burn::input_marks(model)
        .map_err(|error| refused("model", error.to_string()))?;
    let pictures = StorePictures {
        store: job.store.clone(),
        document: job.id.clone(),
    };
    Ok(Surroundings {
        tools: workshop.tools(),
        agent: workshop.settings().clone(),
        scorer: Arc::new(scorer),
        pictures: Arc::new(pictures),
        marks,
    })
}

/// A store that is away passes; a broken checkpoint does not.
fn kept(error: KeepError) -> JobFailure {
    match error {
        KeepError::Store(error) => error.into(),
        KeepError::Io { .. } => local(&error),
        KeepError::Unreadable { .. } => JobFailure::permanent(Problem::new(
            "checkpoint_unreadable",
            "What was kept of the run cannot be read",
            error.to_string(),
        )),
    }
}

fn local(error: &dyn std::fmt::Display) -> JobFailure {
    JobFailure::transient(Problem::new(
        "worker_disk",
        "The worker's disk failed",
        error.to_string(),
    ))
}
