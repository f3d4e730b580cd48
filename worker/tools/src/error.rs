//! How a tool fails: for a passing reason, for good, or by refusal.

use std::time::Duration;

/// A tool's failure. `code` is stable; the message is for people and names the
/// remedy where there is one. It never holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ToolError {
    /// May succeed when tried again (time-out, 429, 5xx, lost connection).
    #[error("{message}")]
    Transient {
        code: &'static str,
        message: String,
        retry_after: Option<Duration>,
    },
    /// Will not succeed as asked (bad program, nothing found, bad request).
    #[error("{message}")]
    Permanent { code: &'static str, message: String },
    /// Must not be done (policy of the service, guarded address, sandbox).
    #[error("{message}")]
    Refused { code: &'static str, message: String },
    /// No backend is configured for this tool.
    #[error("{message}")]
    Unavailable { message: String },
    #[error("cancelled")]
    Cancelled,
}

impl ToolError {
    pub fn transient(code: &'static str, message: impl Into<String>) -> Self {
        Self::Transient {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        Self::Permanent {
            code,
            message: message.into(),
        }
    }

    pub fn refused(code: &'static str, message: impl Into<String>) -> Self {
        Self::Refused {
            code,
            message: message.into(),
        }
    }

    /// Stable code, as in `Outcome::Failed`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Transient { code, .. }
            | Self::Permanent { code, .. }
            | Self::Refused { code, .. } => code,
            Self::Unavailable { .. } => "tool_unavailable",
            Self::Cancelled => "cancelled",
        }
    }

    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}
