//! Why a call failed.

use illumine_types::Problem;
use wasm_bindgen::JsValue;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApiError {
    /// No answer at all.
    #[error("The server could not be reached. Check that it runs and that you are connected.")]
    Unreachable,
    /// The server said no, in words.
    #[error("{}", .problem.detail)]
    Refused { status: u16, problem: Problem },
    /// An answer that is none of ours, from a proxy perhaps.
    #[error("The server’s answer could not be read ({0}).")]
    Unreadable(String),
}

impl ApiError {
    /// Stable; the server's own where it gave one.
    pub fn code(&self) -> &str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused { problem, .. } => &problem.code,
            Self::Unreadable(_) => "unreadable",
        }
    }

    /// A few words for a heading.
    pub fn title(&self) -> &str {
        match self {
            Self::Unreachable => "No connection",
            Self::Refused { problem, .. } => &problem.title,
            Self::Unreadable(_) => "Unexpected answer",
        }
    }

    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// From an answer with an error status.
    pub fn refused(status: u16, body: &str) -> Self {
        match serde_json::from_str::<Problem>(body) {
            Ok(problem) => Self::Refused { status, problem },
            Err(_) => Self::Unreadable(format!("status {status}")),
        }
    }

    pub fn from_js(error: JsValue) -> Self {
        Self::Unreadable(error.as_string().unwrap_or_else(|| "browser error".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::ApiError;

    #[test]
    fn a_problem_speaks_for_itself() {
        let body = r#"{"type":"urn:illumine:problem:prompt_empty","code":"prompt_empty",
            "title":"The prompt is empty","detail":"Say something.","field":"prompt"}"#;
        let error = ApiError::refused(422, body);
        assert_eq!(error.code(), "prompt_empty");
        assert_eq!(error.to_string(), "Say something.");
        assert!(!error.is_not_found());
    }

    #[test]
    fn a_proxys_page_is_not_shown() {
        let error = ApiError::refused(502, "<html>Bad gateway</html>");
        assert_eq!(
            error.to_string(),
            "The server’s answer could not be read (status 502)."
        );
    }
}
