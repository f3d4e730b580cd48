//! The document: text blocks and image blocks in order.

use serde::{Deserialize, Serialize};

use crate::id::{BlobKey, JobId};
use crate::problem::Problem;
use crate::tool::{ToolCall, ToolKind, ToolStats};

/// A finished or partial illustrated document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Document {
    pub id: JobId,
    /// First heading, else the first words of the prompt.
    pub title: String,
    pub prompt: String,
    /// Pictures that came with the prompt; indexes 0.. of `img_index`.
    #[serde(default)]
    pub inputs: Vec<ImageRef>,
    pub blocks: Vec<Block>,
    pub tools: ToolStats,
    /// What wrote the text, as configured, e.g. `burn:demo` (never a key).
    pub policy: String,
    pub usage: Usage,
    pub timings: Timings,
    /// Set when the document is not all that was asked for: the policy broke
    /// off, a limit was met, or the job was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interruption: Option<Problem>,
    /// What a reader should know of how it was made, in words: a policy that
    /// cannot see the pictures it was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Grows with each stored version (a redraw makes a new one).
    pub version: u32,
    pub created_at: chrono::DateTime<chrono::Utc>,
}

impl Document {
    /// The image blocks, in order.
    pub fn images(&self) -> impl Iterator<Item = &ImageBlock> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Image(image) => Some(image),
            Block::Text { .. } => None,
        })
    }
}

/// A piece of the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Untrusted Markdown, as the model wrote it.
    Text {
        markdown: String,
    },
    Image(ImageBlock),
}

/// A picture's place: what was asked, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageBlock {
    /// Position among all images: inputs first, then every tag in order.
    pub index: usize,
    /// `null` when the tag was not a valid call.
    pub call: Option<ToolCall>,
    /// The tag's inside, as the model wrote it.
    pub raw: String,
    pub outcome: Outcome,
}

/// State of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    Pending,
    Ready {
        image: ImageRef,
        provenance: Box<Provenance>,
    },
    /// `code` is stable (`invalid_tag`, `tool_unavailable`, `tool_timeout`, …);
    /// `reason` is for people and names the remedy where there is one.
    Failed {
        code: String,
        reason: String,
    },
}

/// A stored picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageRef {
    pub id: BlobKey,
    /// Relative to the server, e.g. `/api/v1/images/9f86….png`.
    pub url: String,
    pub mime: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// Where a picture came from: enough to trace it and to draw it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Provenance {
    pub tool: ToolKind,
    /// E.g. `serpapi`, `library`, `qwen`, `ark`, `openai`, `sandbox`.
    pub backend: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What the backend was sent beyond the call (size, steps, guidance …).
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub parameters: serde_json::Map<String, serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ImageSource>,
    /// For `code`: the program as run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// For `edit`: the picture that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentImage>,
    pub elapsed_ms: u64,
    /// Backend attempts, 1 when the first served.
    pub attempts: u32,
}

/// Where a found picture was published.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImageSource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParentImage {
    pub index: usize,
    pub id: BlobKey,
}

/// Tokens read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// Wall times, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Timings {
    /// From submission to the worker's start (0 without a queue).
    pub queued_ms: u64,
    /// From start to the policy's last token.
    pub writing_ms: u64,
    /// From start to the last picture.
    pub total_ms: u64,
}
