//! One tool call, from its parent's picture to a stored picture of its own.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use illumine_tools::{
    Advance, ImageTool, LARGEST_PREVIEW, Picture, ProgressSink, ToolContext, ToolError, ToolImage,
};
use illumine_types::document::ParentImage;
use illumine_types::tool::ToolRequest;
use illumine_types::{BlobKey, EventKind, Outcome};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Place, Surroundings};

/// Progress is told at most so often.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// The image that an edit changes.
pub(crate) struct Parent {
    pub(crate) index: usize,
    pub(crate) place: watch::Receiver<Place>,
}

pub(crate) struct Call {
    pub(crate) index: usize,
    pub(crate) request: ToolRequest,
    pub(crate) tool: Arc<dyn ImageTool>,
    pub(crate) parent: Option<Parent>,
}

/// Waits until an image is ready or has failed.
pub(crate) async fn settled(mut place: watch::Receiver<Place>) -> Place {
    let settled = place
        .wait_for(|place| !matches!(place, Place::Pending))
        .await;
    match settled {
        Ok(place) => place.clone(),
        Err(_) => Place::Failed {
            reason: "it was not finished".into(),
        },
    }
}

impl Call {
    /// Never fails, never panics, ends soon after a cancel.
    pub(crate) async fn run(self, surroundings: &Surroundings) -> (Outcome, Place) {
        let cancel = surroundings.cancel.clone();
        let attempt = AssertUnwindSafe(self.attempt(surroundings)).catch_unwind();
        let result = tokio::select! {
            biased;
            result = attempt => result.unwrap_or_else(|_| Err(failure("tool_crashed", "The tool crashed."))),
            () = cancelled_for_good(&cancel) => Err(cancelled()),
        };
        result.unwrap_or_else(|outcome| {
            let reason = match &outcome {
                Outcome::Failed { reason, .. } => reason.clone(),
                Outcome::Pending | Outcome::Ready { .. } => String::new(),
            };
            (outcome, Place::Failed { reason })
        })
    }

    async fn attempt(&self, surroundings: &Surroundings) -> Result<(Outcome, Place), Outcome> {
        let parent = self.parent_picture(&surroundings.cancel).await?;
        let context = ToolContext {
            options: surroundings.options.clone(),
            parent: parent.as_ref().map(|(picture, _)| picture.clone()),
            cancel: surroundings.cancel.child_token(),
            progress: self.progress(surroundings),
        };
        let running = self.tool.run(&self.request, &context);
        let ToolImage {
            picture,
            mut provenance,
        } = match tokio::time::timeout(surroundings.call_timeout, running).await {
            Ok(Ok(image)) => image,
            Ok(Err(ToolError::Cancelled)) if surroundings.cancel.is_cancelled() => {
                return Err(cancelled());
            }
            Ok(Err(error)) => return Err(failure(error.code(), &error.to_string())),
            Err(_) => {
                context.cancel.cancel();
                let limit = surroundings.call_timeout.as_secs_f64();
                let reason = format!("The tool took longer than {limit} s.");
                return Err(failure("tool_timeout", &reason));
            }
        };
        provenance.parent = parent.map(|(_, parent)| parent);
        let image = surroundings.pictures.put(&picture).await.map_err(|error| {
            failure(
                "storage_failed",
                &format!("The picture could not be stored: {error}."),
            )
        })?;
        let id: BlobKey = image.id.clone();
        let provenance = Box::new(provenance);
        Ok((
            Outcome::Ready { image, provenance },
            Place::Ready { picture, id },
        ))
    }

    async fn parent_picture(
        &self,
        cancel: &tokio_util::sync::CancellationToken,
    ) -> Result<Option<(Picture, ParentImage)>, Outcome> {
        let Some(parent) = &self.parent else {
            return Ok(None);
        };
        let index = parent.index;
        let place = tokio::select! {
            place = settled(parent.place.clone()) => place,
            () = cancel.cancelled() => return Err(cancelled()),
        };
        match place {
            Place::Ready { picture, id } => Ok(Some((picture, ParentImage { index, id }))),
            Place::Failed { reason } => Err(failure(
                "parent_failed",
                &format!("Image {index}, which it would change, is missing: {reason}"),
            )),
            Place::Pending => Err(failure(
                "parent_failed",
                "The image that it would change is missing.",
            )),
        }
    }

    fn progress(&self, surroundings: &Surroundings) -> ProgressSink {
        let events = surroundings.events.clone();
        let index = self.index;
        let last: Mutex<Option<Instant>> = Mutex::new(None);
        Arc::new(move |Advance { fraction, preview }| {
            let now = Instant::now();
            let Ok(mut last) = last.lock() else { return };
            if fraction.is_nan() || last.is_some_and(|last| now - last < PROGRESS_PERIOD) {
                return;
            }
            *last = Some(now);
            let fraction = fraction.clamp(0.0, 1.0);
            let preview = preview
                .filter(|jpeg| jpeg.len() <= LARGEST_PREVIEW)
                .map(|jpeg| format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)));
            events.send(EventKind::ToolProgress {
                index,
                fraction,
                preview,
            });
        })
    }
}

/// A tool that hears the token ends by itself and cleans up; this is for one
/// that does not.
async fn cancelled_for_good(cancel: &tokio_util::sync::CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(super::GRACE / 2).await;
}

fn cancelled() -> Outcome {
    failure(
        "cancelled",
        "The job was cancelled before the picture was done.",
    )
}

fn failure(code: &str, reason: &str) -> Outcome {
    Outcome::Failed {
        code: code.to_owned(),
        reason: reason.to_owned(),
    }
}
