//! One way to make a picture; what is common to all is in `runner`.

use std::time::Duration;

use async_trait::async_trait;
use illumine_types::document::ImageSource;
use illumine_types::tool::ToolRequest;
use serde_json::{Map, Value};

use crate::{Picture, ToolContext, ToolError};

/// What a backend made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub picture: Picture,
    pub model: Option<String>,
    /// As sent.
    pub seed: Option<u64>,
    /// What was sent beyond the call.
    pub parameters: Map<String, Value>,
    pub source: Option<ImageSource>,
}

/// A backend of one tool. It makes one attempt; time, retries, concurrency and
/// cancelling are the runner's.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// As in `ILLUMINE_SEARCH` and its like.
    fn name(&self) -> &'static str;

    /// Attempts at a time.
    fn concurrency(&self) -> usize {
        4
    }

    /// For one attempt.
    fn time_limit(&self) -> Duration;

    async fn make(&self, request: &ToolRequest, context: &ToolContext) -> Result<Made, ToolError>;
}

/// The error for a call that reached the wrong tool.
pub(crate) fn wrong_tool() -> ToolError {
    ToolError::permanent("wrong_tool", "the call is for another tool")
}
