//! What writes the text: an OpenAI-compatible server, or a Burn model here.
//!
//! A policy streams [`Delta`]s for a [`ChatRequest`]. Everything above this
//! module is the same for both kinds.

pub mod burn;
pub mod demo;
pub mod given;
pub mod openai;
mod spec;
mod sse;

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use illumine_types::document::Usage;
use tokio_util::sync::CancellationToken;

pub use spec::{PolicySpec, parse_spec};

/// What the policy is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    pub system: String,
    pub prompt: String,
    /// Number of input pictures, given or not.
    pub inputs: usize,
    /// Input pictures in order; given only to a policy with vision.
    pub images: Vec<ChatImage>,
    pub max_tokens: Option<u32>,
    /// 0 is greedy; the policy's own default when absent.
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub seed: Option<u64>,
}

/// A picture for a policy that can look.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatImage {
    pub bytes: Bytes,
    pub mime: String,
}

/// A piece of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Never splits a character.
    Text(String),
    /// The last piece.
    Finished { reason: FinishReason, usage: Usage },
}

/// Why a policy stopped by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It said all it had to say.
    Stop,
    /// It met the token limit.
    Length,
}

/// Why a policy did not, or not wholly, answer. Messages hold no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PolicyError {
    /// The answer may come when asked again.
    #[error("{message}")]
    Transient {
        code: &'static str,
        message: String,
        retry_after: Option<Duration>,
    },
    /// The same question gets the same refusal.
    #[error("{message}")]
    Permanent { code: &'static str, message: String },
    #[error("cancelled")]
    Cancelled,
}

impl PolicyError {
    pub(crate) fn transient(code: &'static str, message: impl Into<String>) -> Self {
        Self::Transient {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        Self::Permanent {
            code,
            message: message.into(),
        }
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Transient { code, .. } | Self::Permanent { code, .. } => code,
            Self::Cancelled => "cancelled",
        }
    }

    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}

/// A stream that ends with [`Delta::Finished`] or an error.
pub type DeltaStream = BoxStream<'static, Result<Delta, PolicyError>>;

/// A language model that writes.
pub trait Policy: Send + Sync {
    /// As configured, without its key; stored in the document.
    fn name(&self) -> &str;

    /// One line for people.
    fn summary(&self) -> String;

    /// Whether it can look at pictures.
    fn vision(&self) -> bool;

    /// A system prompt that belongs to the model (a minijinja template), in
    /// place of the built-in one.
    fn system_prompt(&self) -> Option<&str> {
        None
    }

    /// Starts to write. Waits for its turn where the policy serves only so many
    /// at once; ends soon after `cancel` fires.
    fn stream(&self, request: ChatRequest, cancel: CancellationToken) -> DeltaStream;
}

/// Opens the policy that a specification names. A Burn model is loaded here,
/// which blocks: call it on a thread that may.
///
/// # Errors
/// `invalid_policy` or `model_load`, in words.
pub fn open(
    spec: &str,
    settings: &illumine_config::PolicySettings,
    device: &str,
) -> Result<std::sync::Arc<dyn Policy>, PolicyError> {
    match parse_spec(spec)? {
        PolicySpec::Burn {
            model,
            lora,
            device: own,
        } => {
            let device = own.as_deref().unwrap_or(device);
            let policy = burn::BurnPolicy::load_adapted(&model, lora.as_deref(), device)?
                .with_constrained_tags(settings.constrain_tags);
            Ok(std::sync::Arc::new(policy))
        }
        PolicySpec::OpenAi { base_url, model } => {
            let idle = Duration::from_secs(settings.idle_timeout_s);
            let policy =
                openai::OpenAiPolicy::new(&base_url, &model, settings.api_key.clone(), idle)?;
            let policy = policy.with_constrained_tags(settings.constrain_tags);
            Ok(std::sync::Arc::new(policy))
        }
    }
}
