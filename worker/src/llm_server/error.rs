//! Errors as OpenAI writes them:
//! `{"error": {"message", "type", "param", "code"}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use illumine_models::ModelError;
use serde_json::{Value, json};

/// Seconds after which a full server may be asked again.
const RETRY_AFTER_S: u32 = 1;

/// Why a request is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

impl ApiError {
    /// A fault of the request, in `param`.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            code: None,
            param: Some(param.into()),
            message: message.into(),
        }
    }

    /// A picture that is not taken, in `param`.
    pub fn picture(
        param: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            code: Some(code),
            ..Self::invalid(param, message)
        }
    }

    /// Pictures up to the one in `param` that fill the context.
    pub fn context(param: &str, tokens: usize, context: usize) -> Self {
        let message = format!(
            "the pictures up to this one take {tokens} tokens; the model's context holds {context}, text and answer included: send fewer or smaller ones."
        );
        Self::picture(param, "context_length_exceeded", message)
    }

    /// A body that is not JSON, too large, or was broken off.
    pub fn body(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            param: None,
            ..Self::invalid("", message)
        }
    }

    pub fn no_model(name: &str, served: &str, adapters: &[String]) -> Self {
        let served = adapters.iter().fold(format!("`{served}`"), |all, adapter| {
            format!("{all}, `{adapter}`")
        });
        Self {
            status: StatusCode::NOT_FOUND,
            code: Some("model_not_found"),
            ..Self::invalid(
                "model",
                format!("The model `{name}` does not exist; this server has {served}."),
            )
        }
    }

    pub fn no_key() -> Self {
        Self {
            code: Some("invalid_api_key"),
            ..Self::body(
                StatusCode::UNAUTHORIZED,
                "Incorrect API key provided; expected `Authorization: Bearer <key>`.",
            )
        }
    }

    pub fn no_route() -> Self {
        Self::body(StatusCode::NOT_FOUND, "There is no such address.")
    }

    pub fn no_method() -> Self {
        Self::body(
            StatusCode::METHOD_NOT_ALLOWED,
            "This address does not take this method.",
        )
    }

    /// The engine ended without an answer.
    pub fn stopped() -> Self {
        ModelError::Engine("it stopped unexpectedly".to_owned()).into()
    }

    pub fn to_json(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }})
    }
}

impl From<ModelError> for ApiError {
    fn from(error: ModelError) -> Self {
        let message = error.to_string();
        match error {
            ModelError::Request {
                field: "prompt", ..
            } => Self {
                code: Some("context_length_exceeded"),
                ..Self::invalid("messages", message)
            },
            ModelError::Request { field, .. } => Self::invalid(field, message),
            // Pictures are called by their place in the request.
            ModelError::Picture { name, reason } => Self::picture(name, "picture_broken", reason),
            ModelError::ChatTemplate(_) | ModelError::Tokenizer(_) => {
                Self::invalid("messages", message)
            }
            ModelError::Busy { .. } | ModelError::PicturesBusy { .. } => Self {
                kind: "rate_limit_error",
                code: Some("busy"),
                ..Self::body(StatusCode::TOO_MANY_REQUESTS, message)
            },
            _ => {
                tracing::error!(error = %message, "the model failed");
                Self {
                    kind: "server_error",
                    code: Some("model_failed"),
                    ..Self::body(StatusCode::SERVICE_UNAVAILABLE, message)
                }
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_json())).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
