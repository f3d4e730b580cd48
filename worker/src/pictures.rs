//! The agent's pictures and events, kept in the store.

use async_trait::async_trait;
use illumine_agent::{EventSink, PictureError, PictureStore};
use illumine_store::Store;
use illumine_tools::Picture;
use illumine_types::{EventKind, ImageRef, JobId};

/// Pictures of one document, in S3.
pub struct StorePictures {
    pub store: Store,
    /// The document that uses them.
    pub document: JobId,
}

#[async_trait]
impl PictureStore for StorePictures {
    async fn put(&self, picture: &Picture) -> Result<ImageRef, PictureError> {
        let blobs = self.store.blobs();
        blobs
            .put_image_for(
                &self.document,
                &picture.bytes,
                picture.mime,
                picture.width,
                picture.height,
            )
            .await
            .map_err(|error| PictureError(error.to_string()))
    }

    async fn get(&self, image: &ImageRef) -> Result<Picture, PictureError> {
        // Inputs and drawn pictures are kept apart; the address says which it is.
        let key = if image.url.starts_with("/api/v1/inputs/") {
            illumine_store::blobs::Blobs::input_key(&image.id)
        } else {
            illumine_store::blobs::Blobs::image_key(&image.id)
        };
        let bytes = self
            .store
            .blobs()
            .get(&key)
            .await
            .map_err(|error| PictureError(error.to_string()))?;
        let mime = illumine_store::blobs::mime_of(&image.id);
        Ok(Picture {
            bytes,
            mime,
            width: image.width,
            height: image.height,
        })
    }
}

/// A job's events, in Redis.
pub struct StoreEvents {
    pub store: Store,
    pub job: JobId,
    pub attempt: u32,
}

#[async_trait]
impl EventSink for StoreEvents {
    async fn emit(&self, event: EventKind) {
        // The document does not depend on who watches it being made.
        if let Err(error) = self
            .store
            .events()
            .publish(&self.job, self.attempt, event)
            .await
        {
            tracing::warn!(job = %self.job, %error, "event not published");
        }
    }
}
