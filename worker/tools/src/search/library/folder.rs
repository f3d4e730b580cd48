//! A folder of pictures, each with a JSON file of its words beside it.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{LibraryEntry, LibrarySource};
use crate::ToolError;

const EXTENSIONS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "gif"];

/// `cat.json` describes `cat.png` (or `.jpg`, `.jpeg`, `.webp`, `.gif`).
#[derive(Clone, Debug)]
pub struct FolderLibrary {
    folder: PathBuf,
}

impl FolderLibrary {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    fn lost(&self, error: &std::io::Error) -> ToolError {
        let message = format!("the library in {}: {error}", self.folder.display());
        ToolError::permanent("library_unreadable", message)
    }

    async fn entry(&self, words: &Path) -> Option<LibraryEntry> {
        let text = tokio::fs::read(words).await.ok()?;
        let entry: LibraryEntry = match serde_json::from_slice(&text) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::warn!(file = %words.display(), %error, "library caption passed over");
                return None;
            }
        };
        let mut pictures = EXTENSIONS.iter().map(|one| words.with_extension(one));
        let picture = pictures.find(|path| path.is_file())?;
        let id = picture.file_name()?.to_str()?.to_owned();
        Some(LibraryEntry { id, ..entry })
    }
}

#[async_trait]
impl LibrarySource for FolderLibrary {
    /// A folder that is not there is an empty library.
    async fn list(&self) -> Result<Vec<LibraryEntry>, ToolError> {
        let mut files = match tokio::fs::read_dir(&self.folder).await {
            Ok(files) => files,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(self.lost(&error)),
        };
        let mut entries = Vec::new();
        while let Some(file) = files
            .next_entry()
            .await
            .map_err(|error| self.lost(&error))?
        {
            let path = file.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                entries.extend(self.entry(&path).await);
            }
        }
        entries.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(entries)
    }

    async fn get(&self, id: &str) -> Result<Bytes, ToolError> {
        let is_name = Path::new(id).file_name().is_some_and(|name| name == id);
        if !is_name {
            return Err(ToolError::permanent("nothing_found", "no such picture"));
        }
        let bytes = tokio::fs::read(self.folder.join(id)).await;
        bytes.map(Bytes::from).map_err(|error| self.lost(&error))
    }
}
