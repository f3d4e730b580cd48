//! `POST /api/v1/generations`.

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use illumine_store::jobs::NewJob;
use illumine_types::api::{Accepted, GenerationOptions, GenerationRequest};
use illumine_types::{JobKind, Problem};

use super::pictures;
use crate::auth::Caller;
use crate::body::{self, BodyType, PICTURES_LIMIT};
use crate::error::{ApiError, Result};
use crate::idempotency;
use crate::multipart::Form;
use crate::routes::training_runs::policy;
use crate::state::State;
use crate::validate;

/// Asks for an illustrated document.
///
/// As JSON, or as a multipart form with either `request` (the same JSON) or
/// `prompt` (and `options`, JSON), and files named `images`. Everything is
/// checked before anything is queued.
#[utoipa::path(
    post,
    path = "/api/v1/generations",
    tag = "generations",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request answers the first job")),
    request_body(content(
        (GenerationRequest = "application/json"),
        (GenerationForm = "multipart/form-data"),
    )),
    responses(
        (status = 202, description = "Queued", body = Accepted, headers(("Location" = String))),
        (status = 409, description = "The idempotency key was used for another request", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable; nothing was queued", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
    caller: Caller,
) -> Result<HttpResponse> {
    let idempotency_key = idempotency::key(request.headers())?;
    let (mut asked, files) = read(&request, payload, &state).await?;
    validate::check(&asked, &state.limits)?;
    check_count(&asked, &files, &state)?;
    check_policy(&asked.options, &state).await?;
    let inputs = pictures::resolve(&state, &mut asked.images, files).await?;
    let submitted = state
        .submit(NewJob {
            kind: JobKind::Generation,
            owner: caller.owner(),
            priority: asked.options.priority,
            title: validate::title(&asked.prompt),
            request: serde_json::to_value(&asked).map_err(ApiError::internal)?,
            idempotency_key,
            inputs,
        })
        .await?;
    let accepted = Accepted::generation(submitted.job.id, submitted.job.status);
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, accepted.links.this.as_str()))
        .insert_header(idempotency::replayed(submitted.created))
        .json(accepted))
}

/// The multipart form of a generation.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct GenerationForm {
    /// The whole request as JSON; or else `prompt` and `options`.
    request: Option<String>,
    prompt: Option<String>,
    /// `options` of the request as JSON.
    options: Option<String>,
    /// Pictures, in order, after those that the request names.
    #[schema(value_type = Vec<String>, format = Binary)]
    images: Vec<Vec<u8>>,
}

async fn read(
    request: &HttpRequest,
    payload: Payload,
    state: &State,
) -> Result<(GenerationRequest, Vec<Bytes>)> {
    if body::body_type(request.headers())? == BodyType::Json {
        let json = body::read(request, payload, PICTURES_LIMIT).await?;
        return Ok((whole_request(&json)?, Vec::new()));
    }
    let limits = &state.limits;
    let names = ["request", "prompt", "options"];
    let form = Form::read(
        request,
        payload,
        "images",
        &names,
        limits.image_bytes,
        limits.images,
    )
    .await?;
    let asked = from_texts(&form)?;
    Ok((asked, form.files))
}

fn whole_request(json: &[u8]) -> Result<GenerationRequest> {
    let asked = validate::json::parse(json)?;
    validate::json::require_objects(json, &["options", "image"])?;
    Ok(asked)
}

fn from_texts(form: &Form) -> Result<GenerationRequest> {
    let (whole, prompt, options) = (
        form.text("request")?,
        form.text("prompt")?,
        form.text("options")?,
    );
    if let Some(whole) = whole {
        if prompt.is_some() || options.is_some() {
            return Err(ApiError::value(
                "request",
                "give either `request`, or `prompt` and `options`",
            ));
        }
        return whole_request(whole);
    }
    let prompt = prompt.ok_or_else(|| ApiError::MissingField {
        field: "prompt".into(),
    })?;
    let prompt = std::str::from_utf8(prompt)
        .map_err(|_| ApiError::value("prompt", "the prompt is not UTF-8"))?;
    let options = match options {
        Some(options) => parse_options(options)?,
        None => GenerationOptions::default(),
    };
    Ok(GenerationRequest {
        prompt: prompt.to_owned(),
        images: Vec::new(),
        options,
        webhook: None,
    })
}

fn parse_options(json: &[u8]) -> Result<GenerationOptions> {
    let options = validate::json::parse_under("options", json)?;
    validate::json::require_objects(json, &["image"])
        .map_err(|_| ApiError::value("options.image", "expected an object"))?;
    Ok(options)
}

fn check_count(asked: &GenerationRequest, files: &[Bytes], state: &State) -> Result<()> {
    if asked.images.len() + files.len() > state.limits.images {
        let detail = format!("at most {} pictures are taken", state.limits.images);
        return Err(ApiError::value("images", detail));
    }
    Ok(())
}

/// A policy must be configured here, be a run's checkpoint, or be offered by a
/// live worker.
async fn check_policy(options: &GenerationOptions, state: &State) -> Result<()> {
    let Some(asked) = &options.policy else {
        return Ok(());
    };
    if **asked == *state.policy_spec {
        return Ok(());
    }
    if policy::named(state, asked).await?.is_some() {
        return Ok(());
    }
    let workers = state.store.queue().workers().await?;
    let is_offered = workers
        .iter()
        .flat_map(|worker| &worker.policies)
        .any(|policy| policy.name == *asked);
    if is_offered {
        return Ok(());
    }
    Err(ApiError::value(
        "options.policy",
        "no worker offers this policy (/api/v1/models lists them), and no training run has such a checkpoint",
    ))
}
