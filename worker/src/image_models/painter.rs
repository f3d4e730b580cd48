//! The tools' painters: a studio each, or one for both.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use illumine_config::Config;
use illumine_models::ModelError;
use illumine_models::qwen_image::studio::{StudioConfig, StudioEvent};
use illumine_models::qwen_image::{DrawRequest, ImageMode, LoadOptions};
use illumine_tools::painter::{PaintOrder, PaintWatch, Painted, Painter, Painters};
use illumine_tools::{Picture, ToolError};
use image::{ImageFormat, RgbImage};
use tokio::sync::mpsc;

use super::{ModelSpec, Opened, decode, open};

/// Draws with a model of this program.
#[derive(Debug)]
pub struct StudioPainter {
    spec: ModelSpec,
    mode: ImageMode,
    /// Opened by the first request: a worker that draws nothing loads nothing.
    opened: Mutex<Option<Opened>>,
}

/// The painters that the configuration names.
pub fn painters(config: &Config) -> Painters {
    let painter = |spec: &Option<String>, mode| {
        let spec = spec.as_deref().filter(|spec| !spec.trim().is_empty())?;
        let spec = ModelSpec::parse(spec, &config.worker.device);
        let painter: Arc<dyn Painter> = Arc::new(StudioPainter {
            spec,
            mode,
            opened: Mutex::new(None),
        });
        Some(painter)
    };
    Painters {
        diffusion: painter(&config.tools.diffusion_model, ImageMode::Generation),
        edit: painter(&config.tools.edit_model, ImageMode::Edit),
    }
}

impl StudioPainter {
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
        format!("burn:{}", self.spec.model)
    }

    async fn paint(&self, order: PaintOrder, watch: PaintWatch) -> Result<Painted, ToolError> {
        // Loading takes a while.
        let opened = tokio::task::block_in_place(|| self.opened())?;
        let info = opened.studio.info().clone();
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
        let (sender, mut events) = mpsc::unbounded_channel();
        let sink = move |event| match sender.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let studio = opened.studio.clone();
        let accepted =
            tokio::task::block_in_place(|| studio.submit(request, false, Box::new(sink)));
        let accepted = accepted.map_err(tool_error)?;
        let drawn = loop {
            tokio::select! {
                event = events.recv() => match event {
                    None => return Err(ToolError::transient("model_stopped", "the picture model stopped")),
                    Some(StudioEvent::Started) => {}
                    Some(StudioEvent::Step { step, steps, .. }) => {
                        (watch.progress)(step as f32 / steps.max(1) as f32);
                    }
                    Some(StudioEvent::Finished(picture)) => break *picture,
                    Some(StudioEvent::Cancelled) => {
                        return Err(ToolError::permanent("cancelled", "drawing was cancelled"));
                    }
                    Some(StudioEvent::Failed(error)) => return Err(tool_error(error)),
                },
                () = watch.cancel.cancelled() => {
                    accepted.cancel.cancel();
                    return Err(ToolError::permanent("cancelled", "drawing was cancelled"));
                }
            }
        };
        let request = accepted.request;
        Ok(Painted {
            picture: png(&drawn)?,
            model: opened.name,
            width: request.width,
            height: request.height,
            steps: request.steps as u32,
            guidance: request.guidance,
            notes: accepted.notes,
        })
    }
}

fn tool_error(error: ModelError) -> ToolError {
    let (code, message) = (error.code(), error.to_string());
    match error {
        ModelError::Busy { .. } | ModelError::Engine(_) => ToolError::transient(code, message),
        _ => ToolError::permanent(code, message),
    }
}

fn png(drawn: &RgbImage) -> Result<Picture, ToolError> {
    let mut bytes = Cursor::new(Vec::new());
    drawn
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| ToolError::permanent("picture_unwritable", error.to_string()))?;
    Ok(Picture {
        bytes: bytes.into_inner().into(),
        mime: "image/png",
        width: drawn.width(),
        height: drawn.height(),
    })
}
