//! Where pictures are kept while and after a document is made.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use illumine_tools::Picture;
use illumine_types::{BlobKey, ImageRef};
use sha2::{Digest, Sha256};

/// A picture that could not be kept or found; the text is for people.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PictureError(pub String);

/// Keeps pictures by their content.
#[async_trait]
pub trait PictureStore: Send + Sync {
    /// Keeps a picture; returns when it is safe.
    ///
    /// # Errors
    /// [`PictureError`] once the store has given up trying.
    async fn put(&self, picture: &Picture) -> Result<ImageRef, PictureError>;

    /// # Errors
    /// [`PictureError`] if it is not there or cannot be read.
    async fn get(&self, image: &ImageRef) -> Result<Picture, PictureError>;
}

/// The reference of a picture: its content's hash, and the address under which
/// the server shows it.
#[must_use]
pub fn image_ref(picture: &Picture) -> Option<ImageRef> {
    let extension = match picture.mime {
        "image/jpeg" => "jpg",
        "image/webp" => "webp",
        "image/gif" => "gif",
        _ => "png",
    };
    let hash: String = Sha256::digest(&picture.bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let id = BlobKey::parse(&format!("{hash}.{extension}")).ok()?;
    Some(ImageRef {
        url: format!("/api/v1/images/{id}"),
        id,
        mime: picture.mime.to_owned(),
        width: picture.width,
        height: picture.height,
    })
}

/// Pictures in memory, for one document made without a server.
#[derive(Debug, Default)]
pub struct MemoryPictures(Mutex<HashMap<BlobKey, Picture>>);

impl MemoryPictures {
    /// All pictures kept so far.
    #[must_use]
    pub fn all(&self) -> HashMap<BlobKey, Picture> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[async_trait]
impl PictureStore for MemoryPictures {
    async fn put(&self, picture: &Picture) -> Result<ImageRef, PictureError> {
        let image = image_ref(picture).ok_or_else(|| PictureError("no name for it".into()))?;
        let mut pictures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pictures.insert(image.id.clone(), picture.clone());
        Ok(image)
    }

    async fn get(&self, image: &ImageRef) -> Result<Picture, PictureError> {
        let pictures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = pictures.get(&image.id).cloned();
        found.ok_or_else(|| PictureError(format!("there is no picture {}", image.id)))
    }
}
