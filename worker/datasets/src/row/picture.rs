//! Input pictures, checked before anything draws on them.

use std::io::Cursor;
use std::path::{Component, Path};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, ImageReader, Limits, Rgb, RgbImage};

/// A picture that comes with a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The file's bytes: PNG, JPEG, WebP, GIF or BMP.
    pub bytes: Arc<[u8]>,
    /// Its path or name in the dataset, if it has one.
    pub path: Option<String>,
    /// `image/png` and so on, from the bytes.
    pub mime: &'static str,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
}

/// How closely pictures are looked at when they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PictureCheck {
    /// Every pixel is decoded once.
    #[default]
    Decode,
    /// Format and size alone: quick, and blind to damage behind the header.
    Header,
}

/// Why a picture is refused: the reason and what to do.
pub(crate) type Refused = (String, &'static str);

/// Of 100.
const THUMBNAIL_QUALITY: u8 = 75;
const SAME_FOLDER: &str = "write a path relative to the dataset's folder, inside it";
const REPLACE: &str = "replace the picture or leave the row out";
const SMALLER: &str = "make the picture smaller or raise the limit";
/// More than any camera writes; a longer file is not read into memory.
const MAX_FILE_BYTES: u64 = 256 << 20;

impl Picture {
    /// A picture from a file's bytes.
    pub(crate) fn new(
        bytes: Vec<u8>,
        path: Option<String>,
        check: PictureCheck,
        max_pixels: u64,
    ) -> Result<Self, Refused> {
        if bytes.is_empty() {
            return Err(("has no bytes".to_owned(), REPLACE));
        }
        let undecodable = |error: &dyn std::fmt::Display| {
            (format!("cannot be decoded as a picture ({error})"), REPLACE)
        };
        let reader = |bytes| ImageReader::new(Cursor::new(bytes)).with_guessed_format();
        let header = reader(&bytes[..]).map_err(|error| undecodable(&error))?;
        let mime = header
            .format()
            .as_ref()
            .map(ImageFormat::to_mime_type)
            .ok_or_else(|| undecodable(&"no known picture format"))?;
        let (width, height) = header
            .into_dimensions()
            .map_err(|error| undecodable(&error))?;
        let pixels = u64::from(width) * u64::from(height);
        if pixels > max_pixels {
            let reason = format!("has {width} × {height} pixels, more than {max_pixels}");
            return Err((reason, SMALLER));
        }
        if check == PictureCheck::Decode {
            let mut whole = reader(&bytes[..]).map_err(|error| undecodable(&error))?;
            let mut limits = Limits::no_limits();
            // Eight bytes a pixel twice over: a decoder's own buffer and its result.
            limits.max_alloc = Some(pixels.saturating_mul(16) + (1 << 20));
            whole.limits(limits);
            whole.decode().map_err(|error| undecodable(&error))?;
        }
        Ok(Self {
            bytes: bytes.into(),
            path,
            mime,
            width,
            height,
        })
    }

    /// A JPEG of at most `side` pixels each way, on white; none if the picture is damaged
    /// where it was not looked at.
    #[must_use]
    pub fn thumbnail(&self, side: u32) -> Option<Vec<u8>> {
        let whole = image::load_from_memory(&self.bytes).ok()?;
        let small = match whole.width().max(whole.height()) > side {
            true => whole.thumbnail(side, side),
            false => whole,
        };
        let small = small.into_rgba8();
        let on_white = RgbImage::from_fn(small.width(), small.height(), |x, y| {
            let [red, green, blue, alpha] = small.get_pixel(x, y).0.map(u32::from);
            let mix = |colour: u32| ((colour * alpha + 255 * (255 - alpha)) / 255) as u8;
            Rgb([red, green, blue].map(mix))
        });
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, THUMBNAIL_QUALITY)
            .encode_image(&on_white)
            .ok()?;
        Some(jpeg)
    }

    /// The bytes as text, for JSON.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.bytes)
    }
}

/// The bytes of the file at `path`, which must lie inside `folder`, links followed.
pub(crate) fn bytes_at(folder: &Path, path: &str) -> Result<Vec<u8>, Refused> {
    let relative = Path::new(path);
    let inside = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    // A backslash is a separator where the file was made, or will be read.
    if path.is_empty() || !inside || path.split('\\').any(|part| part == "..") {
        return Err((
            format!("the path {path:?} leaves the dataset's folder"),
            SAME_FOLDER,
        ));
    }
    let missing = |error: std::io::Error| {
        (
            format!("the file {path:?} cannot be read ({error})"),
            "put the file there or correct the path",
        )
    };
    let home = folder.canonicalize().map_err(missing)?;
    let file = folder.join(relative).canonicalize().map_err(missing)?;
    if !file.starts_with(&home) {
        return Err((
            format!("the path {path:?} is a link that leaves the dataset's folder"),
            SAME_FOLDER,
        ));
    }
    let bytes = std::fs::metadata(&file).map_err(missing)?.len();
    if bytes > MAX_FILE_BYTES {
        let reason = format!("the file {path:?} has {bytes} bytes, more than {MAX_FILE_BYTES}");
        return Err((reason, "make the picture smaller"));
    }
    std::fs::read(&file).map_err(missing)
}

/// Bytes written as text in JSON: base64, with `data:image/…;base64,` or without.
pub(crate) fn bytes_of_base64(text: &str) -> Result<Vec<u8>, Refused> {
    let encoded = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,").map_or("", |(_, data)| data),
        None => text,
    };
    STANDARD.decode(encoded).map_err(|error| {
        (
            format!("its bytes are not base64 ({error})"),
            "write bytes in standard base64, or a path",
        )
    })
}
