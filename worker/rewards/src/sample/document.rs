//! A sample from a finished document.

use illumine_agent::PictureStore;
use illumine_agent::policy::ChatImage;
use illumine_types::document::ImageBlock;
use illumine_types::{Block, Document, ImageRef, Outcome, Problem};

use super::{Failure, Part, Requirement, Sample, Tag};

/// Interruptions that are the writer's own: its answer counts as it stands.
const WRITERS: [&str; 3] = ["length_limit", "output_limit", "empty_document"];

impl Sample {
    /// Reads a document with its pictures. A picture that the store does not
    /// give, and a policy that broke off, become failures of the infrastructure.
    pub async fn from_document(
        document: &Document,
        requires: Requirement,
        pictures: &dyn PictureStore,
    ) -> Self {
        let mut broken = document.interruption.as_ref().and_then(interruption);
        let mut inputs = Vec::with_capacity(document.inputs.len());
        for image in &document.inputs {
            match fetch(image, pictures).await {
                Ok(image) => inputs.push(image),
                Err(failure) => broken = broken.or(Some(failure)),
            }
        }
        let mut parts = Vec::with_capacity(document.blocks.len());
        for block in &document.blocks {
            parts.push(match block {
                Block::Text { markdown } => Part::Text(markdown.clone()),
                Block::Image(image) => Part::Tag(tag(image, pictures).await),
            });
        }
        Self {
            id: document.id.to_string(),
            question: document.prompt.clone(),
            inputs,
            parts,
            requires,
            tokens: Some(document.usage.completion_tokens),
            broken,
        }
    }
}

fn interruption(problem: &Problem) -> Option<Failure> {
    let writers = WRITERS.contains(&problem.code.as_str());
    (!writers).then(|| Failure::new(&problem.code, &problem.detail))
}

async fn tag(block: &ImageBlock, pictures: &dyn PictureStore) -> Tag {
    let outcome = match &block.outcome {
        Outcome::Ready { image, .. } => fetch(image, pictures).await,
        Outcome::Failed { code, reason } => Err(Failure::new(code, reason)),
        Outcome::Pending => Err(Failure::new("unfinished", "The picture was not finished.")),
    };
    Tag {
        raw: block.raw.clone(),
        call: block.call.clone(),
        outcome,
    }
}

async fn fetch(image: &ImageRef, pictures: &dyn PictureStore) -> Result<ChatImage, Failure> {
    match pictures.get(image).await {
        Ok(picture) => Ok(ChatImage {
            bytes: picture.bytes,
            mime: picture.mime.to_owned(),
        }),
        Err(error) => Err(Failure::new("storage_failed", error.to_string())),
    }
}
