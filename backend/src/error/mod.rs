//! The one error of this crate: what a client is told, as problem details.
//!
//! A handler returns [`ApiError`] and nothing else. What a client did wrong is
//! a variant with the field or header at fault; what broke on our side is
//! [`ApiError::Internal`] (logged, told as a bare 500) or
//! [`ApiError::Unavailable`] (a store is away; ask again later).

pub mod codes;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use codes::Code;
use illumine_store::StoreError;
use illumine_types::Problem;

/// Seconds after which a client may ask again when a store is away.
const RETRY_AFTER_S: u64 = 5;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("{0}")]
    InvalidJson(String),
    #[error("{0}")]
    InvalidMultipart(String),
    #[error("{detail}")]
    InvalidQuery { field: String, detail: String },
    #[error("{detail}")]
    InvalidId { field: &'static str, detail: String },
    #[error(
        "start again without `cursor`: this one was not given out by this list, or no longer holds"
    )]
    InvalidCursor,
    #[error("{0}")]
    InvalidEventId(String),
    #[error("{detail}")]
    InvalidHeader { name: &'static str, detail: String },
    #[error("send `Authorization: Bearer <key>`, or sign in at /api/v1/session")]
    Unauthorized,
    #[error("{0}")]
    BadKey(&'static str),
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("{0}")]
    CrossOrigin(&'static str),
    #[error("sign-in is off, so only `localhost` and loopback addresses are served")]
    UntrustedHost,
    #[error("there is no {what} `{id}`")]
    NotFound { what: &'static str, id: String },
    #[error("{0}")]
    NotReady(String),
    #[error("there is nothing at `{0}`; /docs lists what there is")]
    UnknownRoute(String),
    #[error("`{path}` takes {allowed}")]
    MethodNotAllowed { path: String, allowed: String },
    #[error("{0}")]
    IdempotencyConflict(String),
    #[error("{0}")]
    WrongState(String),
    #[error("at most {limit_bytes} bytes are taken here")]
    PayloadTooLarge {
        limit_bytes: usize,
        field: Option<String>,
    },
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
    #[error("{detail}")]
    InvalidValue { field: String, detail: String },
    #[error("`{field}` is missing")]
    MissingField { field: String },
    #[error("{detail}")]
    UnknownField { field: String, detail: String },
    #[error("{detail}")]
    InvalidImage { field: String, detail: String },
    #[error("{0}")]
    InvalidDataset(String),
    #[error("{detail}")]
    UrlRefused { field: String, detail: String },
    #[error("{detail}")]
    UrlFailed { field: String, detail: String },
    #[error("wait {retry_after_s} seconds before the next attempt")]
    TooManyAttempts { retry_after_s: u64 },
    #[error("{0}")]
    NotScored(String),
    #[error("{0}")]
    TimedOut(String),
    /// The text is for the log alone.
    #[error("the request was not served; the log has the reason under the request id")]
    Internal(String),
    #[error("{0}; ask again in a few seconds")]
    Unavailable(&'static str),
}

impl ApiError {
    #[must_use]
    pub fn value(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::InvalidValue {
            field: field.into(),
            detail: detail.into(),
        }
    }

    #[must_use]
    pub fn query(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::InvalidQuery {
            field: field.into(),
            detail: detail.into(),
        }
    }

    #[must_use]
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }

    #[must_use]
    pub fn internal(reason: impl std::fmt::Display) -> Self {
        Self::Internal(reason.to_string())
    }

    /// The row of the table of codes.
    #[must_use]
    pub const fn row(&self) -> Code {
        match self {
            Self::InvalidJson(_) => codes::INVALID_JSON,
            Self::InvalidMultipart(_) => codes::INVALID_MULTIPART,
            Self::InvalidQuery { .. } => codes::INVALID_QUERY,
            Self::InvalidId { .. } => codes::INVALID_ID,
            Self::InvalidCursor => codes::INVALID_CURSOR,
            Self::InvalidEventId(_) => codes::INVALID_EVENT_ID,
            Self::InvalidHeader { .. } => codes::INVALID_HEADER,
            Self::Unauthorized | Self::BadKey(_) => codes::UNAUTHORIZED,
            Self::Forbidden(_) => codes::FORBIDDEN,
            Self::CrossOrigin(_) => codes::CROSS_ORIGIN,
            Self::UntrustedHost => codes::UNTRUSTED_HOST,
            Self::NotFound { .. } => codes::NOT_FOUND,
            Self::NotReady(_) => codes::NOT_READY,
            Self::UnknownRoute(_) => codes::UNKNOWN_ROUTE,
            Self::MethodNotAllowed { .. } => codes::METHOD_NOT_ALLOWED,
            Self::IdempotencyConflict(_) => codes::IDEMPOTENCY_CONFLICT,
            Self::WrongState(_) => codes::WRONG_STATE,
            Self::PayloadTooLarge { .. } => codes::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => codes::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidValue { .. } => codes::INVALID_VALUE,
            Self::MissingField { .. } => codes::MISSING_FIELD,
            Self::UnknownField { .. } => codes::UNKNOWN_FIELD,
            Self::InvalidImage { .. } => codes::INVALID_IMAGE,
            Self::InvalidDataset(_) => codes::INVALID_DATASET,
            Self::UrlRefused { .. } => codes::URL_REFUSED,
            Self::UrlFailed { .. } => codes::URL_FAILED,
            Self::TooManyAttempts { .. } => codes::TOO_MANY_ATTEMPTS,
            Self::NotScored(_) => codes::NOT_SCORED,
            Self::TimedOut(_) => codes::TIMED_OUT,
            Self::Internal(_) => codes::INTERNAL,
            Self::Unavailable(_) => codes::UNAVAILABLE,
        }
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.row().code
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::InvalidQuery { field, .. }
            | Self::InvalidValue { field, .. }
            | Self::MissingField { field }
            | Self::UnknownField { field, .. }
            | Self::InvalidImage { field, .. }
            | Self::UrlRefused { field, .. }
            | Self::UrlFailed { field, .. } => Some(field),
            Self::PayloadTooLarge { field, .. } => field.as_deref(),
            Self::InvalidId { field, .. } => Some(field),
            Self::InvalidHeader { name, .. } => Some(name),
            Self::InvalidDataset(_) => Some("file"),
            Self::InvalidCursor => Some("cursor"),
            Self::InvalidEventId(_) => Some("last_event_id"),
            _ => None,
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let row = self.row();
        let problem = Problem::new(row.code, row.title, self.to_string());
        match self.field() {
            Some(field) => problem.with_field(field),
            None => problem,
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.row().status
    }

    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Internal(reason) => tracing::error!(reason, "request failed"),
            Self::Unavailable(part) => tracing::warn!(part, "request refused"),
            _ => {}
        }
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        match self {
            Self::Unavailable(_) => {
                response.insert_header((header::RETRY_AFTER, RETRY_AFTER_S));
            }
            Self::TooManyAttempts { retry_after_s } => {
                response.insert_header((header::RETRY_AFTER, *retry_after_s));
            }
            Self::Unauthorized | Self::BadKey(_) => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
            }
            Self::MethodNotAllowed { allowed, .. } => {
                response.insert_header((header::ALLOW, allowed.as_str()));
            }
            _ => {}
        }
        let body = serde_json::to_string(&self.problem()).unwrap_or_default();
        response.content_type("application/problem+json").body(body)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::RedisUnavailable(_) => Self::Unavailable("the queue (Redis) is away"),
            StoreError::S3Unavailable(_) => Self::Unavailable("the object store (S3) is away"),
            StoreError::NotFound { what, id } => Self::NotFound { what, id },
            StoreError::IdempotencyConflict { .. } => Self::IdempotencyConflict(error.to_string()),
            StoreError::WrongState { .. } => Self::WrongState(error.to_string()),
            StoreError::VersionConflict { .. } => Self::WrongState(error.to_string()),
            StoreError::BadCursor => Self::InvalidCursor,
            StoreError::BadEventId(_) => Self::InvalidEventId(error.to_string()),
            StoreError::Invalid { field, reason } => Self::value(field, reason),
            other => Self::internal(other),
        }
    }
}

pub type Result<T> = std::result::Result<T, ApiError>;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_are_errors() {
        let unique: BTreeSet<&str> = codes::ALL.iter().map(|row| row.code).collect();
        assert_eq!(unique.len(), codes::ALL.len());
        for row in codes::ALL {
            assert!(row.status.is_client_error() || row.status.is_server_error());
        }
    }

    #[test]
    fn internals_are_not_told() {
        let error = ApiError::internal("password hunter2 in /srv/state");
        let told = serde_json::to_string(&error.problem()).unwrap();
        assert!(!told.contains("hunter2"), "{told}");
    }
}
