//! `POST /api/v1/rewards`: the reward as a service, for trainers elsewhere.

use std::time::Duration;

use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures::StreamExt;
use futures::stream::BoxStream;
use illumine_store::jobs::NewJob;
use illumine_store::{Store, StoreError};
use illumine_types::reward::{RewardAnswer, RewardRequest};
use illumine_types::{Event, EventKind, JobId, JobKind, Priority, Problem};
use tokio::time::timeout;

use super::generations::pictures;
use super::resource;
use crate::auth::Caller;
use crate::body::{self, PICTURES_LIMIT};
use crate::error::{ApiError, Result};
use crate::state::State;
use crate::validate;

/// How long a caller is kept waiting: a queue before it, ten pictures, two judges.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

pub fn configure(config: &mut ServiceConfig) {
    config.service(resource("/rewards", "POST").route(web::post().to(score)));
}

/// Scores an answer: the tools draw its pictures, the rules and the judges of this
/// installation say what it is worth.
///
/// Answers when that is done; nothing of it is kept. `verdict.status` is `excluded` where
/// a tool's service or a judge failed: such an answer belongs in no group.
#[utoipa::path(
    post,
    path = "/api/v1/rewards",
    tag = "training",
    request_body = RewardRequest,
    responses(
        (status = 200, description = "Every part of the reward", body = RewardAnswer),
        (status = 422, description = "A field is not acceptable", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "The answer could not be scored; the detail has the job's own code", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "No worker that scores is running, or a store is away", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It took too long", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn score(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
    caller: Caller,
) -> Result<HttpResponse> {
    let json = body::read_json(&request, payload, PICTURES_LIMIT).await?;
    let mut asked: RewardRequest = validate::json::parse(&json)?;
    validate::reward(&asked, &state.limits)?;
    let inputs = pictures::resolve(&state, &mut asked.images, Vec::new()).await?;
    let workers = state.store.queue().workers().await?;
    if !workers.iter().any(|w| w.queues.contains(&JobKind::Score)) {
        return Err(ApiError::Unavailable(
            "no worker that serves `score` jobs is running (worker.queues)",
        ));
    }
    let submitted = state
        .submit(NewJob {
            kind: JobKind::Score,
            owner: caller.owner(),
            priority: Priority::Normal,
            title: validate::title(&asked.question),
            request: serde_json::to_value(&asked).map_err(ApiError::internal)?,
            idempotency_key: None,
            inputs,
        })
        .await?;
    let job = Passing {
        store: state.store.clone(),
        id: submitted.job.id,
    };
    let events = state.store.events().follow(&job.id, None).await?;
    let found = timeout(PATIENCE, found(events)).await.map_err(|_| {
        let minutes = PATIENCE.as_secs() / 60;
        ApiError::TimedOut(format!(
            "the answer was not scored within {minutes} minutes; more workers score more at a time"
        ))
    })?;
    Ok(HttpResponse::Ok().json(found?))
}

/// A job of which nothing is kept once this value is dropped.
struct Passing {
    store: Store,
    id: JobId,
}

impl Drop for Passing {
    fn drop(&mut self) {
        let (store, id) = (self.store.clone(), self.id.clone());
        actix_web::rt::spawn(async move {
            if let Err(error) = store.jobs().delete(&id).await {
                tracing::warn!(job = %id, %error, "a job that scored is left");
            }
        });
    }
}

type Followed = BoxStream<'static, std::result::Result<Event, StoreError>>;

async fn found(mut events: Followed) -> Result<RewardAnswer> {
    let mut found = None;
    while let Some(event) = events.next().await {
        match event?.kind {
            EventKind::Scored { score } => found = Some(score),
            EventKind::Completed => break,
            EventKind::Failed { error } => return Err(failed(error)),
            EventKind::Cancelled => {
                return Err(ApiError::NotScored("its job was cancelled".into()));
            }
            _ => {}
        }
    }
    found
        .map(|score| *score)
        .ok_or_else(|| ApiError::internal("a score job ended without a score"))
}

fn failed(problem: Problem) -> ApiError {
    match problem.field {
        Some(field) => ApiError::value(field, problem.detail),
        None => ApiError::NotScored(format!("{}: {}", problem.code, problem.detail)),
    }
}
