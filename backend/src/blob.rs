//! Stored bytes as an answer: cached for ever, never run.

use actix_web::body::SizedStream;
use actix_web::http::header::{
    self, CacheControl, CacheDirective, ETag, EntityTag, Header, IfNoneMatch,
};
use actix_web::{HttpRequest, HttpResponse};
use futures::TryStreamExt;
use illumine_store::Store;
use illumine_types::BlobKey;

use crate::error::{ApiError, Result};
use crate::headers::CSP_SANDBOX;

/// Answers a picture. The name is the content's hash, hence also its ETag.
///
/// # Errors
/// `not_found`.
pub async fn serve(
    request: &HttpRequest,
    store: &Store,
    key: &BlobKey,
    s3_key: String,
) -> Result<HttpResponse> {
    let tag = EntityTag::new_strong(key.as_str().to_owned());
    let Some(mime) = mime(key.extension()) else {
        return Err(ApiError::not_found("picture", key));
    };
    if is_known(request, &tag) {
        return Ok(HttpResponse::NotModified()
            .insert_header(ETag(tag))
            .insert_header(for_ever())
            .finish());
    }
    let stored = store
        .blobs()
        .get_stream(&s3_key)
        .await
        .map_err(|error| match error {
            illumine_store::StoreError::NotFound { .. } => ApiError::not_found("picture", key),
            other => other.into(),
        })?;
    let mut response = HttpResponse::Ok();
    response
        .content_type(mime)
        .insert_header(ETag(tag))
        .insert_header(for_ever())
        .insert_header((header::CONTENT_SECURITY_POLICY, CSP_SANDBOX))
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("inline; filename=\"{key}\""),
        ));
    let body = stored.body.map_err(std::io::Error::other);
    Ok(match stored.bytes {
        Some(bytes) => response.body(SizedStream::new(bytes, body)),
        None => response.streaming(body),
    })
}

/// Whether the client's copy has this tag.
#[must_use]
pub fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(header::IF_NONE_MATCH),
        Ok(IfNoneMatch::Items(known)) => known.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

/// Only this browser may keep it: who may see it depends on the key.
fn for_ever() -> CacheControl {
    CacheControl(vec![
        CacheDirective::Private,
        CacheDirective::MaxAge(31_536_000),
        CacheDirective::Extension("immutable".into(), None),
    ])
}

/// Types that are stored; none of them can hold a script.
fn mime(extension: &str) -> Option<&'static str> {
    match extension {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "webp" => Some("image/webp"),
        "gif" => Some("image/gif"),
        _ => None,
    }
}
