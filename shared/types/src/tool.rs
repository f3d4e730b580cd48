//! The four tools and what a model asks of them.

use serde::{Deserialize, Serialize};

/// Which of the four tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// A real picture, found.
    Search,
    /// An invented picture.
    Diffusion,
    /// A chart drawn by a Python program.
    Code,
    /// A change to an earlier picture.
    Edit,
}

impl ToolKind {
    pub const ALL: [Self; 4] = [Self::Search, Self::Diffusion, Self::Code, Self::Edit];

    /// The word that a tag's `source` uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Diffusion => "diffusion",
            Self::Code => "code",
            Self::Edit => "edit",
        }
    }

    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl std::fmt::Display for ToolKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one tool is asked to do: the tag's `source` and `params`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(
    tag = "source",
    content = "params",
    rename_all = "snake_case",
    deny_unknown_fields
)]
pub enum ToolRequest {
    Search {
        query: String,
    },
    Diffusion {
        prompt: String,
    },
    Code {
        code: String,
    },
    /// `img_index` counts the input images first, then every tag in order,
    /// failed ones included.
    Edit {
        img_index: usize,
        prompt: String,
    },
}

impl ToolRequest {
    #[must_use]
    pub const fn kind(&self) -> ToolKind {
        match self {
            Self::Search { .. } => ToolKind::Search,
            Self::Diffusion { .. } => ToolKind::Diffusion,
            Self::Code { .. } => ToolKind::Code,
            Self::Edit { .. } => ToolKind::Edit,
        }
    }
}

/// A valid tag: what to draw and the caption under it.
/// As JSON `{"source":…,"description":…,"params":{…}}`, as in a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolCall {
    #[serde(flatten)]
    pub request: ToolRequest,
    pub description: String,
}

impl ToolCall {
    #[must_use]
    pub const fn kind(&self) -> ToolKind {
        self.request.kind()
    }
}

/// Attempts and successes of one tool within a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolCount {
    pub attempted: u32,
    pub succeeded: u32,
}

/// Attempts and successes by tool; `invalid` counts tags that were no call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolStats {
    pub search: ToolCount,
    pub diffusion: ToolCount,
    pub code: ToolCount,
    pub edit: ToolCount,
    pub invalid: u32,
}

impl ToolStats {
    pub fn count_mut(&mut self, kind: ToolKind) -> &mut ToolCount {
        match kind {
            ToolKind::Search => &mut self.search,
            ToolKind::Diffusion => &mut self.diffusion,
            ToolKind::Code => &mut self.code,
            ToolKind::Edit => &mut self.edit,
        }
    }

    #[must_use]
    pub const fn count(&self, kind: ToolKind) -> ToolCount {
        match kind {
            ToolKind::Search => self.search,
            ToolKind::Diffusion => self.diffusion,
            ToolKind::Code => self.code,
            ToolKind::Edit => self.edit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_written_as_its_tag_is() {
        let call = ToolCall {
            request: ToolRequest::Edit {
                img_index: 1,
                prompt: "make it night".into(),
            },
            description: "The same street by night".into(),
        };
        let json = serde_json::to_value(&call).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"source":"edit","description":"The same street by night",
                "params":{"img_index":1,"prompt":"make it night"}})
        );
        assert_eq!(serde_json::from_value::<ToolCall>(json).unwrap(), call);
    }
}
