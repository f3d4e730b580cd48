//! Bytes in S3, by key.

mod client;

use bytes::Bytes;
use futures::stream::BoxStream;
use illumine_types::{BlobKey, ImageRef, JobId};
use sha2::{Digest, Sha256};

pub(crate) use client::S3;

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

impl Blobs {
    /// Stores bytes under a key; tried again while S3 is down, for a bounded time.
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn put(&self, key: &str, bytes: impl AsRef<[u8]>, mime: &str) -> Result<()> {
        self.store.s3().put(key, bytes.as_ref(), mime).await
    }

    /// # Errors
    /// [`StoreError::NotFound`] if there is no such key.
    pub async fn get(&self, key: &str) -> Result<Bytes> {
        self.store.s3().get(key).await
    }

    /// # Errors
    /// [`StoreError::NotFound`] if there is no such key.
    pub async fn get_stream(&self, key: &str) -> Result<BlobStream> {
        self.store.s3().get_stream(key).await
    }

    /// `None` if there is no such key.
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn head(&self, key: &str) -> Result<Option<BlobInfo>> {
        self.store.s3().head(key).await
    }

    /// At most 1,000 keys under a prefix, after `from` (a page's `next`).
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn list(&self, prefix: &str, from: Option<String>) -> Result<BlobPage> {
        self.store.s3().list(prefix, from).await
    }

    /// Every key under a prefix.
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn list_all(&self, prefix: &str) -> Result<Vec<BlobInfo>> {
        let (mut all, mut from) = (Vec::new(), None);
        loop {
            let page = self.list(prefix, from).await?;
            all.extend(page.items);
            from = page.next;
            if from.is_none() {
                return Ok(all);
            }
        }
    }

    /// Removes a key; that it is missing is no error.
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.store.s3().delete(key).await
    }

    /// Stores a picture by its content under `images/`.
    ///
    /// # Errors
    /// If the type is none of ours, S3 refuses, or stays away.
    pub async fn put_image(
        &self,
        bytes: impl AsRef<[u8]>,
        mime: &str,
        width: u32,
        height: u32,
    ) -> Result<ImageRef> {
        let bytes = bytes.as_ref();
        let key = content_key(bytes, mime)?;
        self.put(&Self::image_key(&key), bytes, mime).await?;
        Ok(image_ref("images", key, mime, width, height))
    }

    /// [`Blobs::put_image`], noting first that the job uses the picture, so that
    /// removing another document cannot take it away.
    ///
    /// # Errors
    /// As [`Blobs::put_image`].
    pub async fn put_image_for(
        &self,
        job: &JobId,
        bytes: impl AsRef<[u8]>,
        mime: &str,
        width: u32,
        height: u32,
    ) -> Result<ImageRef> {
        let key = content_key(bytes.as_ref(), mime)?;
        self.note_use(job, &[Self::image_key(&key)]).await?;
        self.put_image(bytes, mime, width, height).await
    }

    /// Stores an uploaded picture by its content under `inputs/`.
    ///
    /// # Errors
    /// As [`Blobs::put_image`].
    pub async fn put_input(
        &self,
        bytes: impl AsRef<[u8]>,
        mime: &str,
        width: u32,
        height: u32,
    ) -> Result<ImageRef> {
        let bytes = bytes.as_ref();
        let key = content_key(bytes, mime)?;
        self.put(&Self::input_key(&key), bytes, mime).await?;
        Ok(image_ref("inputs", key, mime, width, height))
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

    /// Notes that a job uses stored keys; its removal takes the unused ones.
    pub(crate) async fn note_use(&self, job: &JobId, keys: &[String]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        pipe.atomic();
        for key in keys {
            pipe.sadd(format!("il:uses:{job}"), key).ignore();
            pipe.sadd(format!("il:used:{key}"), job.as_str()).ignore();
        }
        self.store.redis().pipeline::<()>(&pipe).await
    }
}

/// Lower-case hexadecimal SHA-256.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

pub(crate) fn content_key(bytes: &[u8], mime: &str) -> Result<BlobKey> {
    let extension = extension(mime).ok_or_else(|| StoreError::Invalid {
        field: "mime",
        reason: format!("`{mime}` is not a picture type that is stored"),
    })?;
    BlobKey::parse(&format!("{}.{extension}", sha256_hex(bytes))).map_err(|error| {
        StoreError::Invalid {
            field: "key",
            reason: error.to_string(),
        }
    })
}

fn extension(mime: &str) -> Option<&'static str> {
    Some(match mime {
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "image/bmp" => "bmp",
        _ => return None,
    })
}

/// The type of a stored picture, from its key's extension.
#[must_use]
pub fn mime_of(key: &BlobKey) -> &'static str {
    match key.extension() {
        "png" => "image/png",
        "jpg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "bmp" => "image/bmp",
        _ => "application/octet-stream",
    }
}

fn image_ref(folder: &str, key: BlobKey, mime: &str, width: u32, height: u32) -> ImageRef {
    ImageRef {
        url: format!("/api/v1/{folder}/{key}"),
        id: key,
        mime: mime.to_owned(),
        width,
        height,
    }
}
