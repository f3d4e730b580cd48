//! Pictures from addresses that others named, through the one guard.

use bytes::Bytes;
use illumine_guard::{FetchError, FetchLimits, Guard, PictureError, PictureLimits, inspect};
use url::Url;

use crate::{Picture, ToolError};

/// Fetches pictures and checks them.
#[derive(Clone, Debug)]
pub struct PictureFetcher {
    guard: Guard,
    pub fetch_limits: FetchLimits,
    pub picture_limits: PictureLimits,
}

impl PictureFetcher {
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self {
            guard,
            fetch_limits: FetchLimits::default(),
            picture_limits: PictureLimits::default(),
        }
    }

    /// The same, letting through the host of a service that is configured.
    #[must_use]
    pub fn with_service(&self, url: &str) -> Self {
        Self {
            guard: self.guard.with_service(url),
            ..self.clone()
        }
    }

    /// Fetches and checks; the address is the one after redirects.
    ///
    /// # Errors
    /// [`ToolError`] with the guard's code.
    pub async fn fetch(&self, url: &str) -> Result<(Picture, Url), ToolError> {
        let fetched = self.guard.fetch(url, self.fetch_limits).await?;
        let picture = self.check(fetched.bytes).await?;
        Ok((picture, fetched.final_url))
    }

    /// Checks bytes that came another way.
    ///
    /// # Errors
    /// [`ToolError`] with the picture's code.
    pub async fn check(&self, bytes: Bytes) -> Result<Picture, ToolError> {
        Ok(inspect(bytes, self.picture_limits).await?)
    }
}

impl From<FetchError> for ToolError {
    fn from(error: FetchError) -> Self {
        let (code, message) = (error.code(), error.to_string());
        if error.is_refusal() {
            return Self::refused(code, message);
        }
        if !error.is_transient() {
            return Self::permanent(code, message);
        }
        let retry_after = match error {
            FetchError::Status { retry_after, .. } => retry_after,
            _ => None,
        };
        Self::Transient {
            code,
            message,
            retry_after,
        }
    }
}

impl From<PictureError> for ToolError {
    fn from(error: PictureError) -> Self {
        Self::permanent(error.code(), error.to_string())
    }
}
