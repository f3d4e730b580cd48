//! Request bodies, read with a limit.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::error::{ApiError, Result};

/// Largest body that carries pictures: a few at full size, or many small ones.
pub const PICTURES_LIMIT: usize = 80 * 1024 * 1024;
/// Largest body that carries words only.
pub const SMALL_LIMIT: usize = 256 * 1024;

/// What a body says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyType {
    Json,
    Multipart,
}

/// # Errors
/// 415 unless the body is JSON or multipart.
pub fn body_type(headers: &HeaderMap) -> Result<BodyType> {
    let said = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = said.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/json" => Ok(BodyType::Json),
        "multipart/form-data" => Ok(BodyType::Multipart),
        _ => Err(ApiError::UnsupportedMediaType(
            "send `application/json` or `multipart/form-data`",
        )),
    }
}

/// Refuses a body by its announced length, before anything is read.
///
/// # Errors
/// 413.
pub fn check_length(headers: &HeaderMap, limit_bytes: usize) -> Result<()> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    match announced {
        Some(length) if length > limit_bytes => Err(too_large(limit_bytes)),
        _ => Ok(()),
    }
}

/// Reads a JSON body.
///
/// # Errors
/// 415 for another type, 413 above the limit, 400 if the connection broke.
pub async fn read_json(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes> {
    if body_type(request.headers())? != BodyType::Json {
        return Err(ApiError::UnsupportedMediaType("send `application/json`"));
    }
    read(request, payload, limit).await
}

/// Reads a body of any type.
///
/// # Errors
/// 413 above the limit, 400 if the connection broke.
pub async fn read(request: &HttpRequest, mut payload: Payload, limit: usize) -> Result<Bytes> {
    check_length(request.headers(), limit)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            ApiError::InvalidJson(format!("the body could not be read: {error}"))
        })?;
        if body.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A 413 for the whole body.
#[must_use]
pub fn too_large(limit_bytes: usize) -> ApiError {
    ApiError::PayloadTooLarge {
        limit_bytes,
        field: None,
    }
}
