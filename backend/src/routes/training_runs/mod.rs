//! `/api/v1/training-runs` and `/policy`: training a policy, and choosing the
//! one that writes. For administrators.
//!
//! A run is a job whose request is its whole configuration. What it tells and
//! keeps is read from where its worker writes it ([`illumine_store::training`]).

pub mod checkpoints;
pub mod create;
pub mod events;
pub mod list;
pub mod metrics;
pub mod one;
pub mod policy;
pub mod samples;
pub mod tensorboard;

use actix_web::web::{self, ServiceConfig};
use illumine_store::StoreError;
use illumine_types::Job;
use illumine_types::training::{RunSummary, TrainingRun};

use super::{get, resource};
use crate::error::Result;
use crate::ids;
use crate::state::State;

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(
            resource("/training-runs", "GET, POST")
                .route(get().to(list::list))
                .route(web::post().to(create::create)),
        )
        .service(
            resource("/training-runs/{id}", "GET, DELETE")
                .route(get().to(one::get_one))
                .route(web::delete().to(one::delete)),
        )
        .service(resource("/training-runs/{id}/stop", "POST").route(web::post().to(one::stop)))
        .service(resource("/training-runs/{id}/resume", "POST").route(web::post().to(one::resume)))
        .service(resource("/training-runs/{id}/events", "GET").route(web::get().to(events::events)))
        .service(resource("/training-runs/{id}/metrics", "GET").route(get().to(metrics::metrics)))
        .service(
            resource("/training-runs/{id}/tensorboard", "GET").route(get().to(tensorboard::events)),
        )
        .service(resource("/training-runs/{id}/samples", "GET").route(get().to(samples::samples)))
        .service(
            resource("/training-runs/{id}/checkpoints", "GET").route(get().to(checkpoints::list)),
        )
        // Before the files: `use` takes POST, and names no file.
        .service(
            resource("/training-runs/{id}/checkpoints/{step}/use", "POST")
                .route(web::post().to(checkpoints::choose)),
        )
        .service(
            resource("/training-runs/{id}/checkpoints/{step}/{file}", "GET")
                .route(get().to(checkpoints::file)),
        )
        .service(
            resource("/policy", "GET, DELETE")
                .route(get().to(policy::show))
                .route(web::delete().to(policy::clear)),
        );
}

/// The job of a run, by the id in a path.
///
/// # Errors
/// `invalid_id`, `not_found`.
async fn known_run(state: &State, id: &str) -> Result<Job> {
    let id = ids::training_run(id)?;
    Ok(state.store.jobs().job(&id).await?)
}

/// A run with its configuration and how far it is; `None`, with a line in the
/// log, if its configuration cannot be read (another version wrote it).
///
/// # Errors
/// `not_found` if it was deleted meanwhile.
async fn whole_run(state: &State, job: Job) -> Result<Option<TrainingRun>> {
    let (jobs, training) = (state.store.jobs(), state.store.training());
    let (request, summary) = tokio::join!(jobs.request(&job.id), training.summary(&job.id));
    let config = match serde_json::from_value(request?) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(run = %job.id, %error, "a run's configuration cannot be read");
            return Ok(None);
        }
    };
    let summary = match summary {
        Err(StoreError::Corrupt { key, detail }) => {
            tracing::warn!(key, detail, "a run's summary cannot be read");
            RunSummary::default()
        }
        other => other?,
    };
    Ok(Some(TrainingRun {
        job,
        config,
        summary,
    }))
}
