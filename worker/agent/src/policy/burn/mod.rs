//! A Hugging Face model folder, run in this process behind an engine that serves
//! many requests at once. A model that looks at pictures is given those that
//! came with the prompt.

mod transcript;
mod writer;

use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, stream};
use illumine_models::device::parse_device_and_precision;
use illumine_models::engine::{Engine, EngineConfig, EngineModel};
use illumine_models::generate::{self, LanguageModel, VisionLanguageModel};
use illumine_models::load::ModelFolder;
use illumine_types::document::Usage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use self::transcript::{Recorder, Transcript};
use self::writer::Writer;
use super::demo;
use super::{ChatRequest, Delta, DeltaStream, FinishReason, Policy, PolicyError};

/// A model loaded once and shared by all requests.
#[derive(Clone)]
pub struct BurnPolicy {
    name: String,
    summary: String,
    writer: Writer,
}

impl std::fmt::Debug for BurnPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BurnPolicy")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What the one adapter of a policy is called.
const ADAPTER: &str = "lora";

/// Loads `demo` or a model folder onto a device; blocks while it reads.
///
/// # Errors
/// `model_load`, naming the file and the field at fault.
pub fn load_model(model: &str, device: &str) -> Result<EngineModel, PolicyError> {
    load_taught(model, device).map(|(loaded, _)| loaded)
}

/// What a folder's `illumine.json` says of how its model was taught.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Taught {
    /// A mark in the prompt stands for each input picture.
    input_marks: bool,
}

impl Taught {
    /// Of a model folder; the file is left out where the defaults hold.
    fn of(folder: &Path) -> Result<Self, String> {
        let path = folder.join("illumine.json");
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }
}

/// Whether the policy in a folder was taught a mark for each input picture.
///
/// # Errors
/// `model_load`, when its `illumine.json` cannot be read.
pub fn input_marks(folder: &Path) -> Result<bool, PolicyError> {
    let taught = Taught::of(folder);
    let failed = |error| load_error(&folder.to_string_lossy(), &error);
    taught.map(|taught| taught.input_marks).map_err(failed)
}

fn load_taught(model: &str, device: &str) -> Result<(EngineModel, Taught), PolicyError> {
    let failed = |error: &dyn std::fmt::Display| load_error(model, error);
    let (device, precision) = parse_device_and_precision(device).map_err(|error| failed(&error))?;
    let folder = match model == demo::NAME {
        true => Some(demo::unpack().map_err(|error| failed(&error))?),
        false => None,
    };
    let path = folder
        .as_ref()
        .map_or(Path::new(model), |folder| folder.path());
    let opened = ModelFolder::open(path).map_err(|error| failed(&error))?;
    let taught = Taught::of(path).map_err(|error| failed(&error))?;
    match opened.vision {
        None => LanguageModel::load_as(path, &device, precision)
            .map(|loaded| EngineModel::from(Arc::new(loaded))),
        Some(_) => VisionLanguageModel::load_as(path, &device, precision)
            .map(|loaded| EngineModel::from(Arc::new(loaded))),
    }
    .map(|loaded| (loaded, taught))
    .map_err(|error| failed(&error))
}

fn load_error(model: &str, error: &dyn std::fmt::Display) -> PolicyError {
    PolicyError::permanent(
        "model_load",
        format!("the policy `burn:{model}` cannot be loaded: {error}"),
    )
}

impl BurnPolicy {
    /// The same policy under another name and summary.
    #[must_use]
    pub fn named(mut self, name: &str, summary: &str) -> Self {
        self.name = name.to_owned();
        self.summary = summary.to_owned();
        self
    }

    /// Loads `demo` or a model folder; blocks while it reads.
    ///
    /// # Errors
    /// `model_load`, naming the file and the field at fault.
    pub fn load(model: &str, device: &str) -> Result<Self, PolicyError> {
        Self::load_adapted(model, None, device)
    }

