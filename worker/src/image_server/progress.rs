//! `GET /progress/{request_id}`: how far a request is that named itself, with small
//! pictures where it asked for `previews`; `DELETE` cancels it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use illumine_models::generate::CancelFlag;
use illumine_models::qwen_image::studio::StudioEvent;
use image::RgbImage;
use serde_json::{Value, json};

use super::{ApiError, Server};
use crate::image_models::{Drawing, png};

/// How long the end of a request is remembered.
const KEEP: Duration = Duration::from_secs(60);

/// Requests that can be followed, by their names.
#[derive(Default)]
pub struct Board(Arc<Mutex<HashMap<String, Entry>>>);

struct Entry {
    images: Vec<Image>,
    ended: Option<Instant>,
}

/// One picture of a request.
struct Image {
    state: &'static str,
    step: usize,
    steps: usize,
    preview: Option<RgbImage>,
    cancel: CancelFlag,
}

/// A request on the board, or one that is not followed. When it goes, the request has
/// ended.
pub struct Followed {
    board: Arc<Mutex<HashMap<String, Entry>>>,
    id: Option<String>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        lock(&self.0)
    }

    /// Puts a request on the board where it has a name.
    ///
    /// # Errors
    /// 422 when the name is another's that is not finished.
    pub fn follow(&self, id: Option<String>, drawings: &[Drawing]) -> Result<Followed, ApiError> {
        if let Some(id) = &id {
            let mut board = self.lock();
            board.retain(|_, entry| entry.ended.is_none_or(|ended| ended.elapsed() < KEEP));
            if board.get(id).is_some_and(|entry| entry.ended.is_none()) {
                return Err(ApiError::field("request_id", "is another request's"));
            }
            let image = |drawing: &Drawing| Image {
                state: "waiting",
                step: 0,
                steps: drawing.accepted.request.steps,
                preview: None,
                cancel: drawing.accepted.cancel.clone(),
            };
            let entry = Entry {
                images: drawings.iter().map(image).collect(),
                ended: None,
            };
            board.insert(id.clone(), entry);
        }
        Ok(Followed {
            board: Arc::clone(&self.0),
            id,
        })
    }
}

fn lock(board: &Mutex<HashMap<String, Entry>>) -> MutexGuard<'_, HashMap<String, Entry>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Followed {
    /// Takes down what happened to picture `index`.
    pub fn heard(&self, index: usize, event: &StudioEvent) {
        let Some(id) = &self.id else {
            return;
        };
        let mut board = lock(&self.board);
        let image = board
            .get_mut(id)
            .and_then(|entry| entry.images.get_mut(index));
        let Some(image) = image else {
            return;
        };
        image.state = match event {
            StudioEvent::Started | StudioEvent::Step { .. } => "drawing",
            StudioEvent::Finished(_) => "finished",
            StudioEvent::Cancelled => "cancelled",
            StudioEvent::Failed(_) => "failed",
        };
        if let StudioEvent::Step { step, preview, .. } = event {
            image.step = *step;
            if preview.is_some() {
                image.preview.clone_from(preview);
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let Some(id) = &self.id else {
            return;
        };
        if let Some(entry) = lock(&self.board).get_mut(id) {
            entry.ended = Some(Instant::now());
            for image in &mut entry.images {
                image.preview = None;
                // Whoever hung up cancelled it.
                if matches!(image.state, "waiting" | "drawing") {
                    image.state = "cancelled";
                }
            }
        }
    }
}

pub async fn show(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let images: Vec<Value> = {
        let board = server.progress.lock();
        let entry = board.get(&id).ok_or_else(|| ApiError::no_request(&id))?;
        entry.images.iter().map(describe).collect()
    };
    Ok(Json(json!({"request_id": id, "images": images})))
}

pub async fn cancel(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let board = server.progress.lock();
    let entry = board.get(&id).ok_or_else(|| ApiError::no_request(&id))?;
    entry.images.iter().for_each(|image| image.cancel.cancel());
    Ok(Json(
        json!({"request_id": id, "cancelled": entry.ended.is_none()}),
    ))
}

fn describe(image: &Image) -> Value {
    // A preview is small: it is encoded in no time.
    let preview = image.preview.as_ref().and_then(|preview| png(preview).ok());
    json!({
        "state": image.state,
        "step": image.step,
        "steps": image.steps,
        "preview_b64": preview.map(|bytes| STANDARD.encode(bytes)),
    })
}
