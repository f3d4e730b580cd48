//! Why no document came of a request.

use crate::policy::PolicyError;

/// A failure before anything was written. What fails later is told in the
/// document itself.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The system prompt is no valid template.
    #[error("the system prompt cannot be used: {0}")]
    Prompt(String),
    #[error("input picture {index} cannot be read: {reason}")]
    Input { index: usize, reason: String },
    #[error("the document has no image {index}")]
    NoSuchImage { index: usize },
    #[error("this picture cannot be drawn again: {0}")]
    Redraw(String),
}

impl AgentError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Policy(error) => error.code(),
            Self::Prompt(_) => "invalid_system_prompt",
            Self::Input { .. } => "input_unreadable",
            Self::NoSuchImage { .. } => "no_such_image",
            Self::Redraw(_) => "redraw_refused",
        }
    }

    /// Whether another attempt may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Policy(error) => error.is_transient(),
            Self::Input { .. } => true,
            Self::Prompt(_) | Self::NoSuchImage { .. } | Self::Redraw(_) => false,
        }
    }
}