    /// [`Self::load`] with the adapter in the folder `lora` over the model.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_adapted(
        model: &str,
        lora: Option<&str>,
        device: &str,
    ) -> Result<Self, PolicyError> {
        let is_demo = model == demo::NAME;
        let (loaded, taught) = load_taught(model, device)?;
        if let Some(dir) = lora {
            loaded
                .add_adapter(ADAPTER, Path::new(dir))
                .map_err(|error| load_error(model, &error))?;
        }
        let millions = loaded.num_parameters() as f64 / 1e6;
        let summary = if is_demo {
            format!(
                "demo policy ({millions:.1} M parameters): shows how things work, knows nothing"
            )
        } else {
            let name = Path::new(model)
                .file_name()
                .map_or_else(|| model.into(), |name| name.to_string_lossy().into_owned());
            format!("{name} ({millions:.0} M parameters) on {device}")
        };
        let engine = Engine::start(loaded, &EngineConfig::default())
            .map_err(|error| load_error(model, &error))?;
        let (name, summary) = match lora {
            Some(dir) => {
                let file = Path::new(dir).file_name();
                let adapter = file.map_or_else(|| dir.into(), |name| name.to_string_lossy());
                (
                    format!("burn:{model}+lora={dir}"),
                    format!("{summary}, with the adapter {adapter}"),
                )
            }
            None => (format!("burn:{model}"), summary),
        };
        Ok(Self {
            name,
            summary,
            writer: Writer {
                engine,
                adapter: lora.map(|_| ADAPTER.to_owned()),
                marks: taught.input_marks,
                constrain_tags: false,
                recorder: None,
            },
        })
    }

    /// A policy over an engine that runs already, as training has one; `marks` says
    /// whether a mark stands for each input picture, as the demo policy was taught.
    #[must_use]
    pub fn over(engine: Engine, name: &str, marks: bool) -> Self {
        Self {
            name: format!("burn:{name}"),
            summary: format!("{name}, in training"),
            writer: Writer {
                engine,
                adapter: None,
                marks,
                constrain_tags: false,
                recorder: None,
            },
        }
    }

    /// The same policy for one request, whose answer is written down.
    #[must_use]
    pub fn recorded(&self) -> (Self, Recorder) {
        let recorder = Recorder::default();
        let mut policy = self.clone();
        policy.writer.recorder = Some(recorder.clone());
        (policy, recorder)
    }

    /// Whether what follows `<imgen>` must be a valid call of a tool.
    #[must_use]
    pub fn with_constrained_tags(mut self, on: bool) -> Self {
        self.writer.constrain_tags = on;
        self
    }
}

fn crashed() -> PolicyError {
    PolicyError::transient("model_crashed", "the model stopped unexpectedly")
}

