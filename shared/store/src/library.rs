//! The team's own captioned pictures, under `library/`.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use illumine_types::BlobKey;
use serde::{Deserialize, Serialize};

use crate::blobs::content_key;
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
    #[serde(default)]
    pub tags: Vec<String>,
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

/// Entries read at once.
const PARALLEL: usize = 16;

impl Library {
    /// Stores a picture by its content, then its words; `entry.key` is made here.
    ///
    /// # Errors
    /// If the type is none of ours, S3 refuses, or stays away.
    pub async fn put(&self, entry: LibraryEntry, bytes: impl AsRef<[u8]>) -> Result<LibraryEntry> {
        let bytes = bytes.as_ref();
        let key = content_key(bytes, &entry.mime)?;
        let entry = LibraryEntry { key, ..entry };
        let s3 = self.store.s3();
        s3.put(&picture_path(&entry.key), bytes, &entry.mime)
            .await?;
        let path = words_path(&entry.key);
        let words = serde_json::to_vec(&entry).map_err(|e| StoreError::corrupt(&path, e))?;
        s3.put(&path, &words, "application/json").await?;
        Ok(entry)
    }

    /// Every entry, by key.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn list(&self) -> Result<Vec<LibraryEntry>> {
        let all = self.store.blobs().list_all("library/").await?;
        let paths = all
            .into_iter()
            .map(|blob| blob.key)
            .filter(|key| key.ends_with(".json"));
        stream::iter(paths)
            .map(|path| async move {
                let bytes = self.store.s3().get(&path).await?;
                serde_json::from_slice(&bytes).map_err(|e| StoreError::corrupt(&path, e))
            })
            .buffered(PARALLEL)
            .try_collect()
            .await
    }

    /// A picture's bytes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, key: &BlobKey) -> Result<Bytes> {
        self.store.s3().get(&picture_path(key)).await
    }
}

fn picture_path(key: &BlobKey) -> String {
    format!("library/{key}")
}

fn words_path(key: &BlobKey) -> String {
    format!("library/{key}.json")
}
