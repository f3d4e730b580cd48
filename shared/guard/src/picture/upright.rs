//! Pictures that every program reads alike.

use std::io::Cursor;

use bytes::Bytes;
use image::ImageFormat;
use image::metadata::Orientation;

use super::decode::{broken, still};
use super::{Picture, PictureKind, PictureLimits};
use crate::PictureError;

/// A PNG or JPEG whose pixels are the way up, for programs that ignore EXIF or
/// know no other type. Turned pictures, WebP and the first frame of a GIF are
/// re-encoded as PNG; others come back as they are.
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
    let (mut pixels, orientation) = still(&picture.bytes, kind, PictureLimits::default())?;
    let is_common = matches!(kind, PictureKind::Png | PictureKind::Jpeg);
    if is_common && orientation == Orientation::NoTransforms {
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
