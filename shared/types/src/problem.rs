//! Errors as everyone sees them: RFC 9457 problem details with stable codes.

use serde::{Deserialize, Serialize};

/// A problem in words. `code` is stable and listed in the OpenAPI document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// `urn:illumine:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    pub code: String,
    /// Short, the same for every occurrence of the code.
    pub title: String,
    /// What happened this time and what to do about it.
    pub detail: String,
    /// The request's field at fault, as a JSON path, e.g. `options.temperature`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    #[must_use]
    pub fn new(code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:illumine:problem:{code}"),
            code: code.to_owned(),
            title: title.to_owned(),
            detail: detail.into(),
            field: None,
        }
    }

    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)?;
        match &self.field {
            Some(field) => write!(f, " (field `{field}`)"),
            None => Ok(()),
        }
    }
}
