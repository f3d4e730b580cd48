//! `illumine worker`: takes jobs from the queue until told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use illumine_config::Config;
use illumine_store::queue::QueueWorker;
use illumine_types::JobKind;
use tokio::signal::unix::{SignalKind, signal};

use crate::jobs::{self, Workshop};

#[derive(Args)]
pub struct Options {
    /// Job kinds to serve, comma-separated
    #[arg(long)]
    queues: Option<String>,
    /// Jobs at a time
    #[arg(long)]
    concurrency: Option<String>,
    /// Where a Burn policy runs: flex, libtorch, cuda:0 …
    #[arg(long)]
    device: Option<String>,
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let loaded = super::configuration(|sources| {
        sources
            .with_flag("worker.queues", options.queues)
            .with_flag("worker.concurrency", options.concurrency)
            .with_flag("worker.device", options.device)
    })?;
    let config = loaded.config;
    let kinds = kinds(&config)?;
    // Signals count from here on, also while a model loads.
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch SIGTERM")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: running jobs are finished first");
    };
    let store = crate::store::connect(&config).await?;
    let workshop = Arc::new(Workshop::open(&config, &store).await?);
    let info = Arc::clone(&workshop);
    tracing::info!(kinds = ?config.worker.queues, concurrency = config.worker.concurrency, "worker is ready");
    // A run of training takes days and the whole device: one at a time, beside documents.
    let (training, drawing): (Vec<JobKind>, Vec<JobKind>) = kinds
        .into_iter()
        .partition(|kind| *kind == JobKind::TrainingRun);
    let builder = match (drawing.is_empty(), training.is_empty()) {
        (true, _) => QueueWorker::builder(store, &training, 1),
        (false, true) => QueueWorker::builder(store, &drawing, config.worker.concurrency),
        (false, false) => {
            QueueWorker::builder(store, &drawing, config.worker.concurrency).pool(&training, 1)
        }
    };
    builder
        .info_with(move || info.info())
        .run(move |job| jobs::run(Arc::clone(&workshop), job), stop)
        .await?;
    Ok(ExitCode::SUCCESS)
}

fn kinds(config: &Config) -> anyhow::Result<Vec<JobKind>> {
    let mut kinds = Vec::new();
    for word in &config.worker.queues {
        match JobKind::parse(word) {
            Some(
                kind @ (JobKind::Generation
                | JobKind::Redraw
                | JobKind::Score
                | JobKind::TrainingRun),
            ) => kinds.push(kind),
            Some(_) => {
                bail!("worker.queues: this version of the worker does not run `{word}` jobs")
            }
            None => bail!("worker.queues: there is no job kind `{word}`"),
        }
    }
    Ok(kinds)
}
