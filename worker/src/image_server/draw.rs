//! Drawing: a body to requests of the studio, their pictures to an answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::try_join_all;
use illumine_guard::picture::is_animated;
use illumine_models::qwen_image::studio::StudioEvent;
use illumine_models::qwen_image::{DrawRequest, ImageMode};
use image::RgbImage;
use serde_json::{Value, json};

use super::progress::Followed;
use super::request::Body;
use super::{ApiError, Server, mode_name};
use crate::image_models::{Drawing, decode, png};

/// What Qwen-Image's recipe puts where nothing is named, and guidance needs something.
const NO_WORDS: &str = " ";

/// A body, or why there is none.
type Received = Result<Bytes, BytesRejection>;

pub async fn generate(state: State<Arc<Server>>, body: Received) -> Result<Json<Value>, ApiError> {
    answer(state, body, ImageMode::Generation).await
}

pub async fn edit(state: State<Arc<Server>>, body: Received) -> Result<Json<Value>, ApiError> {
    answer(state, body, ImageMode::Edit).await
}

async fn answer(
    State(server): State<Arc<Server>>,
    body: Received,
    mode: ImageMode,
) -> Result<Json<Value>, ApiError> {
    if server.studio.info().mode != mode {
        let name = mode_name(mode);
        let message = format!("This endpoint is only available in {name} mode");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    let body = body.map_err(|rejection| ApiError::body(&rejection))?;
    let body = Body::read(&body, mode == ImageMode::Edit)?;
    let info = server.studio.info();
    let mut notes = Vec::new();
    // Before any is decoded: a small file may hold a large picture.
    let (count, most) = (body.pictures.len(), info.most_pictures);
    if count > most {
        let message = format!("image_b64 has {count} pictures; this model takes up to {most}");
        return Err(ApiError::field("image_b64", message));
    }
    let mut pictures = Vec::with_capacity(count);
    for picture in &body.pictures {
        let (picture, animated) = read_picture(&server, picture).await?;
        pictures.push(picture);
        if animated {
            notes.push("the picture is animated: its first frame was taken".to_owned());
        }
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
    let drawings = start(&server, request, body.count, body.previews).await?;
    let followed = server.progress.follow(body.id, &drawings)?;
    let accepted = drawings.iter().map(|one| &one.accepted.request);
    let seeds: Vec<u64> = accepted.map(|request| request.seed).collect();
    // As they were drawn: what was not named is told too.
    let mut answer = json!({"status": "success", "seeds": seeds});
    if let Some(accepted) = drawings.first().map(|one| &one.accepted) {
        notes.extend(accepted.notes.iter().cloned());
        answer["width"] = json!(accepted.request.width);
        answer["height"] = json!(accepted.request.height);
        answer["num_inference_steps"] = json!(accepted.request.steps);
        answer["guidance_scale"] = json!(accepted.request.guidance);
    }
    let waits = drawings
        .into_iter()
        .enumerate()
        .map(|(index, drawing)| finish(&server, drawing, index, &followed));
    let images = try_join_all(waits).await?;
    answer["images"] = json!(images);
    answer["notes"] = json!(notes);
    Ok(Json(answer))
}

/// Asks for `count` pictures with seeds in a row; all are taken in, or none.
async fn start(
    server: &Server,
    request: DrawRequest,
    count: u64,
    previews: bool,
) -> Result<Vec<Drawing>, ApiError> {
    if count > server.queue as u64 {
        let message = format!(
            "num_images_per_prompt is {count}; as many as {} may wait here",
            server.queue
        );
        return Err(ApiError::field("num_images_per_prompt", message));
    }
    let mut drawings = Vec::new();
    for number in 0..count {
        let request = DrawRequest {
            seed: request.seed.wrapping_add(number),
            ..request.clone()
        };
        let drawing = Drawing::start(&server.studio, request, previews).await;
        drawings.push(drawing.map_err(|error| ApiError::model(&error, &server.studio))?);
    }
    Ok(drawings)
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

/// The picture in base64, when it is drawn.
async fn finish(
    server: &Server,
    mut drawing: Drawing,
    index: usize,
    followed: &Followed,
) -> Result<String, ApiError> {
    loop {
        let event = drawing.next().await;
        followed.heard(index, &event);
        match event {
            StudioEvent::Started | StudioEvent::Step { .. } => {}
            StudioEvent::Finished(picture) => return base64_png(server, picture).await,
            StudioEvent::Cancelled => return Err(ApiError::cancelled()),
            StudioEvent::Failed(error) => return Err(ApiError::model(&error, &server.studio)),
        }
    }
}

/// The pixels, and whether there are more frames.
async fn read_picture(server: &Server, text: &str) -> Result<(RgbImage, bool), ApiError> {
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
    let turn = server.encoding.acquire().await;
    let _turn = turn.map_err(|error| wrong(error.to_string()))?;
    let picture = server.checker.check(bytes.into()).await;
    let picture = picture.map_err(|error| wrong(error.to_string()))?;
    let pixels = decode::rgb(&picture).await;
    let pixels = pixels.map_err(|error| wrong(error.to_string()))?;
    Ok((pixels, is_animated(&picture.bytes)))
}

/// Beside the event loop, which has others to answer.
async fn base64_png(server: &Server, picture: Box<RgbImage>) -> Result<String, ApiError> {
    let failed = |reason: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, reason);
    let turn = server.encoding.acquire().await;
    let _turn = turn.map_err(|error| failed(error.to_string()))?;
    let encoding =
        tokio::task::spawn_blocking(move || png(&picture).map(|png| STANDARD.encode(png)));
    let encoded = encoding.await.map_err(|error| failed(error.to_string()))?;
    encoded.map_err(|error| failed(error.to_string()))
}
