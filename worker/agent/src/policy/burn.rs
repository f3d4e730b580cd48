//! A Hugging Face model folder, run in this process.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, stream};
use illumine_models::device::parse_device;
use illumine_models::generate::{self, CancelFlag, LanguageModel};
use illumine_models::sampling::SamplingParams;
use illumine_models::tokenizer::{ChatMessage, Role};
use illumine_types::document::Usage;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::demo;
use super::{ChatRequest, Delta, DeltaStream, FinishReason, Policy, PolicyError};

/// A model loaded once and shared by all requests.
#[derive(Clone)]
pub struct BurnPolicy {
    name: String,
    summary: String,
    model: Arc<LanguageModel>,
    /// Decoding is compute-bound: more at once than cores only slows each.
    turns: Arc<Semaphore>,
}

impl std::fmt::Debug for BurnPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BurnPolicy")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// New tokens when the request does not say.
const DEFAULT_MAX_TOKENS: usize = 4096;

impl BurnPolicy {
    /// Loads `demo` or a model folder; blocks while it reads.
    ///
    /// # Errors
    /// `model_load`, naming the file and the field at fault.
    pub fn load(model: &str, device: &str) -> Result<Self, PolicyError> {
        let failed = |error: &dyn std::fmt::Display| {
            PolicyError::permanent(
                "model_load",
                format!("the policy `burn:{model}` cannot be loaded: {error}"),
            )
        };
        let parsed = parse_device(device).map_err(|error| failed(&error))?;
        let is_demo = model == demo::NAME;
        let folder = if is_demo {
            Some(demo::unpack().map_err(|error| failed(&error))?)
        } else {
            None
        };
        let path = folder
            .as_ref()
            .map_or(Path::new(model), |folder| folder.path());
        let loaded = LanguageModel::load(path, &parsed).map_err(|error| failed(&error))?;
        let parameters = loaded.folder().config.num_parameters() as f64 / 1e6;
        let summary = if is_demo {
            format!(
                "demo policy ({parameters:.1} M parameters): shows how things work, knows nothing"
            )
        } else {
            let name = path
                .file_name()
                .map_or_else(|| model.into(), |name| name.to_string_lossy().into_owned());
            format!("{name} ({parameters:.0} M parameters) on {device}")
        };
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            name: format!("burn:{model}"),
            summary,
            model: Arc::new(loaded),
            turns: Arc::new(Semaphore::new(threads)),
        })
    }

    fn prepare(&self, request: &ChatRequest) -> Result<generate::GenerationRequest, PolicyError> {
        let mut messages = Vec::new();
        if !request.system.is_empty() {
            messages.push(ChatMessage::new(Role::System, request.system.as_str()));
        }
        // The demo policy was taught that a mark stands for each input picture.
        let marks = if self.name == format!("burn:{}", demo::NAME) {
            "[image] ".repeat(request.inputs)
        } else {
            String::new()
        };
        let prompt = format!("{marks}{}", request.prompt);
        messages.push(ChatMessage::new(Role::User, prompt));
        let prompt_ids = self
            .model
            .tokenizer()
            .encode_chat(&messages, true)
            .map_err(|error| PolicyError::permanent("model_prompt", error.to_string()))?;
        let mut prepared = generate::GenerationRequest::new(prompt_ids);
        prepared.max_new_tokens = request.max_tokens.map_or(DEFAULT_MAX_TOKENS, |tokens| {
            usize::try_from(tokens).unwrap_or(usize::MAX)
        });
        prepared.sampling = SamplingParams {
            temperature: request.temperature.unwrap_or(0.0),
            top_p: request.top_p.unwrap_or(1.0),
            seed: request.seed,
            ..SamplingParams::default()
        };
        Ok(prepared)
    }

    /// Writes the answer on a thread of its own.
    async fn write(
        &self,
        request: ChatRequest,
        cancel: CancellationToken,
        pieces: &Pieces,
    ) -> Result<(), PolicyError> {
        let prepared = self.prepare(&request)?;
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::select! {
            turn = turn => turn.map_err(|_| PolicyError::Cancelled)?,
            () = cancel.cancelled() => return Err(PolicyError::Cancelled),
        };
        let flag = CancelFlag::default();
        let (model, sender, seen) = (Arc::clone(&self.model), pieces.clone(), flag.clone());
        let mut writing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            model.generate(&prepared, &seen, |text| {
                match sender.blocking_send(Ok(Delta::Text(text.to_owned()))) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            })
        });
        let written = tokio::select! {
            written = &mut writing => written,
            () = cancel.cancelled() => {
                flag.cancel();
                writing.await
            }
        };
        let output = written
            .map_err(|_| PolicyError::transient("model_crashed", "the model stopped unexpectedly"))?
            .map_err(|error| PolicyError::permanent("model_request", error.to_string()))?;
        let usage = Usage {
            prompt_tokens: output.prompt_tokens as u64,
            completion_tokens: output.completion_tokens as u64,
        };
        let reason = match output.finish_reason {
            generate::FinishReason::Stop => FinishReason::Stop,
            generate::FinishReason::Length => FinishReason::Length,
            generate::FinishReason::Cancelled => return Err(PolicyError::Cancelled),
        };
        let _ = pieces.send(Ok(Delta::Finished { reason, usage })).await;
        Ok(())
    }
}

type Pieces = mpsc::Sender<Result<Delta, PolicyError>>;

impl Policy for BurnPolicy {
    fn name(&self) -> &str {
        &self.name
    }

    fn summary(&self) -> String {
        self.summary.clone()
    }

    fn vision(&self) -> bool {
        false
    }

    fn system_prompt(&self) -> Option<&str> {
        self.model.folder().system_prompt.as_deref()
    }

    fn stream(&self, request: ChatRequest, cancel: CancellationToken) -> DeltaStream {
        let (sender, receiver) = mpsc::channel(64);
        let policy = self.clone();
        tokio::spawn(async move {
            if let Err(error) = policy.write(request, cancel, &sender).await {
                let _ = sender.send(Err(error)).await;
            }
        });
        stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        })
        .boxed()
    }
}
