//! What a model drew, as a file.

use std::io::Cursor;

use bytes::Bytes;
use image::{ImageError, ImageFormat, RgbImage};

/// A PNG of the pixels; blocks.
///
/// # Errors
/// When it is larger than the format can hold.
pub fn png(pixels: &RgbImage) -> Result<Bytes, ImageError> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner().into())
}
