//! What all backends have in common: order, time, concurrency, retries,
//! cancelling, cache, provenance.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use illumine_guard::picture::PictureKind;
use illumine_types::capability::ToolCapability;
use illumine_types::document::{ParentImage, Provenance};
use illumine_types::tool::ToolRequest;
use illumine_types::{BlobKey, ToolKind};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::Missing;
use super::backend::{Backend, Made, wrong_tool};
use super::cache::{Cache, key};
use super::retry::Retry;
use crate::{ImageTool, ToolContext, ToolError, ToolImage};

const CACHED_PICTURES: usize = 128;
const CACHED_BYTES: usize = 128 * 1024 * 1024;
/// Long enough for a document, short enough that asking again tomorrow gives
/// new pictures.
const CACHED_FOR: Duration = Duration::from_secs(15 * 60);
/// Of a prompt or a query.
const LONGEST_TEXT: usize = 20_000;

/// A tool as its backends, in order of preference.
pub(crate) struct Runner {
    kind: ToolKind,
    slots: Vec<Slot>,
    /// Backends that were named or could be, and what they lack.
    missing: Vec<Missing>,
    retry: Retry,
    cache: Cache,
}

struct Slot {
    backend: Box<dyn Backend>,
    permits: Semaphore,
}

impl Runner {
    pub(crate) fn new(
        kind: ToolKind,
        backends: Vec<Box<dyn Backend>>,
        missing: Vec<Missing>,
        retry: Retry,
    ) -> Self {
        let slot = |backend: Box<dyn Backend>| Slot {
            permits: Semaphore::new(backend.concurrency().max(1)),
            backend,
        };
        Self {
            kind,
            slots: backends.into_iter().map(slot).collect(),
            missing,
            retry,
            cache: Cache::new(CACHED_PICTURES, CACHED_BYTES, CACHED_FOR),
        }
    }

