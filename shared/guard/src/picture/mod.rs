//! Pictures judged by their content, never by their name or claimed type.

mod decode;
mod kind;
mod upright;

use bytes::Bytes;
use tokio::sync::Semaphore;

pub use decode::is_animated;
pub use kind::PictureKind;
pub use upright::upright;

use crate::PictureError;

/// Whole decodes at a time, so that many uploads cannot exhaust memory.
static DECODES: Semaphore = Semaphore::const_new(2);

/// Encoded picture bytes whose type and size were checked by content.
#[derive(Clone, Debug)]
pub struct Picture {
    pub bytes: Bytes,
    /// `image/png`, `image/jpeg`, `image/webp` or `image/gif`.
    pub mime: &'static str,
    /// Pixels, as shown: a JPEG that its EXIF turns by 90° is measured turned.
    pub width: u32,
    /// Pixels, as shown.
    pub height: u32,
}

/// What may be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLimits {
    /// Of the file.
    pub bytes: usize,
    /// Width times height, judged before decoding.
    pub pixels: u64,
    /// Bytes that a decoder may hold.
    pub memory: u64,
    /// Of an animation; its frames' pixels in sum stay below four times `pixels`.
    pub frames: usize,
}

impl Default for PictureLimits {
    fn default() -> Self {
        Self {
            bytes: 20 * 1024 * 1024,
            pixels: 50_000_000,
            memory: 256 * 1024 * 1024,
            frames: 500,
        }
    }
}

/// Says what the bytes are, after decoding all of them.
///
/// The file's header alone decides whether it is decoded, so that a small file
/// that claims 60,000 × 60,000 pixels costs nothing. The bytes are kept as they
/// came.
///
/// # Errors
/// [`PictureError`], with the reason in words.
pub async fn inspect(bytes: Bytes, limits: PictureLimits) -> Result<Picture, PictureError> {
    decode::header(&bytes, limits)?;
    let stopped = |_| PictureError::Broken("the check was stopped".into());
    let _permit = DECODES
        .acquire()
        .await
        .map_err(|_| PictureError::Broken("the check was stopped".into()))?;
    tokio::task::spawn_blocking(move || inspect_blocking(bytes, limits))
        .await
        .map_err(stopped)?
}

/// [`inspect`] on the caller's thread.
///
/// # Errors
/// [`PictureError`].
pub fn inspect_blocking(bytes: Bytes, limits: PictureLimits) -> Result<Picture, PictureError> {
    let kind = decode::header(&bytes, limits)?.kind;
    let (width, height) = decode::whole(&bytes, kind, limits)?;
    Ok(Picture {
        bytes,
        mime: kind.mime(),
        width,
        height,
    })
}
