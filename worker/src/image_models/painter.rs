//! The tools' painters, a studio each.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use illumine_config::Config;
use illumine_models::ModelError;
use illumine_models::qwen_image::studio::{Studio, StudioConfig, StudioEvent};
use illumine_models::qwen_image::{DrawRequest, ImageMode, LoadOptions};
use illumine_tools::painter::{Named, PaintOrder, PaintWatch, Painted, Painter, Painters};
use illumine_tools::{Advance, Picture, ToolError};

use super::{Drawing, ModelSpec, Opened, decode, open, png, preview as small};

/// Draws with a model of this program.
#[derive(Debug)]
pub struct StudioPainter(Arc<Source>);

/// A model and, once it is needed, its studio.
#[derive(Debug)]
struct Source {
    spec: ModelSpec,
    mode: ImageMode,
    /// Opened by the first request: a worker that draws nothing loads nothing.
    opened: Mutex<Option<Opened>>,
}

/// The painters that the configuration names. Their folders are looked at, no more.
pub fn painters(config: &Config) -> Painters {
    let painter = |spec: &Option<String>, mode| -> Named {
        let spec = spec.as_deref().filter(|spec| !spec.trim().is_empty())?;
        let spec = ModelSpec::parse(spec, &config.worker.device);
        if let Err(error) = spec.check(mode) {
            return Some(Err(format!("{error:#}")));
        }
        let source = Arc::new(Source {
            spec,
            mode,
            opened: Mutex::new(None),
        });
        Some(Ok(Arc::new(StudioPainter(source))))
    };
    Painters {
        diffusion: painter(&config.tools.diffusion_model, ImageMode::Generation),
        edit: painter(&config.tools.edit_model, ImageMode::Edit),
    }
}

impl Source {
    /// The studio; blocks while it is opened, by the first that asks.
    fn opened(&self) -> Result<Opened, ToolError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let new = open(
            &self.spec,
            self.mode,
            StudioConfig::default(),
            &LoadOptions::default(),
        );
        let new = new.map_err(|error| ToolError::permanent("model_load", format!("{error:#}")))?;
        Ok(opened.insert(new).clone())
    }
}

#[async_trait]
impl Painter for StudioPainter {
    fn model(&self) -> String {
        format!("burn:{}", self.0.spec.model)
    }

    async fn paint(&self, order: PaintOrder, watch: PaintWatch) -> Result<Painted, ToolError> {
        let source = Arc::clone(&self.0);
        let Opened { studio, name } = blocking(move || source.opened()).await??;
        let info = studio.info().clone();
        let mut pictures = Vec::new();
        for picture in &order.pictures {
            pictures.push(decode::rgb(picture).await?);
        }
        let request = DrawRequest {
            prompt: order.prompt,
            negative_prompt: " ".to_owned(),
            // Zero is the model's own size, or that of the picture to change.
            width: order.width.unwrap_or(0),
            height: order.height.unwrap_or(0),
            steps: order.steps.map_or(info.steps, |steps| steps as usize),
            guidance: order.guidance.unwrap_or(info.guidance),
            seed: order.seed,
            pictures,
        };
        let started = Drawing::start(&studio, request, true).await;
        let mut drawing = started.map_err(|error| tool_error(error, &studio))?;
        let drawn = loop {
            let event = tokio::select! {
                event = drawing.next() => event,
                () = watch.cancel.cancelled() => return Err(ToolError::Cancelled),
            };
            match event {
                StudioEvent::Started => {}
                StudioEvent::Step {
                    step,
                    steps,
                    preview,
                } => {
                    let preview = preview.and_then(|pixels| small(&pixels).ok());
                    let fraction = step as f32 / steps.max(1) as f32;
                    (watch.progress)(Advance { fraction, preview });
                }
                StudioEvent::Finished(picture) => break picture,
                StudioEvent::Cancelled => return Err(ToolError::Cancelled),
                StudioEvent::Failed(error) => return Err(tool_error(error, &studio)),
            }
        };
        let (width, height) = drawn.dimensions();
        let bytes = blocking(move || png(&drawn)).await?;
        let bytes =
            bytes.map_err(|error| ToolError::permanent("picture_unwritable", error.to_string()))?;
        let request = &drawing.accepted.request;
        Ok(Painted {
            picture: Picture {
                bytes,
                mime: "image/png",
                width,
                height,
            },
            model: name,
            width: request.width,
            height: request.height,
            steps: request.steps as u32,
            guidance: request.guidance,
            notes: drawing.accepted.notes.clone(),
        })
    }
}

/// Does what takes its time beside the event loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ToolError> {
    let stopped = |_| ToolError::transient("model_stopped", "the picture model stopped");
    tokio::task::spawn_blocking(work).await.map_err(stopped)
}

fn tool_error(error: ModelError, studio: &Studio) -> ToolError {
    let (code, message) = (error.code(), error.to_string());
    match error {
        ModelError::Busy { .. } | ModelError::PicturesBusy { .. } => ToolError::Transient {
            code,
            message,
            retry_after: Some(studio.retry_after()),
        },
        ModelError::Engine(_) => ToolError::transient(code, message),
        _ => ToolError::permanent(code, message),
    }
}
