//! A picture model of this process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use illumine_types::tool::ToolRequest;
use serde_json::{Map, json};

use super::{prompt, seed_or_fresh};
use crate::painter::{PaintOrder, PaintWatch, Painter};
use crate::toolbox::backend::{Backend, Made};
use crate::{Picture, ToolContext, ToolError};

/// Invents pictures.
#[derive(Debug)]
pub(crate) struct BurnImage {
    pub painter: Arc<dyn Painter>,
    pub timeout: Duration,
}

#[async_trait]
impl Backend for BurnImage {
    fn name(&self) -> &'static str {
        "burn"
    }

    fn time_limit(&self) -> Duration {
        self.timeout
    }

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError> {
        paint(&*self.painter, prompt(request)?, Vec::new(), context).await
    }
}

/// Has `painter` paint, and tells how.
pub(crate) async fn paint(
    painter: &dyn Painter,
    prompt: &str,
    pictures: Vec<Picture>,
    context: &ToolContext,
) -> Result<Made, ToolError> {
    let image = &context.options.image;
    // A picture to change keeps its own shape.
    let sized = pictures.is_empty();
    let seed = seed_or_fresh(context.options.seed);
    let order = PaintOrder {
        prompt: prompt.to_owned(),
        pictures,
        width: image.width.filter(|_| sized),
        height: image.height.filter(|_| sized),
        steps: image.steps,
        guidance: image.guidance,
        seed,
    };
    let watch = PaintWatch {
        cancel: context.cancel.clone(),
        progress: Arc::clone(&context.progress),
    };
    let painted = painter.paint(order, watch).await?;
    let mut parameters = Map::from_iter([
        ("width".to_owned(), json!(painted.width)),
        ("height".to_owned(), json!(painted.height)),
        ("steps".to_owned(), json!(painted.steps)),
        ("guidance".to_owned(), json!(painted.guidance)),
    ]);
    if !painted.notes.is_empty() {
        parameters.insert("notes".to_owned(), json!(painted.notes));
    }
    Ok(Made {
        picture: painted.picture,
        model: Some(painted.model),
        seed: Some(seed),
        parameters,
        source: None,
    })
}
