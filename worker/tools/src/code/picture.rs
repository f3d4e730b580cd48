//! The sandbox's PNG, checked before anyone else reads it.

use bytes::Bytes;
use illumine_guard::{Picture, PictureError, PictureLimits, inspect};

use super::CodeConfig;
use crate::ToolError;

/// Decodes the whole picture. Its size is read and judged before its pixels.
pub(super) async fn check(png: Vec<u8>, config: &CodeConfig) -> Result<Picture, ToolError> {
    let limits = PictureLimits {
        bytes: usize::try_from(config.png_bytes).unwrap_or(usize::MAX),
        pixels: config.pixels,
        ..PictureLimits::default()
    };
    match inspect(Bytes::from(png), limits).await {
        Ok(picture) if picture.mime == "image/png" => Ok(picture),
        Err(error @ (PictureError::TooManyBytes { .. } | PictureError::TooManyPixels { .. })) => {
            Err(ToolError::permanent("output_too_large", error.to_string()))
        }
        Ok(_) | Err(_) => Err(ToolError::permanent(
            "python_error",
            "the program left no valid PNG",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageFormat;

    use super::*;

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let blank = image::GrayImage::new(width, height);
        blank.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn config(pixels: u64) -> CodeConfig {
        CodeConfig {
            pixels,
            ..CodeConfig::new("python")
        }
    }

    #[tokio::test]
    async fn a_png_passes_and_its_size_is_told() {
        let png = encoded(30, 20, ImageFormat::Png);
        let picture = check(png, &config(600)).await.unwrap();
        assert_eq!((picture.width, picture.height), (30, 20));
    }

    #[tokio::test]
    async fn what_is_cut_forged_or_too_large_does_not() {
        let png = encoded(30, 20, ImageFormat::Png);
        let large = check(png.clone(), &config(599)).await.unwrap_err();
        assert_eq!(large.code(), "output_too_large");
        for forged in [
            png[..png.len() - 20].to_vec(),
            b"<svg onload=alert(1)>".to_vec(),
            encoded(30, 20, ImageFormat::Jpeg),
        ] {
            let error = check(forged, &config(600)).await.unwrap_err();
            assert_eq!(error.code(), "python_error");
        }
    }
}
