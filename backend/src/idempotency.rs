//! `Idempotency-Key`: asking twice makes one job.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::error::{ApiError, Result};

const NAME: &str = "Idempotency-Key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// # Errors
/// `invalid_header` unless the key has 1 to 255 printable ASCII characters.
pub fn key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get(NAME) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain && (1..=255).contains(&text.len()) {
        return Ok(Some(text.to_owned()));
    }
    Err(ApiError::InvalidHeader {
        name: NAME,
        detail: "expected 1 to 255 printable ASCII characters without spaces".into(),
    })
}

/// Says whether the answer is an earlier job's.
#[must_use]
pub fn replayed(created: bool) -> (HeaderName, HeaderValue) {
    let value = if created { "false" } else { "true" };
    (REPLAYED, HeaderValue::from_static(value))
}
