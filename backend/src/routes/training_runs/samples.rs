//! `GET /api/v1/training-runs/{id}/samples`.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Path};
use illumine_types::Problem;
use illumine_types::training::TrainingSamples;

use super::known_run;
use crate::auth::Admin;
use crate::error::{ApiError, Result};
use crate::query::Parameters;
use crate::state::State;

/// Answers of a step, as they were judged; of the newest step with some if none
/// is named, and nothing while there are none.
#[utoipa::path(
    get,
    path = "/api/v1/training-runs/{id}/samples",
    tag = "training",
    params(("step" = Option<u64>, Query, description = "One of `steps`")),
    responses(
        (status = 200, body = TrainingSamples),
        (status = 404, description = "No such run, or no samples of this step", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn samples(
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
    _admin: Admin,
) -> Result<Json<TrainingSamples>> {
    let query = Parameters::read(&request, &["step"])?;
    let asked = query.parsed("step", "the number of a step", |text| text.parse().ok())?;
    let job = known_run(&state, &id).await?;
    let training = state.store.training();
    let steps = training.sample_steps(&job.id).await?;
    let Some(step) = asked.or(steps.last().copied()) else {
        return Ok(Json(TrainingSamples::default()));
    };
    let items = match steps.contains(&step) {
        true => training.samples(&job.id, step).await?,
        false => None,
    };
    Ok(Json(TrainingSamples {
        step: Some(step),
        steps,
        items: items.ok_or_else(|| ApiError::not_found("set of samples of step", step))?,
    }))
}
