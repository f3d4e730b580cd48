//! The contract of a tool.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
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

/// How far a picture is.
#[derive(Clone, Debug, PartialEq)]
pub struct Advance {
    /// The done share, 0..=1.
    pub fraction: f32,
    /// A small JPEG of where it stands, of at most [`LARGEST_PREVIEW`] bytes: a larger one
    /// is not passed on.
    pub preview: Option<Bytes>,
}

/// Bytes of a preview: every reader of an event stream gets each of them.
pub const LARGEST_PREVIEW: usize = 48 * 1024;

impl Advance {
    /// The done share alone.
    pub const fn share(fraction: f32) -> Self {
        Self {
            fraction,
            preview: None,
        }
    }
}

/// Hears how far a picture is.
pub type ProgressSink = Arc<dyn Fn(Advance) + Send + Sync>;

/// What surrounds one call.
#[derive(Clone)]
pub struct ToolContext {
    pub options: DrawOptions,
    /// For `edit`: the picture to change. Absent for the other tools.
    pub parent: Option<Picture>,
    pub cancel: CancellationToken,
    /// Told how far the picture is, where a backend knows it.
    pub progress: ProgressSink,
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
