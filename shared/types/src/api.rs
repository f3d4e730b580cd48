//! Requests and answers of the REST API (`/api/v1`).

use serde::{Deserialize, Serialize};

use crate::id::{BlobKey, JobId};
use crate::job::{JobState, Priority};
use crate::tool::ToolKind;

/// `POST /api/v1/generations`; also the `request` in `jobs/{id}/request.json`
/// (with every picture already uploaded and named by `input_id`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GenerationRequest {
    pub prompt: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<InputImage>,
    #[serde(default)]
    pub options: GenerationOptions,
    /// Called with the finished job (http or https).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

/// A picture given with a prompt, in exactly one of three ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InputImage {
    /// From `POST /api/v1/inputs`.
    InputId(BlobKey),
    /// Fetched through the URL guard.
    Url(String),
    Base64(String),
}

/// How to write and draw. What is left out takes the configured default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct GenerationOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// 1..=32768.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0..=2; 0 is greedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// 0 < top_p <= 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Tools that may be used; all that are available by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<ToolKind>>,
    /// Candidates to choose from, 1..=8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u32>,
    pub priority: Priority,
    pub image: ImageOptions,
}

/// How invented and edited pictures are drawn.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ImageOptions {
    /// Pixels, 64..=4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels, 64..=4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// 1..=200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// 0..=30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f32>,
}

/// Answer of every create: 202 with where to look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Accepted {
    pub id: JobId,
    pub status: JobState,
    pub links: Links,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Links {
    #[serde(rename = "self")]
    pub this: String,
    pub events: String,
    pub document: String,
    pub cancel: String,
}

impl Accepted {
    /// The answer for a generation.
    #[must_use]
    pub fn generation(id: JobId, status: JobState) -> Self {
        let this = format!("/api/v1/generations/{id}");
        let links = Links {
            events: format!("{this}/events"),
            document: format!("/api/v1/documents/{id}"),
            cancel: format!("{this}/cancel"),
            this,
        };
        Self { id, status, links }
    }
}

/// A page of a list; `next_cursor` is `null` on the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next_cursor: Option<String>,
}

/// Answer of `POST /api/v1/inputs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UploadedInput {
    pub input_id: BlobKey,
    pub url: String,
    pub mime: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// `POST /api/v1/session`: signs a browser in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    pub key: String,
}

/// `GET /api/v1/session`: who one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Session {
    /// Whether requests are answered (signed in, or no key is asked for).
    pub signed_in: bool,
    pub auth: bool,
    pub role: Option<Role>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Admin,
    Member,
}

/// `POST /api/v1/documents/{id}/images/{index}/redraw`. An empty body draws
/// again with a new seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RedrawRequest {
    /// Replaces the call's `params`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// What `jobs/{id}/request.json` of a [`crate::JobKind::Redraw`] holds. The job
/// has events of its own (`tool_progress`, `tool_finished`, `completed`); when
/// it has completed, the document has a new version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RedrawJob {
    pub document: JobId,
    /// Position among all images, as in the block.
    pub index: usize,
    #[serde(flatten)]
    pub redraw: RedrawRequest,
}

/// `POST /api/v1/keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// 1 to 100 characters.
    pub name: String,
    pub role: Role,
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyInfo {
    pub id: crate::id::ApiKeyId,
    pub name: String,
    pub role: Role,
    pub created_at: chrono::DateTime<chrono::Utc>,
}

/// Answer of `POST /api/v1/keys`: the only time that the secret is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CreatedKey {
    #[serde(flatten)]
    pub key: KeyInfo,
    pub secret: String,
}

/// How full one kind's queue is (`GET /api/v1/queue`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueueStatus {
    pub kind: crate::job::JobKind,
    /// Waiting, by priority.
    pub waiting: std::collections::BTreeMap<String, u64>,
    pub running: u64,
    /// Waiting for another attempt.
    pub delayed: u64,
    pub paused: bool,
}
