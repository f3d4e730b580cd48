//! `/api/v1/training-runs/{id}/checkpoints`: listing, downloading, using.

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::header::ContentDisposition;
use actix_web::web::{Data, Json, Path};
use futures::TryStreamExt;
use illumine_store::StoreError;
use illumine_store::blobs::BlobStream;
use illumine_types::api::Page;
use illumine_types::training::{Checkpoint, PolicyChoice, checkpoint_folder, run_key};
use illumine_types::{Job, Problem};

use super::known_run;
use crate::auth::Admin;
use crate::error::{ApiError, Result};
use crate::ids;
use crate::state::State;

/// Longest name of a file that is repeated, characters.
const NAME: usize = 100;

/// Checkpoints of a run that are whole, newest first. All on one page.
#[utoipa::path(
    get,
    path = "/api/v1/training-runs/{id}/checkpoints",
    tag = "training",
    responses(
        (status = 200, body = Page<Checkpoint>),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    id: Path<String>,
    state: Data<State>,
    _admin: Admin,
) -> Result<Json<Page<Checkpoint>>> {
    let job = known_run(&state, &id).await?;
    let training = state.store.training();
    let (items, choice) = tokio::try_join!(training.checkpoints(&job.id), training.choice())?;
    let used = choice.filter(|choice| choice.run == job.id);
    let used = used.map(|choice| choice.step);
    let items = items.into_iter().rev().map(|checkpoint| Checkpoint {
        in_use: used == Some(checkpoint.step),
        ..checkpoint
    });
    Ok(Json(Page {
        items: items.collect(),
        next_cursor: None,
    }))
}

/// Writes new documents by this checkpoint, unless their request names a
/// policy.
#[utoipa::path(
    post,
    path = "/api/v1/training-runs/{id}/checkpoints/{step}/use",
    tag = "training",
    params(("id" = String, Path), ("step" = u64, Path, description = "Steps done")),
    responses(
        (status = 200, description = "What is in use from now on", body = PolicyChoice),
        (status = 404, description = "No such run, or no whole checkpoint", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn choose(
    path: Path<(String, String)>,
    state: Data<State>,
    _admin: Admin,
) -> Result<Json<PolicyChoice>> {
    let (id, step) = path.into_inner();
    let (job, checkpoint) = whole(&state, &id, &step).await?;
    let choice = PolicyChoice {
        run: job.id,
        step: checkpoint.step,
    };
    state.store.training().set_choice(&choice).await?;
    Ok(Json(choice))
}

/// A file of a checkpoint, as one of its `files` names it.
#[utoipa::path(
    get,
    path = "/api/v1/training-runs/{id}/checkpoints/{step}/{file}",
    tag = "training",
    params(
        ("id" = String, Path),
        ("step" = u64, Path, description = "Steps done"),
        ("file" = String, Path, description = "One of the checkpoint's `files`; a slash in it is written `%2F`"),
    ),
    responses(
        (status = 200, description = "The file", content(
            (Vec<u8> = "application/octet-stream"),
            (Vec<u8> = "application/json"),
        )),
        (status = 404, description = "No such run, checkpoint or file", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn file(
    path: Path<(String, String, String)>,
    state: Data<State>,
    _admin: Admin,
) -> Result<HttpResponse> {
    let (id, step, name) = path.into_inner();
    let (job, checkpoint) = whole(&state, &id, &step).await?;
    let unknown = || {
        let name: String = name.chars().take(NAME).collect();
        ApiError::not_found("file of this checkpoint", name)
    };
    // Only what the checkpoint names is looked for, whatever the path says.
    if !checkpoint.files.iter().any(|file| file.name == name) {
        return Err(unknown());
    }
    let key = format!("{}/{name}", checkpoint_folder(checkpoint.step));
    let stored = state
        .store
        .blobs()
        .get_stream(&run_key(&job.id, &key))
        .await;
    match stored {
        Ok(stored) => Ok(attachment(&name.replace('/', "-"), stored)),
        Err(StoreError::NotFound { .. }) => Err(unknown()),
        Err(error) => Err(error.into()),
    }
}

fn attachment(name: &str, stored: BlobStream) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response
        .content_type(match name.ends_with(".json") {
            true => "application/json",
            false => "application/octet-stream",
        })
        .insert_header(ContentDisposition::attachment(name));
    let body = stored.body.map_err(std::io::Error::other);
    match stored.bytes {
        Some(bytes) => response.body(SizedStream::new(bytes, body)),
        None => response.streaming(body),
    }
}

/// The run and its checkpoint after `step` steps.
async fn whole(state: &State, id: &str, step: &str) -> Result<(Job, Checkpoint)> {
    let step = ids::step(step)?;
    let job = known_run(state, id).await?;
    let found = state.store.training().checkpoint(&job.id, step).await?;
    let checkpoint =
        found.ok_or_else(|| ApiError::not_found("whole checkpoint after step", step))?;
    // Where it lies counts, not what it says.
    Ok((job, Checkpoint { step, ..checkpoint }))
}
