//! `/api/v1/policy`: the policy that writes documents whose request names none.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json};
use illumine_types::training::{ChosenPolicy, PolicyChoice};

use crate::auth::Admin;
use crate::error::Result;
use crate::state::State;

/// The checkpoint in use; `null` while the configured policy writes.
#[utoipa::path(
    get,
    path = "/api/v1/policy",
    tag = "training",
    responses((status = 200, body = ChosenPolicy)),
)]
pub async fn show(state: Data<State>, _admin: Admin) -> Result<Json<ChosenPolicy>> {
    let choice = state.store.training().choice().await?;
    Ok(Json(ChosenPolicy { choice }))
}

/// Goes back to the configured policy.
#[utoipa::path(
    delete,
    path = "/api/v1/policy",
    tag = "training",
    responses((status = 204, description = "The configured policy writes")),
)]
pub async fn clear(state: Data<State>, _admin: Admin) -> Result<HttpResponse> {
    state.store.training().clear_choice().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The checkpoint that `run_…/step-000020` names, if it is there and whole.
///
/// # Errors
/// If the object store is away.
pub async fn named(state: &State, name: &str) -> Result<Option<PolicyChoice>> {
    let Some(choice) = PolicyChoice::parse(name) else {
        return Ok(None);
    };
    let training = state.store.training();
    let checkpoint = training.checkpoint(&choice.run, choice.step).await?;
    Ok(checkpoint.map(|_| choice))
}