    async fn try_all(
        &self,
        request: &ToolRequest,
        context: &ToolContext,
    ) -> Result<ToolImage, ToolError> {
        let start = Instant::now();
        let mut attempts = 0;
        let mut failures: Vec<(&'static str, ToolError)> = Vec::new();
        for slot in &self.slots {
            let name = slot.backend.name();
            let key = key(name, request, context);
            if let Some(mut made) = self.cache.get(&key) {
                made.parameters.insert("cached".into(), json!(true));
                return Ok(self.finish(made, name, start, attempts + 1, request, context));
            }
            match self.try_one(slot, request, context, &mut attempts).await {
                Ok(made) => {
                    self.cache.put(key, &made);
                    return Ok(self.finish(made, name, start, attempts, request, context));
                }
                // what one service refuses on its policy is not asked of another
                Err(error) if error.code() == "refused_by_service" => return Err(error),
                Err(error) => {
                    tracing::info!(tool = %self.kind, backend = name, code = error.code(), %error, "backend failed");
                    failures.push((name, error));
                }
            }
        }
        Err(self.verdict(failures))
    }

    async fn try_one(
        &self,
        slot: &Slot,
        request: &ToolRequest,
        context: &ToolContext,
        attempts: &mut u32,
    ) -> Result<Made, ToolError> {
        let backend = &slot.backend;
        let mut attempt = 1;
        loop {
            let permit = slot.permits.acquire().await;
            let permit = permit.map_err(|_| ToolError::Cancelled)?;
            *attempts += 1;
            let made = tokio::time::timeout(backend.time_limit(), backend.make(request, context));
            let made = made
                .await
                .unwrap_or_else(|_| Err(too_slow(backend.as_ref())));
            drop(permit);
            let error = match made {
                Ok(made) => return Ok(made),
                Err(error) => error,
            };
            let Some(wait) = self.retry.wait(attempt, &error, rand::random()) else {
                return Err(error);
            };
            tracing::debug!(tool = %self.kind, backend = backend.name(), code = error.code(), wait_ms = wait.as_millis(), "trying again");
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    /// One failure speaks for itself; of several, the first gives the kind and
    /// the code, and the message tells them all.
    fn verdict(&self, failures: Vec<(&'static str, ToolError)>) -> ToolError {
        let told: Vec<String> = failures
            .iter()
            .map(|(name, error)| format!("{name}: {error}"))
            .collect();
        let several = failures.len() > 1;
        let Some((_, mut first)) = failures.into_iter().next() else {
            return self.unavailable();
        };
        if let (
            true,
            ToolError::Transient { message, .. }
            | ToolError::Permanent { message, .. }
            | ToolError::Refused { message, .. },
        ) = (several, &mut first)
        {
            *message = told.join(" · ");
        }
        first
    }

    fn unavailable(&self) -> ToolError {
        let capability = self.capability();
        let reason = capability.reason.unwrap_or_default();
        let message = match capability.remedy {
            Some(remedy) => format!("{reason}; set {remedy}"),
            None => reason,
        };
        ToolError::Unavailable { message }
    }

    fn finish(
        &self,
        made: Made,
        backend: &str,
        start: Instant,
        attempts: u32,
        request: &ToolRequest,
        context: &ToolContext,
    ) -> ToolImage {
        let provenance = Provenance {
            tool: self.kind,
            backend: backend.to_owned(),
            model: made.model,
            seed: made.seed,
            parameters: made.parameters,
            source: made.source,
            program: None,
            parent: parent(request, context),
            elapsed_ms: millis(start.elapsed()),
            attempts,
        };
        ToolImage {
            picture: made.picture,
            provenance,
        }
    }
}

#[async_trait]
impl ImageTool for Runner {
    fn kind(&self) -> ToolKind {
        self.kind
    }

    fn capability(&self) -> ToolCapability {
        let backends: Vec<String> = self
            .slots
            .iter()
            .map(|slot| slot.backend.name().to_owned())
            .collect();
        let available = !backends.is_empty();
        let reasons: Vec<&str> = self.missing.iter().map(|one| one.reason.as_str()).collect();
        let remedies: Vec<&str> = self.missing.iter().map(|one| one.remedy).collect();
        let text = |parts: Vec<&str>, between: &str| {
            (!available && !parts.is_empty()).then(|| parts.join(between))
        };
        ToolCapability {
            tool: self.kind,
            available,
            backends,
            reason: text(reasons, "; "),
            remedy: text(remedies, " or "),
        }
    }

    async fn run(
        &self,
        request: &ToolRequest,
        context: &ToolContext,
    ) -> Result<ToolImage, ToolError> {
        if request.kind() != self.kind {
            return Err(wrong_tool());
        }
        check_text(request)?;
        if self.slots.is_empty() {
            return Err(self.unavailable());
        }
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => Err(ToolError::Cancelled),
            made = self.try_all(request, context) => made,
        }
    }
}

fn check_text(request: &ToolRequest) -> Result<(), ToolError> {
    let text = match request {
        ToolRequest::Search { query } => query,
        ToolRequest::Diffusion { prompt } | ToolRequest::Edit { prompt, .. } => prompt,
        ToolRequest::Code { code } => code,
    };
    if text.trim().is_empty() {
        return Err(ToolError::permanent("empty_call", "the call says nothing"));
    }
    if text.len() > LONGEST_TEXT {
        let message = format!("the call is longer than {LONGEST_TEXT} bytes");
        return Err(ToolError::permanent("call_too_long", message));
    }
    Ok(())
}

fn too_slow(backend: &dyn Backend) -> ToolError {
    let seconds = backend.time_limit().as_secs_f32();
    let message = format!("{} took longer than {seconds:.0} s", backend.name());
    ToolError::transient("backend_timeout", message)
}

fn parent(request: &ToolRequest, context: &ToolContext) -> Option<ParentImage> {
    let ToolRequest::Edit { img_index, .. } = request else {
        return None;
    };
    let bytes = &context.parent.as_ref()?.bytes;
    let extension = PictureKind::of(bytes)?.extension();
    let digest: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some(ParentImage {
        index: *img_index,
        id: BlobKey::parse(&format!("{digest}.{extension}")).ok()?,
    })
}

fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
