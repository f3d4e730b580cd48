//! Drawing one picture of a document again.

use std::sync::Arc;

use illumine_tools::DrawOptions;
use illumine_types::api::{ImageOptions, RedrawRequest};
use illumine_types::document::ImageBlock;
use illumine_types::tag::{parse_call, validate_index};
use illumine_types::tool::ToolRequest;
use illumine_types::{Block, Document, EventKind, Outcome, ToolCall};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Agent;
use super::compose::stats;
use crate::error::AgentError;
use crate::events::{EventSink, Events, channel};
use crate::pictures::PictureStore;
use crate::scheduler::{Call, Parent, Place, Surroundings, refusal};

/// A picture drawn again, or why it could not be.
#[derive(Clone, Debug, PartialEq)]
pub struct Redrawn {
    pub index: usize,
    /// With the parameters that were asked for.
    pub call: ToolCall,
    pub outcome: Outcome,
}

impl Redrawn {
    /// Puts the picture into its document. Pictures that were made from the
    /// old one stay as they are. A failure leaves the old picture in place and
    /// gives false.
    pub fn apply(self, document: &mut Document) -> bool {
        if !matches!(self.outcome, Outcome::Ready { .. }) {
            return false;
        }
        for block in &mut document.blocks {
            match block {
                Block::Image(image) if image.index == self.index => {
                    image.call = Some(self.call);
                    image.outcome = self.outcome;
                    document.tools = stats(&document.blocks);
                    return true;
                }
                _ => {}
            }
        }
        false
    }
}

impl Agent {
    /// Draws image `index` again, with other parameters or another seed; a new
    /// random seed when none is given. The document is not changed:
    /// see [`Redrawn::apply`].
    ///
    /// # Errors
    /// [`AgentError`] if there is no such picture or the parameters are wrong.
    /// What happens while drawing is told in the outcome.
    #[expect(
        clippy::too_many_arguments,
        reason = "what, how, and three surroundings"
    )]
    pub async fn redraw(
        &self,
        document: &Document,
        index: usize,
        redraw: &RedrawRequest,
        image: ImageOptions,
        sink: &dyn EventSink,
        pictures: Arc<dyn PictureStore>,
        cancel: CancellationToken,
    ) -> Result<Redrawn, AgentError> {
        let block = block(document, index)?;
        let call = changed_call(block, redraw)?;
        let (events, pump) = channel();
        let surroundings = Surroundings {
            tools: self.tools.clone(),
            allowed: None,
            options: DrawOptions {
                image,
                seed: Some(redraw.seed.unwrap_or_else(rand::random)),
            },
            pictures,
            events: events.clone(),
            call_timeout: self.settings.call_timeout,
            cancel,
        };
        let drawing = async {
            let outcome = draw(document, index, &call, &surroundings).await;
            tell(&events, index, &outcome);
            outcome
        };
        let (outcome, ()) = tokio::join!(drawing, pump.run(sink));
        Ok(Redrawn {
            index,
            call,
            outcome,
        })
    }
}

fn tell(events: &Events, index: usize, outcome: &Outcome) {
    events.send(EventKind::ToolFinished {
        index,
        outcome: outcome.clone(),
    });
    events.end();
}

async fn draw(
    document: &Document,
    index: usize,
    call: &ToolCall,
    surroundings: &Surroundings,
) -> Outcome {
    let tool = match refusal(surroundings, call) {
        Ok(tool) => tool,
        Err(outcome) => return outcome,
    };
    let parent = match call.request {
        ToolRequest::Edit { img_index, .. } => {
            let place = stored(document, img_index, surroundings).await;
            let (_, place) = watch::channel(place);
            Some(Parent {
                index: img_index,
                place,
            })
        }
        _ => None,
    };
    let call = Call {
        index,
        request: call.request.clone(),
        tool,
        parent,
    };
    call.run(surroundings).await.0
}

/// An image of the document as it is now.
async fn stored(document: &Document, index: usize, surroundings: &Surroundings) -> Place {
    let drawn = document.images().find(|image| image.index == index);
    let image = match (
        document.inputs.get(index),
        drawn.map(|image| &image.outcome),
    ) {
        (Some(input), _) => input,
        (None, Some(Outcome::Ready { image, .. })) => image,
        (None, Some(Outcome::Failed { reason, .. })) => {
            return Place::Failed {
                reason: reason.clone(),
            };
        }
        (None, _) => {
            return Place::Failed {
                reason: "it is not there".into(),
            };
        }
    };
    match surroundings.pictures.get(image).await {
        Ok(picture) => Place::Ready {
            picture,
            id: image.id.clone(),
        },
        Err(error) => Place::Failed {
            reason: error.to_string(),
        },
    }
}

fn block(document: &Document, index: usize) -> Result<&ImageBlock, AgentError> {
    let mut images = document.images();
    images
        .find(|image| image.index == index)
        .ok_or(AgentError::NoSuchImage { index })
}

/// The call with `params` replaced, checked as strictly as a tag's.
fn changed_call(block: &ImageBlock, redraw: &RedrawRequest) -> Result<ToolCall, AgentError> {
    let call = block.call.as_ref().ok_or_else(|| {
        AgentError::Redraw("its tag was not a valid call, so it is unknown what to draw".into())
    })?;
    let Some(params) = &redraw.params else {
        return Ok(call.clone());
    };
    let literal = serde_json::json!({
        "source": call.kind().as_str(), "description": call.description, "params": params,
    });
    let changed = parse_call(&literal.to_string())
        .and_then(|call| validate_index(&call, block.index).map(|()| call));
    changed.map_err(|error| AgentError::Redraw(error.to_string()))
}
