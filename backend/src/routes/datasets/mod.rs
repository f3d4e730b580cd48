//! `/api/v1/datasets`: prompts that policies are trained on. For administrators.
//!
//! ```text
//!  form ─▶ a folder here ─▶ check (illumine-datasets, row by row) ─▶ S3 datasets/{id}/…
//! ```
//!
//! A run names a dataset by its id: an id is never a path on a worker and never means
//! other rows later, as a name could once its dataset was deleted and made anew.

mod check;
pub mod create;
mod demo;
mod form;
pub mod list;
pub mod one;
pub mod rows;

use actix_web::web::{self, ServiceConfig};
use illumine_types::dataset::{Dataset, DatasetId};

use super::{get, resource};
use crate::error::{ApiError, Result};
use crate::ids;
use crate::state::State;

pub use demo::Demo;

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            resource("/datasets", "GET, POST")
                .route(get().to(list::list))
                .route(web::post().to(create::create)),
        )
        .service(
            resource("/datasets/{id}", "GET, DELETE")
                .route(get().to(one::get_one))
                .route(web::delete().to(one::delete)),
        )
        .service(resource("/datasets/{id}/rows", "GET").route(get().to(rows::rows)));
}

/// The dataset of the id in a path.
///
/// # Errors
/// `invalid_id`, `not_found`.
async fn known(state: &State, id: &str) -> Result<Dataset> {
    let id = ids::dataset(id)?;
    found(state, &id).await
}

async fn found(state: &State, id: &DatasetId) -> Result<Dataset> {
    if id.is_demo() {
        return Ok(demo::of(state).await?.dataset.clone());
    }
    let dataset = state.store.datasets().get(id).await?;
    dataset.ok_or_else(|| ApiError::not_found("dataset", id))
}
