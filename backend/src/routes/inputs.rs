//! `/api/v1/inputs`: pictures that people bring.

use actix_web::web::{self, Data, Path, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use illumine_store::blobs::Blobs;
use illumine_types::Problem;
use illumine_types::api::UploadedInput;

use super::{get, resource};
use crate::auth::Caller;
use crate::body::{self, BodyType};
use crate::error::{ApiError, Result};
use crate::multipart::Form;
use crate::state::State;
use crate::{blob, ids};

pub fn configure(config: &mut ServiceConfig) {
    config
        .service(resource("/inputs", "POST").route(web::post().to(upload)))
        .service(resource("/inputs/{key}", "GET").route(get().to(show)));
}

/// The multipart form of an upload.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct UploadForm {
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// Uploads a picture once, to be named by `input_id` in requests. The same
/// bytes have the same id.
#[utoipa::path(
    post,
    path = "/api/v1/inputs",
    tag = "pictures",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, body = UploadedInput),
        (status = 413, body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not a picture that can be used", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn upload(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
    _caller: Caller,
) -> Result<HttpResponse> {
    if body::body_type(request.headers())? != BodyType::Multipart {
        return Err(ApiError::UnsupportedMediaType(
            "send `multipart/form-data` with a field `file`",
        ));
    }
    let form = Form::read(&request, payload, "file", &[], state.limits.image_bytes, 1).await?;
    let file = form
        .files
        .into_iter()
        .next()
        .ok_or_else(|| ApiError::MissingField {
            field: "file".into(),
        })?;
    let picture = state.pictures.inspect(file, "file").await?;
    let stored = state.pictures.store(&state.store, picture).await?;
    let url = format!("/api/v1/inputs/{}", stored.id);
    Ok(HttpResponse::Created()
        .insert_header(("location", url.as_str()))
        .json(UploadedInput {
            input_id: stored.id,
            url,
            mime: stored.mime,
            width: stored.width,
            height: stored.height,
        }))
}

/// An uploaded picture.
#[utoipa::path(
    get,
    path = "/api/v1/inputs/{key}",
    tag = "pictures",
    responses(
        (status = 200, description = "The picture", content_type = "image/*"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    request: HttpRequest,
    key: Path<String>,
    state: Data<State>,
    _caller: Caller,
) -> Result<HttpResponse> {
    let key = ids::blob(&key)?;
    blob::serve(&request, &state.store, &key, Blobs::input_key(&key)).await
}
