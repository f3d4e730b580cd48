//! One dataset: what it holds, and removing it.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path};
use illumine_store::StoreError;
use illumine_store::jobs::JobFilter;
use illumine_types::dataset::{Dataset, DatasetId};
use illumine_types::training::TrainingConfig;
use illumine_types::{Job, JobKind, JobState, Problem};

use super::known;
use crate::auth::Admin;
use crate::error::{ApiError, Result};
use crate::state::State;

/// Jobs read at a time.
const PAGE: usize = 200;

/// What a dataset holds: rows by split, by tool and by number of pictures, rows with
/// pictures, and lengths of prompts in characters.
#[utoipa::path(
    get,
    path = "/api/v1/datasets/{id}",
    tag = "training",
    params(("id" = String, Path, description = "`demo` or `dat_…`")),
    responses(
        (status = 200, body = Dataset),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn get_one(id: Path<String>, state: Data<State>, _admin: Admin) -> Result<Json<Dataset>> {
    Ok(Json(known(&state, &id).await?))
}

/// Removes a dataset, unless a run that has not ended reads it.
#[utoipa::path(
    delete,
    path = "/api/v1/datasets/{id}",
    tag = "training",
    params(("id" = String, Path, description = "`dat_…`")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A run that has not ended reads it, or it comes with the program", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(id: Path<String>, state: Data<State>, _admin: Admin) -> Result<HttpResponse> {
    let dataset = known(&state, &id).await?;
    if dataset.id.is_demo() {
        return Err(ApiError::WrongState(
            "the demo prompts come with the program and stay".to_owned(),
        ));
    }
    if let Some(run) = reader(&state, &dataset.id).await? {
        return Err(ApiError::WrongState(format!(
            "the run `{}` ({}) is {} and reads this dataset: stop it or wait for its end first",
            run.title,
            run.id,
            run.status.as_str()
        )));
    }
    state.store.datasets().delete(&dataset.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A run that has not ended and names this dataset.
async fn reader(state: &State, id: &DatasetId) -> Result<Option<Job>> {
    for status in JobState::ALL.into_iter().filter(|state| !state.is_final()) {
        let filter = JobFilter {
            kind: Some(JobKind::TrainingRun),
            status: Some(status),
            ..JobFilter::default()
        };
        let mut cursor = None;
        loop {
            let page = state
                .store
                .jobs()
                .list(&filter, cursor.as_deref(), PAGE)
                .await?;
            for job in page.items {
                if names(state, &job, id).await? {
                    return Ok(Some(job));
                }
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(None)
}

async fn names(state: &State, run: &Job, id: &DatasetId) -> Result<bool> {
    let request = match state.store.jobs().request(&run.id).await {
        Ok(request) => request,
        // Deleted meanwhile.
        Err(StoreError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    // One that cannot be read will not start either.
    let config = serde_json::from_value::<TrainingConfig>(request);
    Ok(config.is_ok_and(|config| config.dataset.iter().any(|name| name == id.as_str())))
}
