//! Documents: `documents/{id}/document.json`.

use illumine_types::{Document, JobId};

use crate::{Result, Store, StoreError};

/// Documents.
#[derive(Clone, Debug)]
pub struct Documents {
    pub(crate) store: Store,
}

impl Documents {
    /// Stores a version. `document.version` must be above the stored one (any,
    /// if none is stored); its pictures are kept as long as the document.
    ///
    /// # Errors
    /// [`StoreError::VersionConflict`].
    pub async fn put(&self, _document: &Document) -> Result<()> {
        Err(StoreError::Config("not built yet".into()))
    }

    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, _id: &JobId) -> Result<Document> {
        Err(StoreError::Config("not built yet".into()))
    }
}