/// The end of an answer, for whoever reads it.
fn finished(
    reason: generate::FinishReason,
    prompt_tokens: usize,
    completion_tokens: usize,
) -> Result<Delta, PolicyError> {
    let usage = Usage {
        prompt_tokens: prompt_tokens as u64,
        completion_tokens: completion_tokens as u64,
    };
    let reason = match reason {
        generate::FinishReason::Stop => FinishReason::Stop,
        generate::FinishReason::Length => FinishReason::Length,
        generate::FinishReason::Cancelled => return Err(PolicyError::Cancelled),
    };
    Ok(Delta::Finished { reason, usage })
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
        self.writer.engine.model().sees_pictures()
    }

    fn system_prompt(&self) -> Option<&str> {
        let folder = self.writer.engine.model().folder();
        folder.system_prompt.as_deref()
    }

    fn stream(&self, request: ChatRequest, cancel: CancellationToken) -> DeltaStream {
        let (sender, receiver) = mpsc::channel(64);
        let writer = self.writer.clone();
        tokio::spawn(async move {
            if let Err(error) = writer.write(request, cancel, &sender).await {
                let _ = sender.send(Err(error)).await;
            }
        });
        stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        })
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::ChatImage;
    use super::*;

    const FOLDER: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../models/tests/fixtures/qwen25_vl/text_only"
    );

    fn picture(level: u8) -> ChatImage {
        let image = image::RgbImage::from_pixel(8, 8, image::Rgb([level, 255 - level, 90]));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        ChatImage {
            bytes: bytes.into_inner().into(),
            mime: "image/png".into(),
        }
    }

    async fn ask(policy: &BurnPolicy, images: Vec<ChatImage>) -> Result<String, PolicyError> {
        let request = ChatRequest {
            prompt: "the cake?".into(),
            inputs: images.len(),
            images,
            max_tokens: Some(40),
            temperature: Some(1.0),
            seed: Some(5),
            ..ChatRequest::default()
        };
        let mut stream = policy.stream(request, CancellationToken::new());
        let mut text = String::new();
        while let Some(piece) = stream.next().await {
            if let Delta::Text(piece) = piece? {
                text += &piece;
            }
        }
        Ok(text)
    }

    #[tokio::test]
    async fn a_vision_folder_looks_at_the_pictures() {
        let policy = BurnPolicy::load(FOLDER, "flex").unwrap();
        assert!(policy.vision());
        let one = ask(&policy, vec![picture(0)]).await.unwrap();
        assert_eq!(ask(&policy, vec![picture(0)]).await.unwrap(), one);
        assert_ne!(ask(&policy, vec![picture(255)]).await.unwrap(), one);
        assert_ne!(ask(&policy, vec![]).await.unwrap(), one);
        let both = ask(&policy, vec![picture(0), picture(255)]).await.unwrap();
        let turned = ask(&policy, vec![picture(255), picture(0)]).await.unwrap();
        assert_ne!(both, turned, "their order is told apart");
    }

    #[tokio::test]
    async fn an_answer_is_written_down_token_by_token() {
        let policy = BurnPolicy::load(demo::NAME, "flex").unwrap();
        for (max_tokens, ends) in [(2000, true), (7, false)] {
            let (policy, recorder) = policy.recorded();
            let request = ChatRequest {
                prompt: "Write a short note about tea.".into(),
                max_tokens: Some(max_tokens),
                ..ChatRequest::default()
            };
            let mut stream = policy.stream(request, CancellationToken::new());
            let (mut text, mut told) = (String::new(), 0);
            while let Some(piece) = stream.next().await {
                match piece.unwrap() {
                    Delta::Text(piece) => text += &piece,
                    Delta::Finished { usage, .. } => told = usage.completion_tokens,
                }
            }
            let transcript = recorder.transcript();
            assert_eq!(transcript.answer.len() as u64, told);
            assert_eq!(transcript.logprobs.len(), transcript.answer.len());
            assert!(transcript.logprobs.iter().all(|logprob| *logprob <= 0.0));
            assert_eq!(transcript.ended, ends);
            let model = policy.writer.engine.model();
            let written = transcript.answer.len() - usize::from(ends);
            let tokenizer = model.tokenizer();
            assert_eq!(tokenizer.decode(&transcript.answer[..written]), text);
            assert!(tokenizer.decode(&transcript.prompt).contains("about tea"));
        }
    }

    #[tokio::test]
    async fn a_bad_picture_is_named_by_its_index() {
        let policy = BurnPolicy::load(FOLDER, "flex").unwrap();
        let broken = ChatImage {
            bytes: "<html>".into(),
            mime: "image/png".into(),
        };
        let error = ask(&policy, vec![picture(0), broken]).await.unwrap_err();
        assert_eq!(error.code(), "model_prompt");
        assert!(error.to_string().contains("input 1"), "{error}");
    }

    #[tokio::test]
    async fn an_adapter_changes_what_is_written_and_is_named() {
        // Of the same shapes as the folder's model.
        let lora = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../models/tests/fixtures/lora/vision_chat"
        );
        let base = BurnPolicy::load(FOLDER, "flex").unwrap();
        let tuned = BurnPolicy::load_adapted(FOLDER, Some(lora), "flex").unwrap();
        assert_eq!(tuned.name(), format!("burn:{FOLDER}+lora={lora}"));
        assert!(tuned.summary().ends_with("with the adapter vision_chat"));
        let written = ask(&tuned, vec![picture(0)]).await.unwrap();
        assert_ne!(written, ask(&base, vec![picture(0)]).await.unwrap());
        let error = BurnPolicy::load_adapted(demo::NAME, Some(lora), "flex").unwrap_err();
        assert_eq!(error.code(), "model_load");
        assert!(error.to_string().contains("adapter_"), "{error}");
    }

    #[test]
    fn the_demo_policy_does_not_look() {
        assert!(!BurnPolicy::load(demo::NAME, "flex").unwrap().vision());
    }
}
