//! `/api/v1/documents/{id}`: the result, in four forms.

use actix_web::http::header::{self, ETag, EntityTag};
use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use illumine_store::StoreError;
use illumine_types::{Document, JobId, Problem};

use super::generations::visible_job;
use super::redraw::redraw;
use super::{get, resource};
use crate::auth::Caller;
use crate::blob::is_known;
use crate::error::{ApiError, Result};
use crate::export::{self, Format};
use crate::headers::{CSP_DOCUMENT, CSP_NOTHING};
use crate::ids;
use crate::query::Parameters;
use crate::state::State;

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/documents/{id}", "GET").route(get().to(show)))
        .service(
            resource("/documents/{id}/images/{index}/redraw", "POST").route(web::post().to(redraw)),
        );
}

/// The document.
///
/// `html` is one self-contained, sanitised file; `zip` holds the Markdown, the
/// pictures, the HTML file and `document.json`.
#[utoipa::path(
    get,
    path = "/api/v1/documents/{id}",
    tag = "documents",
    params(("format" = Option<Format>, Query, description = "`json` if left out")),
    responses(
        (status = 200, content(
            (Document = "application/json"),
            (String = "text/html"),
            (String = "text/markdown"),
            (Vec<u8> = "application/zip"),
        )),
        (status = 404, description = "Unknown (`not_found`), or not there yet (`not_ready`)", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    request: HttpRequest,
    id: Path<String>,
    state: Data<State>,
    caller: Caller,
) -> Result<HttpResponse> {
    let id = ids::generation(&id)?;
    let query = Parameters::read(&request, &["format"])?;
    let format = query
        .parsed("format", "one of json, html, markdown, zip", Format::parse)?
        .unwrap_or(Format::Json);
    let document = visible_document(&state, &caller, &id).await?;
    let tag = EntityTag::new_weak(format!("{}-{}", document.version, format.extension()));
    if is_known(&request, &tag) {
        return Ok(HttpResponse::NotModified()
            .insert_header(ETag(tag))
            .finish());
    }
    let policy = if format == Format::Html {
        CSP_DOCUMENT
    } else {
        CSP_NOTHING
    };
    let is_file = format != Format::Json;
    let body = export::render(&state, document, format).await?;
    let mut response = HttpResponse::Ok();
    response
        .content_type(format.mime())
        .insert_header(ETag(tag))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy));
    if is_file {
        let name = format!("{id}.{}", format.extension());
        let how = if format == Format::Zip {
            "attachment"
        } else {
            "inline"
        };
        response.insert_header((
            header::CONTENT_DISPOSITION,
            format!("{how}; filename=\"{name}\""),
        ));
    }
    Ok(response.body(body))
}

/// The document, if it exists and this caller may see it.
///
/// # Errors
/// `not_found`, or `not_ready` while the job has stored none.
pub async fn visible_document(state: &State, caller: &Caller, id: &JobId) -> Result<Document> {
    let job = visible_job(state, caller, id).await?;
    match state.store.documents().get(id).await {
        Ok(document) => Ok(document),
        Err(StoreError::NotFound { .. }) => Err(ApiError::NotReady(format!(
            "the job is {}; follow /api/v1/generations/{id}/events",
            job.status.as_str()
        ))),
        Err(error) => Err(error.into()),
    }
}
