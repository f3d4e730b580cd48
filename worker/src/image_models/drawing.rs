//! A studio's requests, for asynchronous askers.

use std::ops::ControlFlow;

use illumine_models::qwen_image::DrawRequest;
use illumine_models::qwen_image::studio::{Accepted, Studio, StudioEvent};
use illumine_models::{ModelError, Result};
use tokio::sync::mpsc;

/// A request that a studio took in. Dropping it, as when the asker goes away, cancels
/// it at the next step.
#[derive(Debug)]
pub struct Drawing {
    pub accepted: Accepted,
    events: mpsc::UnboundedReceiver<StudioEvent>,
}

impl Drawing {
    /// Asks for a picture; `previews` says whether small ones are wanted meanwhile.
    ///
    /// # Errors
    /// Those of [`Studio::submit`].
    pub async fn start(studio: &Studio, request: DrawRequest, previews: bool) -> Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let sink = move |event| match sender.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let studio = studio.clone();
        // It may load the model first.
        let submitted =
            tokio::task::spawn_blocking(move || studio.submit(request, previews, Box::new(sink)));
        let accepted = submitted.await.map_err(|_| stopped())??;
        Ok(Self { accepted, events })
    }

    /// What happens next; after [`StudioEvent::Finished`] and its like, nothing.
    pub async fn next(&mut self) -> StudioEvent {
        let event = self.events.recv().await;
        event.unwrap_or_else(|| StudioEvent::Failed(stopped()))
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        self.accepted.cancel.cancel();
    }
}

fn stopped() -> ModelError {
    ModelError::Engine("the picture model stopped unexpectedly".to_owned())
}
