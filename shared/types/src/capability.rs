//! What an installation can do here and now (`GET /api/v1/capabilities`).

use serde::{Deserialize, Serialize};

use crate::job::WorkerRef;
use crate::tool::ToolKind;

/// One tool's state. A tool that cannot run says why and which setting would
/// enable it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ToolCapability {
    pub tool: ToolKind,
    pub available: bool,
    /// Backends that would be tried, in order.
    pub backends: Vec<String>,
    /// Why not, when not available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The setting that would enable it, e.g. `QWEN_IMAGE_SERVER_URL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// A policy that can be asked to write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyCapability {
    /// What `options.policy` takes, e.g. `burn:demo`.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// Whether it can look at input pictures.
    pub vision: bool,
    pub default: bool,
}

/// A live worker and what it serves; published with its heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkerInfo {
    pub worker: WorkerRef,
    pub version: String,
    pub device: String,
    pub queues: Vec<crate::job::JobKind>,
    pub concurrency: u32,
    pub running: Vec<crate::id::JobId>,
    pub tools: Vec<ToolCapability>,
    pub policies: Vec<PolicyCapability>,
    pub started_at: chrono::DateTime<chrono::Utc>,
    pub seen_at: chrono::DateTime<chrono::Utc>,
}

/// The sum over live workers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Capabilities {
    pub version: String,
    pub tools: Vec<ToolCapability>,
    pub policies: Vec<PolicyCapability>,
    pub devices: Vec<String>,
    pub workers: u32,
    /// Jobs waiting, all kinds.
    pub queue_length: u64,
    /// Whether a key is asked for.
    pub auth: bool,
    pub limits: Limits,
}

/// What a request may hold; the portal checks before it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limits {
    pub prompt_characters: usize,
    pub images: usize,
    pub image_bytes: usize,
    pub image_pixels: u64,
    pub max_tokens: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            prompt_characters: 32_000,
            images: 10,
            image_bytes: 20 * 1024 * 1024,
            image_pixels: 50_000_000,
            max_tokens: 32_768,
        }
    }
}
