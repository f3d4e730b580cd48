//! What is taken as a picture, and what is not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Cursor;

use bytes::Bytes;
use illumine_guard::picture::upright;
use illumine_guard::{Picture, PictureError, PictureLimits, inspect};
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, RgbImage, RgbaImage};

fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let picture = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let mut bytes = Vec::new();
    DynamicImage::from(picture)
        .write_to(&mut Cursor::new(&mut bytes), format)
        .unwrap();
    bytes
}

async fn look(bytes: Vec<u8>) -> Result<Picture, PictureError> {
    inspect(Bytes::from(bytes), PictureLimits::default()).await
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    [length.as_slice(), &body, &crc32(&body).to_be_bytes()].concat()
}

/// A few bytes that claim to be an 8-bit grey picture of any size.
fn png_that_claims(width: u32, height: u32) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 0, 0, 0, 0]);
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]),
        chunk(b"IEND", &[]),
    ]
    .concat()
}

fn gif(frames: usize, side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for shade in 0..frames {
        let frame = RgbaImage::from_pixel(side, side, image::Rgba([shade as u8, 0, 0, 255]));
        encoder.encode_frame(Frame::new(frame)).unwrap();
    }
    drop(encoder);
    bytes
}

/// A JPEG whose EXIF asks for a quarter turn.
fn turned_jpeg(width: u32, height: u32, orientation: u8) -> Vec<u8> {
    let plain = encoded(width, height, ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&plain[..2], &[0xff, 0xe1], &length, &exif, &plain[2..]].concat()
}

#[tokio::test]
async fn four_types_are_known_by_content() {
    for (format, mime) in [
        (ImageFormat::Png, "image/png"),
        (ImageFormat::Jpeg, "image/jpeg"),
        (ImageFormat::WebP, "image/webp"),
        (ImageFormat::Gif, "image/gif"),
    ] {
        let bytes = encoded(40, 30, format);
        let picture = look(bytes.clone()).await.unwrap();
        assert_eq!(
            (picture.mime, picture.width, picture.height),
            (mime, 40, 30)
        );
        assert_eq!(picture.bytes, bytes);
    }
}

#[tokio::test]
async fn other_things_are_not_pictures() {
    let bmp = encoded(4, 4, ImageFormat::Bmp);
    for bytes in [
        b"<!doctype html><title>404</title>".to_vec(),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
        b"{\"error\": \"no\"}".to_vec(),
        b"%PDF-1.7".to_vec(),
        b"\x89PN".to_vec(),
        bmp,
    ] {
        assert_eq!(look(bytes).await.unwrap_err(), PictureError::Unsupported);
    }
    assert_eq!(look(vec![]).await.unwrap_err(), PictureError::Empty);
}

#[tokio::test]
async fn a_huge_claim_is_refused_from_the_header() {
    let error = look(png_that_claims(60_000, 60_000)).await.unwrap_err();
    assert_eq!(error.code(), "picture_too_many_pixels");
    assert!(error.to_string().contains("60000 × 60000"), "{error}");
}

#[tokio::test]
async fn small_claims_over_empty_data_are_broken() {
    let error = look(png_that_claims(100, 100)).await.unwrap_err();
    assert_eq!(error.code(), "picture_broken");
}

#[tokio::test]
async fn truncated_files_are_broken() {
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Gif,
    ] {
        let bytes = encoded(64, 64, format);
        for keep in [bytes.len() / 2, bytes.len() * 9 / 10] {
            let error = look(bytes[..keep].to_vec()).await.unwrap_err();
            assert_eq!(error.code(), "picture_broken", "{format:?} cut at {keep}");
        }
    }
}

#[tokio::test]
async fn a_damaged_png_is_broken() {
    let mut bytes = encoded(64, 64, ImageFormat::Png);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    assert_eq!(look(bytes).await.unwrap_err().code(), "picture_broken");
}

#[tokio::test]
async fn animations_are_taken_within_bounds() {
    let picture = look(gif(5, 20)).await.unwrap();
    assert_eq!((picture.mime, picture.width), ("image/gif", 20));
    let limits = PictureLimits {
        frames: 4,
        ..PictureLimits::default()
    };
    let error = inspect(Bytes::from(gif(5, 20)), limits).await.unwrap_err();
    assert_eq!(error, PictureError::TooManyFrames);
    // 20 × 20 × 5 pixels in sum, above four times 400
    let limits = PictureLimits {
        pixels: 400,
        ..PictureLimits::default()
    };
    let error = inspect(Bytes::from(gif(5, 20)), limits).await.unwrap_err();
    assert_eq!(error, PictureError::TooManyFrames);
}

#[tokio::test]
async fn file_pixels_and_memory_are_bounded() {
    let bytes = Bytes::from(encoded(100, 100, ImageFormat::Png));
    let code = async |limits| inspect(bytes.clone(), limits).await.unwrap_err().code();
    let all = PictureLimits::default();
    assert_eq!(
        code(PictureLimits { bytes: 10, ..all }).await,
        "picture_too_large"
    );
    assert_eq!(
        code(PictureLimits {
            pixels: 9_999,
            ..all
        })
        .await,
        "picture_too_many_pixels"
    );
    assert_eq!(
        code(PictureLimits {
            memory: 29_999,
            ..all
        })
        .await,
        "picture_too_many_pixels"
    );
}

#[tokio::test]
async fn exif_turns_are_measured_and_undone() {
    let picture = look(turned_jpeg(64, 32, 6)).await.unwrap();
    assert_eq!((picture.width, picture.height), (32, 64));
    let up = upright(&picture).await.unwrap();
    assert_eq!((up.mime, up.width, up.height), ("image/png", 32, 64));
    let flat = look(up.bytes.to_vec()).await.unwrap();
    assert_eq!((flat.width, flat.height), (32, 64));
    let plain = look(turned_jpeg(64, 32, 1)).await.unwrap();
    assert_eq!((plain.width, plain.height), (64, 32));
    assert_eq!(upright(&plain).await.unwrap().bytes, plain.bytes);
    let webp = look(encoded(8, 8, ImageFormat::WebP)).await.unwrap();
    assert_eq!(upright(&webp).await.unwrap().mime, "image/png");
    let moving = look(gif(3, 8)).await.unwrap();
    assert_eq!(upright(&moving).await.unwrap().mime, "image/png");
}
