//! Pictures whose pixels are already the way up.

use std::io::Cursor;

use bytes::Bytes;
use image::ImageFormat;
use image::metadata::Orientation;

use super::decode::{broken, still};
use super::{Picture, PictureKind, PictureLimits};
use crate::PictureError;

/// The picture as a program sees it that ignores EXIF: turned as shown, and
/// re-encoded as PNG if it had to be turned. Others come back as they are.
///
/// # Errors
/// [`PictureError::Broken`] if it cannot be decoded.
pub async fn upright(picture: &Picture) -> Result<Picture, PictureError> {
    let picture = picture.clone();
    let stopped = |_| PictureError::Broken("the check was stopped".into());
    tokio::task::spawn_blocking(move || turn(picture))
        .await
        .map_err(stopped)?
}

fn turn(picture: Picture) -> Result<Picture, PictureError> {
    let kind = PictureKind::of(&picture.bytes).ok_or(PictureError::Unsupported)?;
    if kind == PictureKind::Gif {
        return Ok(picture);
    }
    let (mut pixels, orientation) = still(&picture.bytes, kind, PictureLimits::default())?;
    if orientation == Orientation::NoTransforms {
        return Ok(picture);
    }
    pixels.apply_orientation(orientation);
    let mut encoded = Vec::new();
    pixels
        .write_to(&mut Cursor::new(&mut encoded), ImageFormat::Png)
        .map_err(broken)?;
    Ok(Picture {
        bytes: Bytes::from(encoded),
        mime: PictureKind::Png.mime(),
        width: pixels.width(),
        height: pixels.height(),
    })
}
