//! Drawing: a body to requests of the studio, their pictures to an answer.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use illumine_models::generate::CancelFlag;
use illumine_models::qwen_image::studio::{Accepted, StudioEvent};
use illumine_models::qwen_image::{DrawRequest, ImageMode};
use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::request::Body;
use super::{ApiError, Server, mode_name};
use crate::image_models::decode;

/// What Qwen-Image's recipe puts where nothing is named, and guidance needs something.
const NO_WORDS: &str = " ";

pub async fn generate(state: State<Arc<Server>>, body: Bytes) -> Result<Json<Value>, ApiError> {
    answer(state, &body, ImageMode::Generation).await
}

pub async fn edit(state: State<Arc<Server>>, body: Bytes) -> Result<Json<Value>, ApiError> {
    answer(state, &body, ImageMode::Edit).await
}

async fn answer(
    State(server): State<Arc<Server>>,
    body: &[u8],
    mode: ImageMode,
) -> Result<Json<Value>, ApiError> {
    if server.studio.info().mode != mode {
        let name = mode_name(mode);
        let message = format!("This endpoint is only available in {name} mode");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    let body = Body::read(body, mode == ImageMode::Edit)?;
    let info = server.studio.info();
    let mut pictures = Vec::with_capacity(body.pictures.len());
    for picture in &body.pictures {
        pictures.push(read_picture(&server, picture).await?);
    }
    // 31 bits: what every server takes.
    let seed = body.seed.unwrap_or_else(|| u64::from(fresh_seed()));
    let request = DrawRequest {
        prompt: body.prompt,
        negative_prompt: match body.negative_prompt {
            Some(words) if !words.trim().is_empty() => words,
            _ => NO_WORDS.to_owned(),
        },
        // Zero is the model's own, or that of the picture to change.
        width: body.width.unwrap_or(0),
        height: body.height.unwrap_or(0),
        steps: body.steps.unwrap_or(info.steps),
        guidance: body.guidance.unwrap_or(info.guidance),
        seed,
        pictures,
    };
    let request = whole_size(request, info.width, info.height);
    let mut drawings = Drawings(Vec::new());
    for number in 0..body.count {
        let request = DrawRequest {
            seed: seed.wrapping_add(number),
            ..request.clone()
        };
        let studio = server.studio.clone();
        let (sender, events) = unbounded_channel();
        let sink = move |event| match sender.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        // A model that was put away is loaded first.
        let accepted =
            tokio::task::spawn_blocking(move || studio.submit(request, false, Box::new(sink)));
        let accepted = accepted
            .await
            .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
            .map_err(|error| ApiError::model(&error, &server.studio))?;
        drawings.0.push(Drawing { accepted, events });
    }
    let (mut images, mut seeds) = (Vec::new(), Vec::new());
    let notes = drawings.0.first().map(|one| one.accepted.notes.clone());
    for drawing in &mut drawings.0 {
        let picture = finish(&server, &mut drawing.events).await?;
        images.push(base64_png(&picture)?);
        seeds.push(drawing.accepted.request.seed);
    }
    Ok(Json(json!({
        "status": "success",
        "images": images,
        "seeds": seeds,
        "notes": notes.unwrap_or_default(),
    })))
}

/// With one side named, the other is that of the model's shape.
fn whole_size(request: DrawRequest, width: u32, height: u32) -> DrawRequest {
    let scale = |side: u32, of: u32, to: u32| {
        let scaled = u64::from(side) * u64::from(to) / u64::from(of.max(1));
        u32::try_from(scaled.max(1)).unwrap_or(u32::MAX)
    };
    match (request.width, request.height) {
        (0, own) if own > 0 => DrawRequest {
            width: scale(own, height, width),
            ..request
        },
        (own, 0) if own > 0 => DrawRequest {
            height: scale(own, width, height),
            ..request
        },
        _ => request,
    }
}

fn fresh_seed() -> u32 {
    // A new hasher is keyed at random.
    use std::hash::{BuildHasher, Hasher};
    let hasher = std::hash::RandomState::new().build_hasher();
    (hasher.finish() >> 33) as u32
}

/// One picture under way.
struct Drawing {
    accepted: Accepted,
    events: UnboundedReceiver<StudioEvent>,
}

/// All of a request; whoever goes away takes them along.
struct Drawings(Vec<Drawing>);

impl Drop for Drawings {
    fn drop(&mut self) {
        let cancel = |drawing: &Drawing| CancelFlag::cancel(&drawing.accepted.cancel);
        self.0.iter().for_each(cancel);
    }
}

async fn finish(
    server: &Server,
    events: &mut UnboundedReceiver<StudioEvent>,
) -> Result<RgbImage, ApiError> {
    let ended = |message: &str| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message);
    while let Some(event) = events.recv().await {
        match event {
            StudioEvent::Started | StudioEvent::Step { .. } => {}
            StudioEvent::Finished(picture) => return Ok(*picture),
            StudioEvent::Cancelled => return Err(ended("drawing was cancelled")),
            StudioEvent::Failed(error) => return Err(ApiError::model(&error, &server.studio)),
        }
    }
    Err(ended("the picture model stopped"))
}

async fn read_picture(server: &Server, text: &str) -> Result<RgbImage, ApiError> {
    let wrong = |reason: String| ApiError::field("image_b64", format!("image_b64: {reason}"));
    let data = match text.strip_prefix("data:") {
        Some(url) => url.split_once(',').map_or(url, |(_, data)| data),
        None => text,
    };
    // Tools that write base64 break its lines.
    let data: String = data.split_ascii_whitespace().collect();
    let bytes = STANDARD
        .decode(data)
        .map_err(|error| wrong(format!("is not base64: {error}")))?;
    let picture = server.checker.check(bytes.into()).await;
    let picture = picture.map_err(|error| wrong(error.to_string()))?;
    decode::rgb(&picture)
        .await
        .map_err(|error| wrong(error.to_string()))
}

fn base64_png(picture: &RgbImage) -> Result<String, ApiError> {
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(STANDARD.encode(bytes.into_inner()))
}
