//! What a model drew, as a file.

use std::io::Cursor;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, ImageFormat, RgbImage, imageops};

/// A PNG of the pixels; blocks.
///
/// # Errors
/// When it is larger than the format can hold.
pub fn png(pixels: &RgbImage) -> Result<Bytes, ImageError> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner().into())
}

/// Of a preview's JPEG: what is shown is blurred anyhow.
const PREVIEW_QUALITY: u8 = 70;
/// The longest side of a preview in pixels.
const PREVIEW_SIDE: u32 = 192;

/// A small JPEG of where a picture stands: of noise, as it is at first, a PNG would be
/// many times as large.
///
/// # Errors
/// When it is larger than the format can hold.
pub fn preview(pixels: &RgbImage) -> Result<Bytes, ImageError> {
    let longest = pixels.width().max(pixels.height());
    let shrunk = (longest > PREVIEW_SIDE).then(|| {
        let side = |side: u32| (side * PREVIEW_SIDE / longest).max(1);
        imageops::thumbnail(pixels, side(pixels.width()), side(pixels.height()))
    });
    let pixels = shrunk.as_ref().unwrap_or(pixels);
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, PREVIEW_QUALITY);
    pixels.write_with_encoder(encoder)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use illumine_tools::LARGEST_PREVIEW;
    use image::Rgb;

    use super::*;

    #[test]
    fn a_preview_of_noise_is_small_enough_to_be_passed_on() {
        let mut state = 1_u64;
        let mut level = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        };
        // The largest that a model shows.
        let noise = RgbImage::from_fn(256, 256, |_, _| Rgb([level(), level(), level()]));
        assert!(png(&noise).unwrap().len() > LARGEST_PREVIEW);
        let small = preview(&noise).unwrap();
        assert!(small.len() <= LARGEST_PREVIEW, "{}", small.len());
        let read = image::load_from_memory(&small).unwrap();
        assert_eq!((read.width(), read.height()), (192, 192));
        let wide = preview(&RgbImage::new(256, 2)).unwrap();
        let wide = image::load_from_memory(&wide).unwrap();
        assert_eq!((wide.width(), wide.height()), (192, 1));
    }
}
