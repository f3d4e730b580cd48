//! `POST /api/v1/documents/{id}/images/{index}/redraw`.

use actix_web::http::header;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use illumine_store::jobs::NewJob;
use illumine_types::api::{Accepted, Links, RedrawJob, RedrawRequest};
use illumine_types::document::ImageBlock;
use illumine_types::tool::ToolRequest;
use illumine_types::{Document, Job, JobId, JobKind, Priority, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::documents::visible_document;
use crate::auth::Caller;
use crate::body::{self, SMALL_LIMIT};
use crate::error::{ApiError, Result};
use crate::state::State;
use crate::{idempotency, ids, validate};

/// Draws one picture of a document again.
///
/// The answer's job has events of its own; when it has completed, the document
/// has a new version. An empty body draws again with a new seed.
#[utoipa::path(
    post,
    path = "/api/v1/documents/{id}/images/{index}/redraw",
    tag = "documents",
    params(
        ("id" = String, Path),
        ("index" = usize, Path, description = "Position among all images, as in the block"),
        ("Idempotency-Key" = Option<String>, Header),
    ),
    request_body = RedrawRequest,
    responses(
        (status = 202, description = "Queued", body = Accepted),
        (status = 409, description = "The tag was no valid call; send nothing to redraw", body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn redraw(
    request: HttpRequest,
    payload: Payload,
    path: Path<(String, String)>,
    state: Data<State>,
    caller: Caller,
) -> Result<HttpResponse> {
    let (id, index) = path.into_inner();
    let id = ids::generation(&id)?;
    let index: usize = index.parse().map_err(|_| ApiError::InvalidId {
        field: "index",
        detail: "a picture's index is a number".into(),
    })?;
    let idempotency_key = idempotency::key(request.headers())?;
    let body = body::read(&request, payload, SMALL_LIMIT).await?;
    let asked = read(&body)?;
    let document = visible_document(&state, &caller, &id).await?;
    let block = document
        .images()
        .find(|block| block.index == index)
        .ok_or_else(|| ApiError::not_found("picture with the index", index))?;
    check_params(&document, block, asked.params.as_ref())?;
    let redraw = RedrawJob {
        document: id.clone(),
        index,
        redraw: asked,
    };
    let submitted = state
        .store
        .jobs()
        .submit(NewJob {
            kind: JobKind::Redraw,
            owner: caller.owner(),
            priority: Priority::High,
            title: validate::title(&format!("Picture {index} of {}", document.title)),
            request: serde_json::to_value(&redraw).map_err(ApiError::internal)?,
            idempotency_key,
            inputs: Vec::new(),
        })
        .await?;
    let accepted = accepted(&submitted.job, &id);
    Ok(HttpResponse::Accepted()
        .insert_header((header::LOCATION, accepted.links.this.as_str()))
        .insert_header(idempotency::replayed(submitted.created))
        .json(accepted))
}

fn accepted(job: &Job, document: &JobId) -> Accepted {
    let this = format!("/api/v1/generations/{}", job.id);
    Accepted {
        id: job.id.clone(),
        status: job.status,
        links: Links {
            events: format!("{this}/events"),
            cancel: format!("{this}/cancel"),
            document: format!("/api/v1/documents/{document}"),
            this,
        },
    }
}

/// [`RedrawRequest`], strictly.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Strict {
    params: Option<Value>,
    seed: Option<u64>,
}

fn read(body: &[u8]) -> Result<RedrawRequest> {
    let strict: Strict = if body.trim_ascii().is_empty() {
        Strict::default()
    } else {
        validate::json::parse(body)?
    };
    Ok(RedrawRequest {
        params: strict.params,
        seed: strict.seed,
    })
}

/// New parameters must make a call of the same tool; the picture that an edit
/// starts from must come before it.
fn check_params(document: &Document, block: &ImageBlock, params: Option<&Value>) -> Result<()> {
    let Some(call) = &block.call else {
        return Err(ApiError::WrongState(
            "this picture's tag was no valid call".into(),
        ));
    };
    let Some(params) = params else {
        return Ok(());
    };
    let tag = json!({ "source": call.kind(), "params": params });
    let asked: ToolRequest = serde_json::from_value(tag)
        .map_err(|error| ApiError::value("params", error.to_string()))?;
    let words = match &asked {
        ToolRequest::Search { query } => query,
        ToolRequest::Diffusion { prompt } | ToolRequest::Edit { prompt, .. } => prompt,
        ToolRequest::Code { code } => code,
    };
    if words.trim().is_empty() {
        return Err(ApiError::value(
            "params",
            "the words for the tool are empty",
        ));
    }
    match asked {
        ToolRequest::Edit { img_index, .. } if img_index >= block.index => Err(ApiError::value(
            "params.img_index",
            format!(
                "must be below {}, and there are {} inputs",
                block.index,
                document.inputs.len()
            ),
        )),
        _ => Ok(()),
    }
}
