//! `GET /api/v1/datasets`.

use actix_web::web::{Data, Json};
use illumine_types::api::Page;
use illumine_types::dataset::Dataset;

use super::demo;
use crate::auth::Admin;
use crate::error::Result;
use crate::state::State;

/// Lists datasets: `demo`, then those that were uploaded, newest first. All on one page.
#[utoipa::path(
    get,
    path = "/api/v1/datasets",
    tag = "training",
    responses((status = 200, body = Page<Dataset>)),
)]
pub async fn list(state: Data<State>, _admin: Admin) -> Result<Json<Page<Dataset>>> {
    let uploaded = state.store.datasets().list().await?;
    let mut items = vec![demo::of(&state).await?.dataset.clone()];
    items.extend(uploaded);
    Ok(Json(Page {
        items,
        next_cursor: None,
    }))
}
