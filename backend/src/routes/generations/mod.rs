//! `/api/v1/generations`: asking for a document, and following it.
//!
//! Redraws are shown here too, by their own ids.

pub mod create;
pub mod events;
pub mod list;
pub mod one;
pub mod pictures;

use actix_web::web::{self, ServiceConfig};
use illumine_types::{Job, JobId};

use super::{get, resource};
use crate::auth::Caller;
use crate::error::{ApiError, Result};
use crate::state::State;

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            resource("/generations", "GET, POST")
                .route(get().to(list::list))
                .route(web::post().to(create::create)),
        )
        .service(
            resource("/generations/{id}", "GET, DELETE")
                .route(get().to(one::get_one))
                .route(web::delete().to(one::delete)),
        )
        .service(resource("/generations/{id}/events", "GET").route(web::get().to(events::events)))
        .service(resource("/generations/{id}/cancel", "POST").route(web::post().to(one::cancel)))
        .service(resource("/generations/{id}/retry", "POST").route(web::post().to(one::retry)));
}

/// The job, if it exists and this caller may see it; else the same 404.
///
/// # Errors
/// `not_found`.
pub async fn visible_job(state: &State, caller: &Caller, id: &JobId) -> Result<Job> {
    let job = state.store.jobs().job(id).await?;
    if caller.may_see(&job) {
        Ok(job)
    } else {
        Err(ApiError::not_found("job", id))
    }
}
