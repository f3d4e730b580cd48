//! The contract of a tool.

use std::sync::Arc;

use async_trait::async_trait;
use illumine_types::ToolKind;
use illumine_types::api::ImageOptions;
use illumine_types::capability::ToolCapability;
use illumine_types::document::Provenance;
use illumine_types::tool::ToolRequest;
use tokio_util::sync::CancellationToken;

use crate::{Picture, ToolError};

/// What a tool made.
#[derive(Clone, Debug)]
pub struct ToolImage {
    pub picture: Picture,
    pub provenance: Provenance,
}

/// How to draw, from the request's options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrawOptions {
    pub image: ImageOptions,
    /// Makes a redraw reproducible where the backend honours it.
    pub seed: Option<u64>,
}

/// What surrounds one call.
#[derive(Clone)]
pub struct ToolContext {
    pub options: DrawOptions,
    /// For `edit`: the picture to change. Absent for the other tools.
    pub parent: Option<Picture>,
    pub cancel: CancellationToken,
    /// Told the done share, 0..=1, where a backend knows it.
    pub progress: Arc<dyn Fn(f32) + Send + Sync>,
}

impl std::fmt::Debug for ToolContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToolContext")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Default for ToolContext {
    fn default() -> Self {
        Self {
            options: DrawOptions::default(),
            parent: None,
            cancel: CancellationToken::new(),
            progress: Arc::new(|_| {}),
        }
    }
}

/// One of the four tools, with all its backends behind it.
#[async_trait]
pub trait ImageTool: Send + Sync {
    fn kind(&self) -> ToolKind;

    /// Whether it can run now, and if not, why and which setting would help.
    fn capability(&self) -> ToolCapability;

    /// Makes one picture. Bounded in time, size and concurrency; retries
    /// transient failures itself and falls back to the next backend.
    ///
    /// # Errors
    /// [`ToolError`]; its message is shown to people.
    async fn run(
        &self,
        request: &ToolRequest,
        context: &ToolContext,
    ) -> Result<ToolImage, ToolError>;
}
