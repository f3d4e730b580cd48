//! Bytes in S3, by key.

use bytes::Bytes;
use futures::stream::BoxStream;
use illumine_types::{BlobKey, ImageRef, JobId};

use crate::{Result, Store, StoreError};

/// Bytes in S3.
#[derive(Clone, Debug)]
pub struct Blobs {
    pub(crate) store: Store,
}

/// What is known of stored bytes without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    pub key: String,
    pub bytes: u64,
    pub mime: Option<String>,
    pub etag: Option<String>,
}

/// A page of keys, in lexical order.
#[derive(Clone, Debug)]
pub struct BlobPage {
    pub items: Vec<BlobInfo>,
    /// Give it back to read on; `None` on the last page.
    pub next: Option<String>,
}

/// Stored bytes, piece by piece.
pub struct BlobStream {
    /// Length of the whole, if the server told.
    pub bytes: Option<u64>,
    pub mime: Option<String>,
    pub body: BoxStream<'static, Result<Bytes>>,
}

impl std::fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobStream")
            .field("bytes", &self.bytes)
            .field("mime", &self.mime)
            .finish_non_exhaustive()
    }
}

fn unbuilt<T>() -> Result<T> {
    Err(StoreError::Config("not built yet".into()))
}

impl Blobs {
    /// Stores bytes under a key; tried again while S3 is down, for a bounded time.
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn put(&self, _key: &str, _bytes: impl Into<Bytes>, _mime: &str) -> Result<()> {
        unbuilt()
    }

    /// # Errors
    /// [`StoreError::NotFound`] if there is no such key.
    pub async fn get(&self, _key: &str) -> Result<Bytes> {
        unbuilt()
    }

    /// # Errors
    /// [`StoreError::NotFound`] if there is no such key.
    pub async fn get_stream(&self, _key: &str) -> Result<BlobStream> {
        unbuilt()
    }

    /// `None` if there is no such key.
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn head(&self, _key: &str) -> Result<Option<BlobInfo>> {
        unbuilt()
    }

    /// At most 1,000 keys under a prefix, after `from` (a page's `next`).
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn list(&self, _prefix: &str, _from: Option<String>) -> Result<BlobPage> {
        unbuilt()
    }

    /// Removes a key; that it is missing is no error.
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn delete(&self, _key: &str) -> Result<()> {
        unbuilt()
    }

    /// Stores a picture by its content under `images/`.
    ///
    /// # Errors
    /// If the type is none of ours, S3 refuses, or stays away.
    pub async fn put_image(
        &self,
        _bytes: impl Into<Bytes>,
        _mime: &str,
        _width: u32,
        _height: u32,
    ) -> Result<ImageRef> {
        unbuilt()
    }

    /// [`Blobs::put_image`], noting first that the job uses the picture, so that
    /// removing another document cannot take it away.
    ///
    /// # Errors
    /// As [`Blobs::put_image`].
    pub async fn put_image_for(
        &self,
        _job: &JobId,
        _bytes: impl Into<Bytes>,
        _mime: &str,
        _width: u32,
        _height: u32,
    ) -> Result<ImageRef> {
        unbuilt()
    }

    /// Stores an uploaded picture by its content under `inputs/`.
    ///
    /// # Errors
    /// As [`Blobs::put_image`].
    pub async fn put_input(
        &self,
        _bytes: impl Into<Bytes>,
        _mime: &str,
        _width: u32,
        _height: u32,
    ) -> Result<ImageRef> {
        unbuilt()
    }

    /// The S3 key of a picture under `images/`.
    #[must_use]
    pub fn image_key(key: &BlobKey) -> String {
        format!("images/{key}")
    }

    /// The S3 key of a picture under `inputs/`.
    #[must_use]
    pub fn input_key(key: &BlobKey) -> String {
        format!("inputs/{key}")
    }
}
