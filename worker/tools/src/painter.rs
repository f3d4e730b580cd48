//! Painters: picture models in the same process, which whoever makes the toolbox
//! brings along. This crate knows no model.

use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::tool::ProgressSink;
use crate::{Picture, ToolError};

/// What to paint.
#[derive(Clone, Debug)]
pub struct PaintOrder {
    pub prompt: String,
    /// To change; none for an invented picture.
    pub pictures: Vec<Picture>,
    /// The model's own, or the picture's, where absent.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub steps: Option<u32>,
    pub guidance: Option<f32>,
    pub seed: u64,
}

/// How a painter is followed and stopped.
#[derive(Clone)]
pub struct PaintWatch {
    pub cancel: CancellationToken,
    /// Told of each step.
    pub progress: ProgressSink,
}

/// What was painted, and how.
#[derive(Clone, Debug)]
pub struct Painted {
    pub picture: Picture,
    pub model: String,
    pub width: u32,
    pub height: u32,
    pub steps: u32,
    pub guidance: f32,
    /// What was changed in the order, in words.
    pub notes: Vec<String>,
}

/// A picture model.
#[async_trait]
pub trait Painter: Send + Sync + std::fmt::Debug {
    /// As configured, without any secret.
    fn model(&self) -> String;

    /// Paints one picture.
    ///
    /// # Errors
    /// [`ToolError`]; transient when trying again may help.
    async fn paint(&self, order: PaintOrder, watch: PaintWatch) -> Result<Painted, ToolError>;
}

/// A painter, or why the model that the configuration names cannot paint; none where it
/// names none.
pub type Named = Option<Result<Arc<dyn Painter>, String>>;

/// The painters of the two tools.
#[derive(Clone, Debug, Default)]
pub struct Painters {
    pub diffusion: Named,
    pub edit: Named,
}
