//! The team's captioned pictures in S3, as the search tool reads them, and
//! their import from a folder.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use illumine_guard::{PictureLimits, inspect};
use illumine_store::Store;
use illumine_store::library::LibraryEntry as Stored;
use illumine_tools::ToolError;
use illumine_tools::search::library::{FolderLibrary, LibraryEntry, LibrarySource};
use illumine_types::BlobKey;

pub struct StoreLibrary(pub Store);

fn lost(error: &illumine_store::StoreError) -> ToolError {
    ToolError::transient(
        "library_unreadable",
        format!("the picture library: {error}"),
    )
}

#[async_trait]
impl LibrarySource for StoreLibrary {
    async fn list(&self) -> Result<Vec<LibraryEntry>, ToolError> {
        let entries = self
            .0
            .library()
            .list()
            .await
            .map_err(|error| lost(&error))?;
        Ok(entries.into_iter().map(shown).collect())
    }

    async fn get(&self, id: &str) -> Result<Bytes, ToolError> {
        let key = BlobKey::parse(id)
            .map_err(|error| ToolError::permanent("nothing_found", error.to_string()))?;
        self.0
            .library()
            .get(&key)
            .await
            .map_err(|error| lost(&error))
    }
}

fn shown(stored: Stored) -> LibraryEntry {
    LibraryEntry {
        id: stored.key.to_string(),
        title: stored.title.unwrap_or_default(),
        caption: stored.caption,
        tags: stored.tags,
        author: stored.author,
        license: stored.licence,
        source: stored.source,
    }
}

/// Copies a folder's pictures with their words into S3. A picture that is there
/// already (by its content) gets the folder's words. The number copied.
pub async fn import(store: &Store, folder: &Path) -> anyhow::Result<usize> {
    let source = FolderLibrary::new(folder);
    let mut copied = 0;
    for entry in source.list().await? {
        let bytes = source.get(&entry.id).await?;
        let picture = match inspect(bytes, PictureLimits::default()).await {
            Ok(picture) => picture,
            Err(error) => {
                tracing::warn!(picture = entry.id, %error, "not imported");
                continue;
            }
        };
        let key = BlobKey::parse(&format!("{}.png", "0".repeat(64)))?;
        let stored = Stored {
            // Made from the content by the store.
            key,
            caption: entry.caption,
            tags: entry.tags,
            title: Some(entry.title).filter(|title| !title.is_empty()),
            author: entry.author,
            licence: entry.license,
            source: entry.source,
            mime: picture.mime.to_owned(),
            width: picture.width,
            height: picture.height,
        };
        store.library().put(stored, &picture.bytes).await?;
        copied += 1;
    }
    Ok(copied)
}

/// Fills an empty library from the folder that set-up made.
pub async fn fill_if_empty(store: &Store, folder: &Path) -> anyhow::Result<()> {
    if !folder.is_dir() || !store.library().list().await?.is_empty() {
        return Ok(());
    }
    let copied = import(store, folder).await?;
    tracing::info!(copied, folder = %folder.display(), "picture library filled");
    Ok(())
}
