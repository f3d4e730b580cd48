//! `GET /api/v1/training-runs`.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json};
use futures::{StreamExt, TryStreamExt, stream};
use illumine_store::jobs::JobFilter;
use illumine_types::api::Page;
use illumine_types::training::TrainingRun;
use illumine_types::{JobKind, JobState};

use super::whole_run;
use crate::auth::Admin;
use crate::error::{ApiError, Result};
use crate::query::{Parameters, one_of};
use crate::state::State;

/// Runs read from the object store side by side.
const RUNS_AT_A_TIME: usize = 16;

/// Lists training runs, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/training-runs",
    tag = "training",
    params(
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50 if left out"),
        ("status" = Option<JobState>, Query),
    ),
    responses((status = 200, body = Page<TrainingRun>)),
)]
pub async fn list(
    request: HttpRequest,
    state: Data<State>,
    _admin: Admin,
) -> Result<Json<Page<TrainingRun>>> {
    let query = Parameters::read(&request, &["cursor", "limit", "status"])?;
    let states = one_of(JobState::ALL.map(JobState::as_str));
    let filter = JobFilter {
        kind: Some(JobKind::TrainingRun),
        status: query.parsed("status", &states, JobState::parse)?,
        ..JobFilter::default()
    };
    let page = state
        .store
        .jobs()
        .list(&filter, query.text("cursor"), query.limit()?)
        .await?;
    let items = stream::iter(page.items)
        .map(|job| whole_run(&state, job))
        .buffered(RUNS_AT_A_TIME)
        .filter_map(|run| async move {
            match run {
                // Deleted meanwhile.
                Err(ApiError::NotFound { .. }) => None,
                run => run.transpose(),
            }
        })
        .try_collect()
        .await?;
    Ok(Json(Page {
        items,
        next_cursor: page.next_cursor,
    }))
}
