//! Reading a picture: its header, then all of it.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{
    AnimationDecoder, DynamicImage, Frames, ImageDecoder, ImageError, ImageReader, Limits,
};

use super::{PictureKind, PictureLimits};
use crate::PictureError;

/// What the first bytes say.
pub(super) struct Header {
    pub kind: PictureKind,
    pub width: u32,
    pub height: u32,
}

/// Type and size, without decoding a pixel.
pub(super) fn header(bytes: &[u8], limits: PictureLimits) -> Result<Header, PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    if bytes.len() > limits.bytes {
        return Err(PictureError::TooManyBytes {
            bytes: bytes.len(),
            limit: limits.bytes,
        });
    }
    let kind = PictureKind::of(bytes).ok_or(PictureError::Unsupported)?;
    let reader = ImageReader::with_format(Cursor::new(bytes), kind.format());
    let (width, height) = reader.into_dimensions().map_err(broken)?;
    if width == 0 || height == 0 {
        return Err(PictureError::Broken("it has no pixels".into()));
    }
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(PictureError::TooManyPixels {
            width,
            height,
            limit: limits.pixels,
        });
    }
    Ok(Header {
        kind,
        width,
        height,
    })
}

/// Decodes everything and yields the size as shown.
pub(super) fn whole(
    bytes: &[u8],
    kind: PictureKind,
    limits: PictureLimits,
) -> Result<(u32, u32), PictureError> {
    match kind {
        PictureKind::Jpeg if !jpeg_ends(bytes) => return Err(truncated()),
        PictureKind::Gif => return animation(gif_frames(bytes, limits)?, bytes, limits),
        PictureKind::WebP => {
            let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(broken)?;
            if decoder.has_animation() {
                return animation(decoder.into_frames(), bytes, limits);
            }
        }
        _ => {}
    }
    let (picture, orientation) = still(bytes, kind, limits)?;
    let (width, height) = (picture.width(), picture.height());
    Ok(if is_turned(orientation) {
        (height, width)
    } else {
        (width, height)
    })
}

/// The pixels and how EXIF says to turn them.
pub(super) fn still(
    bytes: &[u8],
    kind: PictureKind,
    limits: PictureLimits,
) -> Result<(DynamicImage, Orientation), PictureError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), kind.format());
    reader.limits(decoder_limits(limits));
    let mut decoder = reader.into_decoder().map_err(broken)?;
    if decoder.total_bytes() > limits.memory {
        let (width, height) = decoder.dimensions();
        return Err(PictureError::TooManyPixels {
            width,
            height,
            limit: limits.pixels,
        });
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    Ok((picture, orientation))
}

/// Whether there is more than one frame, of which most programs show the first alone.
#[must_use]
pub fn is_animated(bytes: &[u8]) -> bool {
    let reader = Cursor::new(bytes);
    match PictureKind::of(bytes) {
        Some(PictureKind::Gif) => gif_frames(bytes, PictureLimits::default())
            .is_ok_and(|frames| frames.take(2).filter(Result::is_ok).count() == 2),
        Some(PictureKind::WebP) => {
            WebPDecoder::new(reader).is_ok_and(|decoder| decoder.has_animation())
        }
        Some(PictureKind::Png) => {
            PngDecoder::new(reader).is_ok_and(|decoder| decoder.is_apng().unwrap_or(false))
        }
        Some(PictureKind::Jpeg) | None => false,
    }
}

fn gif_frames(bytes: &[u8], limits: PictureLimits) -> Result<Frames<'_>, PictureError> {
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(broken)?;
    decoder.set_limits(decoder_limits(limits)).map_err(broken)?;
    Ok(decoder.into_frames())
}

fn animation(
    frames: Frames<'_>,
    bytes: &[u8],
    limits: PictureLimits,
) -> Result<(u32, u32), PictureError> {
    let size = header(bytes, limits)?;
    let pixels = u64::from(size.width) * u64::from(size.height);
    let by_pixels = (limits.pixels * 4 / pixels).max(1);
    let most = limits
        .frames
        .min(usize::try_from(by_pixels).unwrap_or(usize::MAX));
    let mut count = 0;
    for frame in frames {
        frame.map_err(broken)?;
        count += 1;
        if count > most {
            return Err(PictureError::TooManyFrames);
        }
    }
    if count == 0 {
        return Err(truncated());
    }
    Ok((size.width, size.height))
}

/// Whether an end-of-image marker follows the last scan. Decoders fill what is
/// missing with grey; a marker inside a thumbnail does not count.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let last = |marker: u8| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    match (last(0xda), last(0xd9)) {
        (Some(scan), Some(end)) => end > scan,
        _ => false,
    }
}

fn decoder_limits(limits: PictureLimits) -> Limits {
    let mut decoder = Limits::default();
    decoder.max_alloc = Some(limits.memory);
    decoder
}

const fn is_turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

fn truncated() -> PictureError {
    PictureError::Broken("the file ends too early".into())
}

pub(super) fn broken(error: ImageError) -> PictureError {
    let text: String = error.to_string().chars().take(200).collect();
    PictureError::Broken(text)
}
