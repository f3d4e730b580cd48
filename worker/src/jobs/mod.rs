//! One job kind a file. Every job is idempotent by its id: it may be run again
//! after a worker died at any point.

mod generation;
mod inputs;
mod redraw;
mod score;
mod trained;
mod training;
mod workshop;

use std::sync::Arc;

use illumine_store::jobs::JobUpdate;
use illumine_store::queue::{JobContext, JobFailure};
use illumine_types::{Document, JobKind, Outcome, Problem, ToolKind};

pub use workshop::Workshop;

/// Does a job.
pub async fn run(workshop: Arc<Workshop>, job: JobContext) -> Result<(), JobFailure> {
    match job.kind {
        JobKind::Generation => generation::run(&workshop, &job).await,
        JobKind::Redraw => redraw::run(&workshop, &job).await,
        JobKind::Score => score::run(&workshop, &job).await,
        JobKind::TrainingRun => training::run(&workshop, &job).await,
        other => Err(JobFailure::permanent(Problem::new(
            "unknown_job",
            "No such job here",
            format!("this worker does not run {} jobs", other.as_str()),
        ))),
    }
}

/// A stored request that is not what its kind says: told, not tried again.
fn request<T: serde::de::DeserializeOwned>(job: &JobContext) -> Result<T, JobFailure> {
    serde_json::from_value(job.request.clone()).map_err(|error| {
        JobFailure::permanent(Problem::new(
            "invalid_request",
            "The request cannot be read",
            error.to_string(),
        ))
    })
}

/// What lists show of a document.
fn listing(document: &Document) -> JobUpdate {
    let first = document.images().find_map(|image| match &image.outcome {
        Outcome::Ready { image, .. } => Some(image.url.clone()),
        _ => None,
    });
    let tools = ToolKind::ALL
        .into_iter()
        .filter(|kind| document.tools.count(*kind).succeeded > 0);
    JobUpdate {
        progress: Some(1.0),
        title: Some(document.title.clone()),
        thumbnail: first,
        tools_used: Some(tools.collect()),
        settled: false,
    }
}
