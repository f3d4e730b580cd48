//! Pictures that came from elsewhere, as a model reads them.

use illumine_guard::picture::upright;
use illumine_tools::{Picture, ToolError};
use image::{Rgb, RgbImage};

/// The pixels of a checked picture, the right way up, eight bits a colour; what is
/// transparent shows white. Of an animation the first frame.
///
/// # Errors
/// A refusal in words when it cannot be decoded.
pub async fn rgb(picture: &Picture) -> Result<RgbImage, ToolError> {
    let picture = upright(picture).await?;
    let decoded = tokio::task::spawn_blocking(move || image::load_from_memory(&picture.bytes));
    let broken = |reason: String| ToolError::permanent("picture_broken", reason);
    let decoded = decoded.await.map_err(|error| broken(error.to_string()))?;
    Ok(on_white(
        decoded.map_err(|error| broken(error.to_string()))?,
    ))
}

fn on_white(picture: image::DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        let over = |level: u8| {
            let (level, alpha) = (u32::from(level), u32::from(alpha));
            ((level * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        Rgb([over(red), over(green), over(blue)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{DynamicImage, ImageBuffer, Luma, Rgba, RgbaImage};

    #[test]
    fn what_is_transparent_shows_white_and_deep_pictures_keep_their_levels() {
        let clear = RgbaImage::from_pixel(2, 1, Rgba([0, 0, 0, 0]));
        assert_eq!(
            on_white(DynamicImage::from(clear)).get_pixel(0, 0).0,
            [255; 3]
        );
        let half = RgbaImage::from_pixel(1, 1, Rgba([0, 0, 0, 128]));
        assert_eq!(
            on_white(DynamicImage::from(half)).get_pixel(0, 0).0,
            [127; 3]
        );
        let deep = ImageBuffer::from_pixel(1, 1, Luma([0x8000_u16]));
        assert_eq!(
            on_white(DynamicImage::from(deep)).get_pixel(0, 0).0,
            [128; 3]
        );
    }
}
