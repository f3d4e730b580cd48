//! Pictures from outside: fetched through the guard, checked by content.

use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use illumine_config::Config;
use illumine_guard::{Allow, FetchError, FetchLimits, Guard, PictureError, PictureLimits, inspect};
use illumine_store::Store;
use illumine_types::ImageRef;
use illumine_types::capability::Limits;

pub use illumine_guard::Picture;

use crate::error::{ApiError, Result};

/// A client waits for the answer meanwhile.
const FETCH_TIME: Duration = Duration::from_secs(10);

/// Judges what people bring.
#[derive(Clone, Debug)]
pub struct Pictures {
    guard: Guard,
    fetch: FetchLimits,
    picture: PictureLimits,
}

impl Pictures {
    /// # Errors
    /// If `tools.fetch_allow` holds something that is no `host:port`.
    pub fn new(config: &Config, limits: Limits) -> anyhow::Result<Self> {
        let allow = Allow::parse(&config.tools.fetch_allow)
            .map_err(|error| anyhow!("tools.fetch_allow: {error}"))?;
        Ok(Self {
            guard: Guard::new(allow),
            fetch: FetchLimits {
                total: FETCH_TIME,
                bytes: limits.image_bytes,
                ..FetchLimits::default()
            },
            picture: PictureLimits {
                bytes: limits.image_bytes,
                pixels: limits.image_pixels,
                ..PictureLimits::default()
            },
        })
    }

    /// # Errors
    /// `invalid_image` with the reason.
    pub async fn inspect(&self, bytes: Bytes, field: &str) -> Result<Picture> {
        inspect(bytes, self.picture)
            .await
            .map_err(|error: PictureError| ApiError::InvalidImage {
                field: field.to_owned(),
                detail: error.to_string(),
            })
    }

    /// # Errors
    /// `url_refused`, `url_failed`, or as [`Pictures::inspect`].
    pub async fn fetch(&self, url: &str, field: &str) -> Result<Picture> {
        let fetched = self.guard.fetch(url, self.fetch).await.map_err(|error| {
            let (field, detail) = (field.to_owned(), error.to_string());
            match error {
                FetchError::NotAUrl => ApiError::InvalidValue { field, detail },
                error if error.is_refusal() => ApiError::UrlRefused { field, detail },
                _ => ApiError::UrlFailed { field, detail },
            }
        })?;
        self.inspect(fetched.bytes, field).await
    }

    /// Stores a picture under its content's hash.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn store(&self, store: &Store, picture: Picture) -> Result<ImageRef> {
        let Picture {
            bytes,
            mime,
            width,
            height,
        } = picture;
        Ok(store.blobs().put_input(bytes, mime, width, height).await?)
    }
}
