//! `POST /api/v1/training-runs`.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use illumine_store::jobs::NewJob;
use illumine_types::dataset::DatasetId;
use illumine_types::training::{
    Engine, FieldError, TrainingConfig, TrainingRunAccepted, TrainingRunRequest,
};
use illumine_types::{JobKind, Priority, Problem};

use super::policy;
use crate::auth::Admin;
use crate::body::{self, SMALL_LIMIT};
use crate::error::{ApiError, Result};
use crate::state::State;
use crate::{idempotency, validate};

/// Longest field that is repeated, characters: a request may make names up.
const FIELD: usize = 100;

/// Asks for a training run.
///
/// A preset fills what is left out. Everything is checked before anything is
/// queued; what is queued, kept and shown is the whole configuration.
#[utoipa::path(
    post,
    path = "/api/v1/training-runs",
    tag = "training",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request answers the first run")),
    request_body = TrainingRunRequest,
    responses(
        (status = 202, description = "Queued", body = TrainingRunAccepted, headers(("Location" = String))),
        (status = 409, description = "The idempotency key was used for another request", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable; nothing was queued", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
    admin: Admin,
) -> Result<HttpResponse> {
    let idempotency_key = idempotency::key(request.headers())?;
    let json = body::read_json(&request, payload, SMALL_LIMIT).await?;
    let asked: TrainingRunRequest = validate::json::parse(&json)?;
    let mut config = asked.resolve().map_err(field_error)?;
    check_engine(&config, &state)?;
    check_model(&mut config, &state).await?;
    check_dataset(&config, &state).await?;
    let submitted = state
        .submit(NewJob {
            kind: JobKind::TrainingRun,
            owner: admin.0.owner(),
            priority: Priority::Normal,
            title: config.name.clone(),
            request: serde_json::to_value(&config).map_err(ApiError::internal)?,
            idempotency_key,
            inputs: Vec::new(),
        })
        .await?;
    let accepted = TrainingRunAccepted::new(submitted.job.id, submitted.job.status);
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, accepted.links.this.as_str()))
        .insert_header(idempotency::replayed(submitted.created))
        .json(accepted))
}

fn field_error(error: FieldError) -> ApiError {
    let field: String = error.field.chars().take(FIELD).collect();
    ApiError::value(field, validate::json::shortened(&error.reason))
}

fn check_engine(config: &TrainingConfig, state: &State) -> Result<()> {
    match (config.engine, &state.ray_unset) {
        (Engine::Burn, _) => Ok(()),
        (Engine::Ray, None) => config.check_for_ray().map_err(field_error),
        (Engine::Ray, Some(unset)) => Err(ApiError::value(
            "engine",
            format!("set {unset}; or choose `burn`"),
        )),
    }
}

/// A checkpoint as the model must be there; whether a folder is, only a worker
/// can tell.
async fn check_model(config: &mut TrainingConfig, state: &State) -> Result<()> {
    let model = config.model.trim();
    if !(model.starts_with("run_") && model.contains("/step-")) {
        return Ok(());
    }
    match policy::named(state, model).await? {
        Some(choice) => {
            config.model = choice.name();
            Ok(())
        }
        None => Err(ApiError::value(
            "model",
            "there is no such checkpoint; /api/v1/training-runs/{id}/checkpoints lists a run's",
        )),
    }
}

/// An uploaded dataset must be there; whether a file is, only a worker can tell.
async fn check_dataset(config: &TrainingConfig, state: &State) -> Result<()> {
    for name in &config.dataset {
        let Ok(id) = DatasetId::parse(name) else {
            continue;
        };
        if !id.is_demo() && state.store.datasets().get(&id).await?.is_none() {
            let detail =
                format!("there is no dataset `{id}`; /api/v1/datasets lists those there are");
            return Err(ApiError::value("dataset", detail));
        }
    }
    Ok(())
}
