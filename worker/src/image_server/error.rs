//! Errors as FastAPI writes them: `{"detail": …}`.

use axum::Json;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use illumine_models::ModelError;
use illumine_models::qwen_image::studio::Studio;
use serde_json::{Value, json};

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    status: StatusCode,
    detail: Value,
    /// Seconds.
    retry_after: Option<u64>,
}

impl ApiError {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: Value::String(detail.into()),
            retry_after: None,
        }
    }

    /// A field that cannot be used, as FastAPI's validation tells it.
    pub fn field(name: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            detail: json!([{"type": "value_error", "loc": ["body", name], "msg": message}]),
            retry_after: None,
        }
    }

    /// A body that is too large or was broken off.
    pub fn body(rejection: &BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }

    /// A request that is not on the board of progress.
    pub fn no_request(id: &str) -> Self {
        let message = format!("no request `{id}` is known; it may have ended a while ago");
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Stopped by somebody's `DELETE /progress/{request_id}`.
    pub fn cancelled() -> Self {
        Self::new(StatusCode::CONFLICT, "drawing was cancelled")
    }

    /// What the studio refused, or why it drew nothing.
    pub fn model(error: &ModelError, studio: &Studio) -> Self {
        match error {
            ModelError::Request { field, reason } => {
                // Under the interface's names.
                let name = match *field {
                    "steps" => "num_inference_steps",
                    "guidance" => "guidance_scale",
                    "pictures" => "image_b64",
                    other => other,
                };
                Self::field(name, format!("{name} {reason}"))
            }
            ModelError::Picture { reason, .. } => Self::field("image_b64", reason.clone()),
            ModelError::Busy { .. } | ModelError::PicturesBusy { .. } => Self {
                retry_after: Some(studio.retry_after().as_secs_f64().ceil() as u64),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
            },
            _ => {
                tracing::error!(%error, "the picture model failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Json(json!({"detail": self.detail}));
        let mut response = (self.status, body).into_response();
        if let Some(seconds) = self.retry_after {
            let seconds = HeaderValue::from(seconds);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}
