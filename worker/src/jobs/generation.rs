//! A document from a prompt.
//!
//! Idempotent: an attempt writes the document anew, and pictures are named by
//! their content. An attempt that finds a whole document of an earlier one (its
//! worker died between storing it and saying so) has nothing to do.

use std::sync::Arc;

use illumine_agent::GenerationInput;
use illumine_store::queue::{JobContext, JobFailure};
use illumine_types::api::GenerationRequest;
use illumine_types::{Document, Problem};

use super::{Workshop, inputs, listing, request};
use crate::pictures::{StoreEvents, StorePictures};

/// Interruptions that another attempt may not have: the policy's own troubles.
/// The others (a limit met, cancelled) are how the document came to be.
const FINAL_INTERRUPTIONS: [&str; 3] = ["cancelled", "length_limit", "output_limit"];

pub async fn run(workshop: &Workshop, job: &JobContext) -> Result<(), JobFailure> {
    if job.attempt > 1
        && let Ok(document) = job.store.documents().get(&job.id).await
        && document.interruption.is_none()
    {
        return Ok(());
    }
    let request: GenerationRequest = request(job)?;
    let policy = request.options.policy.as_deref();
    let agent = workshop.agent(&job.store, policy).await?;
    let record = job.store.jobs().job(&job.id).await?;
    let input = GenerationInput {
        id: job.id.clone(),
        prompt: request.prompt,
        inputs: inputs::read(job, &request.images)
            .await?
            .into_iter()
            .map(|(_, reference)| reference)
            .collect(),
        options: request.options,
        created_at: record.created_at,
        queued_ms: u64::try_from(job.queued.as_millis()).unwrap_or(u64::MAX),
    };
    let sink = StoreEvents {
        store: job.store.clone(),
        job: job.id.clone(),
        attempt: job.attempt,
    };
    let pictures = StorePictures {
        store: job.store.clone(),
        document: job.id.clone(),
    };
    let document = agent
        .generate(&input, &sink, Arc::new(pictures), job.cancel.clone())
        .await
        .map_err(|error| {
            let problem = Problem::new(
                error.code(),
                "The document could not be written",
                error.to_string(),
            );
            if error.is_transient() {
                JobFailure::transient(problem)
            } else {
                JobFailure::permanent(problem)
            }
        })?;
    job.store.documents().save(&document).await?;
    job.store
        .jobs()
        .describe(&job.id, listing(&document))
        .await?;
    outcome(&document)
}

/// The partial document is stored by now, whatever comes of the job.
fn outcome(document: &Document) -> Result<(), JobFailure> {
    match &document.interruption {
        Some(problem) if !FINAL_INTERRUPTIONS.contains(&problem.code.as_str()) => {
            Err(JobFailure::transient(problem.clone()))
        }
        _ => Ok(()),
    }
}
