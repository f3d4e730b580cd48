//! The sandbox's PNG, checked before anyone else reads it.

use std::io::Cursor;

use bytes::Bytes;
use image::{ImageFormat, ImageReader, Limits};

use crate::{Picture, ToolError};

/// Decodes the whole picture. Its size is read and judged before its pixels.
pub(super) fn check(png: Vec<u8>, pixels: u64) -> Result<Picture, ToolError> {
    let unreadable = |_| ToolError::permanent("python_error", "the program left no valid PNG");
    let reader = || ImageReader::with_format(Cursor::new(png.as_slice()), ImageFormat::Png);
    let (width, height) = reader().into_dimensions().map_err(unreadable)?;
    if u64::from(width) * u64::from(height) > pixels {
        return Err(ToolError::permanent(
            "output_too_large",
            format!("the picture measures {width} × {height}, above {pixels} pixels"),
        ));
    }
    let mut whole = reader();
    let mut limits = Limits::default();
    // Four channels of 16 bits, and as much again to work in.
    limits.max_alloc = Some(pixels * 16);
    whole.limits(limits);
    whole.decode().map_err(unreadable)?;
    Ok(Picture {
        bytes: Bytes::from(png),
        mime: "image/png",
        width,
        height,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let blank = image::GrayImage::new(width, height);
        blank.write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn a_png_passes_and_its_size_is_told() {
        let picture = check(png(30, 20), 600).unwrap();
        assert_eq!((picture.width, picture.height), (30, 20));
    }

    #[test]
    fn what_is_cut_forged_or_too_large_does_not() {
        assert_eq!(
            check(png(30, 20), 599).unwrap_err().code(),
            "output_too_large"
        );
        let whole = png(30, 20);
        assert!(check(whole[..whole.len() - 20].to_vec(), 600).is_err());
        assert!(check(b"<svg onload=alert(1)>".to_vec(), 600).is_err());
    }
}
