//! The team's own captioned pictures, under `library/`.

use bytes::Bytes;
use illumine_types::BlobKey;
use serde::{Deserialize, Serialize};

use crate::{Result, Store, StoreError};

/// Captioned pictures.
#[derive(Clone, Debug)]
pub struct Library {
    pub(crate) store: Store,
}

/// One picture of the library and its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryEntry {
    pub key: BlobKey,
    pub caption: String,
    pub title: Option<String>,
    pub author: Option<String>,
    pub licence: Option<String>,
    /// Page that the picture came from.
    pub source: Option<String>,
    pub mime: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

impl Library {
    /// Stores a picture by its content, then its words; `entry.key` is made here.
    ///
    /// # Errors
    /// If S3 refuses, or stays away.
    pub async fn put(
        &self,
        _entry: LibraryEntry,
        _bytes: impl Into<Bytes>,
    ) -> Result<LibraryEntry> {
        Err(StoreError::Config("not built yet".into()))
    }

    /// Every entry.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn list(&self) -> Result<Vec<LibraryEntry>> {
        Err(StoreError::Config("not built yet".into()))
    }

    /// A picture's bytes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, _key: &BlobKey) -> Result<Bytes> {
        Err(StoreError::Config("not built yet".into()))
    }
}
