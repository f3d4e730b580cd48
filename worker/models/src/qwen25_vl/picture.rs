//! A picture's bytes to upright 8-bit RGB, as the reference sees it.
//!
//! Follows `load_image` (orientation from EXIF) and `convert_to_rgb` (whatever is
//! transparent is laid on white) of `transformers/image_utils.py` and
//! `transformers/image_transforms.py`, which use Pillow. Differences that remain:
//! JPEG decoders round differently by a level or two, and 16-bit grey is reduced
//! to its high byte where Pillow saturates it.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader};

use crate::error::{ModelError, Result};

/// Most pixels of a file that is decoded; Pillow warns of a decompression bomb
/// at the same number.
pub const MAX_PIXELS: u64 = 89_478_485;

/// An upright picture of 8-bit RGB.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    name: String,
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            width,
            height,
            ..
        } = self;
        write!(f, "Picture({name}, {width}×{height})")
    }
}

impl Picture {
    /// Decodes the bytes of a PNG, JPEG, WebP, GIF (first frame) or BMP file.
    /// Errors call the picture `name`.
    ///
    /// # Errors
    /// [`ModelError::Picture`]: not a picture, damaged, or more than
    /// [`MAX_PIXELS`], which is found before anything is allocated.
    pub fn decode(name: impl Into<String>, bytes: &[u8]) -> Result<Self> {
        let name = name.into();
        let refuse = |reason: String| ModelError::Picture {
            name: name.clone(),
            reason,
        };
        let unreadable = |error: image::ImageError| {
            refuse(format!(
                "cannot be read ({error}); give a PNG, JPEG, WebP, GIF or BMP file"
            ))
        };
        let mut decoder = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|error| refuse(error.to_string()))?
            .into_decoder()
            .map_err(unreadable)?;
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MAX_PIXELS {
            return Err(refuse(format!(
                "{width}×{height} is more than {MAX_PIXELS} pixels; make it smaller"
            )));
        }
        // A damaged EXIF block leaves the picture as it lies, as in Pillow.
        let orientation = decoder.orientation();
        let mut image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
        if let Ok(orientation) = orientation {
            image.apply_orientation(orientation);
        }
        let (width, height) = (image.width() as usize, image.height() as usize);
        Self::from_rgb(name, width, height, to_rgb(image))
    }

    /// [`Self::decode`] of the file `path`.
    ///
    /// # Errors
    /// [`ModelError::Io`] and those of [`Self::decode`].
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::io(path, source))?;
        Self::decode(path.display().to_string(), &bytes)
    }

    /// A picture from its pixels, rows from the top, three bytes a pixel.
    ///
    /// # Errors
    /// [`ModelError::Picture`] when the number of bytes does not fit the sizes.
    pub fn from_rgb(
        name: impl Into<String>,
        width: usize,
        height: usize,
        rgb: Vec<u8>,
    ) -> Result<Self> {
        let name = name.into();
        if width == 0 || height == 0 || width.checked_mul(height) != Some(rgb.len() / 3) {
            let bytes = rgb.len();
            let reason = format!("{bytes} bytes are no RGB picture of {width}×{height}");
            return Err(ModelError::Picture { name, reason });
        }
        Ok(Self {
            name,
            width,
            height,
            rgb,
        })
    }

    /// What its giver calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pixels across.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Three bytes a pixel, rows from the top.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

fn to_rgb(image: DynamicImage) -> Vec<u8> {
    use DynamicImage as I;
    match image {
        I::ImageRgb8(pixels) => pixels.into_raw(),
        I::ImageLuma8(pixels) => spread(pixels.as_raw()),
        I::ImageLumaA8(pixels) => on_white(pixels.as_raw(), |&[grey, a]| ([grey; 3], a)),
        I::ImageRgba8(pixels) => on_white(pixels.as_raw(), |&[r, g, b, a]| ([r, g, b], a)),
        I::ImageLuma16(pixels) => spread(&high_bytes(pixels.as_raw())),
        I::ImageRgb16(pixels) => high_bytes(pixels.as_raw()),
        I::ImageLumaA16(pixels) => {
            on_white(&high_bytes(pixels.as_raw()), |&[grey, a]| ([grey; 3], a))
        }
        I::ImageRgba16(pixels) => {
            on_white(&high_bytes(pixels.as_raw()), |&[r, g, b, a]| ([r, g, b], a))
        }
        other => on_white(other.to_rgba8().as_raw(), |&[r, g, b, a]| ([r, g, b], a)),
    }
}

fn spread(grey: &[u8]) -> Vec<u8> {
    grey.iter().flat_map(|&level| [level; 3]).collect()
}

fn high_bytes(values: &[u16]) -> Vec<u8> {
    values.iter().map(|value| (value >> 8) as u8).collect()
}

fn on_white<const N: usize>(pixels: &[u8], split: impl Fn(&[u8; N]) -> ([u8; 3], u8)) -> Vec<u8> {
    let (pixels, _) = pixels.as_chunks::<N>();
    let lay = |pixel| {
        let (colour, alpha) = split(pixel);
        colour.map(|level| over_white(level, alpha))
    };
    pixels.iter().flat_map(lay).collect()
}

/// `level` with opacity `alpha` over opaque white, in the fixed-point arithmetic
/// of Pillow's `AlphaComposite.c`, whose rounding this repeats.
fn over_white(level: u8, alpha: u8) -> u8 {
    const PRECISION: u32 = 7;
    let above = u32::from(alpha) << PRECISION;
    let below = (255 << PRECISION) - above;
    let sum = u32::from(level) * above + 255 * below + (0x80 << PRECISION);
    ((((sum >> 8) + sum) >> 8) >> PRECISION) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opaque_stays_and_clear_becomes_white() {
        for level in 0..=255 {
            assert_eq!(over_white(level, 255), level);
            assert_eq!(over_white(level, 0), 255);
        }
        assert_eq!(over_white(0, 128), 127);
    }

    #[test]
    fn what_is_no_picture_is_named() {
        for bytes in [
            &b""[..],
            b"<html>",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xe0",
        ] {
            let error = Picture::decode("lunch.png", bytes).unwrap_err();
            assert_eq!(error.code(), "model_picture");
            assert!(error.to_string().contains("lunch.png"), "{error}");
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_header() {
        // A BMP header that promises 60,000×60,000 pixels, and no pixels.
        let mut bytes = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
        bytes.extend(60_000_i32.to_le_bytes());
        bytes.extend(60_000_i32.to_le_bytes());
        bytes.extend([1, 0, 24, 0]);
        bytes.extend([0; 24]);
        let error = Picture::decode("bomb.bmp", &bytes).unwrap_err().to_string();
        assert!(
            error.contains("bomb.bmp") && error.contains("60000×60000"),
            "{error}"
        );
        assert!(error.contains("make it smaller"), "{error}");
    }

    #[test]
    fn sixteen_bits_keep_their_high_byte() {
        let grey = image::ImageBuffer::from_raw(2, 1, vec![0x1234_u16, 0xFFFF]).unwrap();
        assert_eq!(
            to_rgb(DynamicImage::ImageLuma16(grey)),
            [0x12, 0x12, 0x12, 255, 255, 255]
        );
    }
}
