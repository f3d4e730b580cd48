//! A model that looks at the pictures given with a prompt. It decodes one
//! request a core, each on a thread of its own.

use std::ops::ControlFlow;
use std::sync::Arc;

use illumine_models::generate::{CancelFlag, GenerationOutput, VisionLanguageModel};
use illumine_models::load::ModelFolder;
use illumine_models::qwen25_vl::{Part, Picture, VisionMessage};
use illumine_models::tokenizer::Role;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{ChatRequest, Delta, Pieces, PolicyError, crashed, finished, prepare, prompt_error};

#[derive(Clone)]
pub(super) struct VisionWriter {
    model: Arc<VisionLanguageModel>,
    /// The adapter that every answer is written with.
    adapter: Option<String>,
    /// Decoding is compute-bound: more at once than cores only slows each.
    turns: Arc<Semaphore>,
}

impl VisionWriter {
    pub(super) fn new(model: VisionLanguageModel, adapter: Option<String>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            model: Arc::new(model),
            adapter,
            turns: Arc::new(Semaphore::new(threads)),
        }
    }

    pub(super) fn folder(&self) -> &ModelFolder {
        self.model.folder()
    }

    /// Writes the answer on a thread of its own.
    pub(super) async fn write(
        &self,
        request: ChatRequest,
        cancel: CancellationToken,
        pieces: &Pieces,
    ) -> Result<(), PolicyError> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::select! {
            turn = turn => turn.map_err(|_| PolicyError::Cancelled)?,
            () = cancel.cancelled() => return Err(PolicyError::Cancelled),
        };
        let flag = CancelFlag::default();
        let (model, sender, seen) = (Arc::clone(&self.model), pieces.clone(), flag.clone());
        let adapter = self.adapter.clone();
        let mut writing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            answer(
                &model,
                adapter.as_deref(),
                &request,
                &seen,
                |text| match sender.blocking_send(Ok(Delta::Text(text.to_owned()))) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                },
            )
        });
        let written = tokio::select! {
            written = &mut writing => written,
            () = cancel.cancelled() => {
                flag.cancel();
                writing.await
            }
        };
        let output = written.map_err(|_| crashed())??;
        let end = finished(
            output.finish_reason,
            output.prompt_tokens,
            output.completion_tokens,
        )?;
        let _ = pieces.send(Ok(end)).await;
        Ok(())
    }
}

/// The answer to a request whose pictures stand before its words, as in
/// `img_index`.
fn answer(
    model: &VisionLanguageModel,
    adapter: Option<&str>,
    request: &ChatRequest,
    cancel: &CancelFlag,
    on_text: impl FnMut(&str) -> ControlFlow<()>,
) -> Result<GenerationOutput, PolicyError> {
    let mut messages = Vec::new();
    if !request.system.is_empty() {
        messages.push(VisionMessage::text(Role::System, request.system.as_str()));
    }
    let mut content = Vec::new();
    for (index, image) in request.images.iter().enumerate() {
        let name = format!("input {index}");
        let picture = Picture::decode(name, &image.bytes).map_err(prompt_error)?;
        content.push(Part::Picture(picture));
    }
    content.push(Part::Text(request.prompt.clone()));
    messages.push(VisionMessage {
        role: Role::User,
        content,
    });
    let prompt = model.prompt(&messages).map_err(prompt_error)?;
    let prepared = prepare(request, prompt.ids, adapter);
    model
        .generate(&prepared, &prompt.patches, cancel, on_text)
        .map_err(|error| PolicyError::permanent("model_request", error.to_string()))
}
