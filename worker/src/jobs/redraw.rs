//! One picture of a finished document, drawn again as a new version of it.

use std::sync::Arc;

use illumine_store::queue::{JobContext, JobFailure};
use illumine_types::api::{GenerationRequest, ImageOptions, RedrawJob};
use illumine_types::{Document, Outcome, Problem};

use super::{Workshop, listing, request};
use crate::pictures::{StoreEvents, StorePictures};

pub async fn run(workshop: &Workshop, job: &JobContext) -> Result<(), JobFailure> {
    let request: RedrawJob = request(job)?;
    let agent = workshop.agent(&job.store, None).await?;
    let mut document = job.store.documents().get(&request.document).await?;
    let sink = StoreEvents {
        store: job.store.clone(),
        job: job.id.clone(),
        attempt: job.attempt,
    };
    let pictures = StorePictures {
        store: job.store.clone(),
        document: request.document.clone(),
    };
    let image = image_options(job, &document).await;
    let redrawn = agent
        .redraw(
            &document,
            request.index,
            &request.redraw,
            image,
            &sink,
            Arc::new(pictures),
            job.cancel.clone(),
        )
        .await
        .map_err(|error| {
            JobFailure::permanent(Problem::new(
                error.code(),
                "The picture cannot be drawn again",
                error.to_string(),
            ))
        })?;
    if let Outcome::Failed { code, reason } = &redrawn.outcome {
        return Err(JobFailure::permanent(Problem::new(
            code,
            "The picture could not be drawn again",
            reason,
        )));
    }
    // Another redraw may have stored a version meanwhile: start from that one.
    document = job.store.documents().get(&request.document).await?;
    redrawn.apply(&mut document);
    job.store.documents().save(&document).await?;
    job.store
        .jobs()
        .describe(&document.id, listing(&document))
        .await?;
    Ok(())
}

/// The size and steps that the document was asked with; the defaults when its
/// request is gone.
async fn image_options(job: &JobContext, document: &Document) -> ImageOptions {
    let asked = job.store.jobs().request(&document.id).await.ok();
    let asked = asked.and_then(|request| serde_json::from_value::<GenerationRequest>(request).ok());
    asked
        .map(|request| request.options.image)
        .unwrap_or_default()
}
