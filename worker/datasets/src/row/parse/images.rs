//! `images`: a list of bytes, of structs or of paths.

use super::{At, Fields, take};
use crate::error::{DatasetError, Result};
use crate::read::PicturePaths;
use crate::row::Picture;
use crate::row::picture::{Refused, bytes_at, bytes_of_base64};
use crate::value::Value;

impl At<'_> {
    pub(super) fn images(&self, value: Value) -> Result<Vec<Picture>> {
        const REMEDY: &str =
            "write a list of bytes, of {\"bytes\", \"path\"}, or of paths relative to the dataset";
        let items = match value {
            Value::Null => return Ok(Vec::new()),
            Value::List(items) => items,
            other => return Err(self.wrong("images", &other, "a list", REMEDY)),
        };
        let mut pictures = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let refused = |(reason, remedy): Refused| DatasetError::Picture {
                path: self.parser.path.to_owned(),
                row: self.number,
                index,
                reason,
                remedy,
            };
            let at_path = |path: &str| match self.parser.options.paths {
                PicturePaths::Follow => bytes_at(self.parser.folder, path),
                PicturePaths::Refuse => Err((
                    format!("is missing: {path:?} is a path, and no files of pictures come along"),
                    "write the picture into the row: bytes in Parquet, {\"bytes\": \"base64\"} in JSON lines",
                )),
            };
            let source = match item {
                Value::Bytes(bytes) => Ok((bytes, None)),
                Value::Text(text) if text.starts_with("data:") => {
                    bytes_of_base64(&text).map(|bytes| (bytes, None))
                }
                Value::Text(path) => at_path(&path).map(|bytes| (bytes, Some(path))),
                Value::Struct(fields) => from_struct(&at_path, fields),
                other => Err((format!("is {}", other.kind()), REMEDY)),
            };
            let (bytes, path) = source.map_err(refused)?;
            let options = self.parser.options;
            let picture = Picture::new(bytes, path, options.pictures, options.max_pixels);
            pictures.push(picture.map_err(refused)?);
        }
        Ok(pictures)
    }
}

/// As Hugging Face `datasets` stores pictures: bytes with the name they had, or a path.
fn from_struct(
    at_path: &dyn Fn(&str) -> Result<Vec<u8>, Refused>,
    mut fields: Fields,
) -> Result<(Vec<u8>, Option<String>), Refused> {
    const REMEDY: &str = "give it `bytes` or a `path`";
    let path = match take(&mut fields, "path") {
        Value::Null => None,
        Value::Text(path) => Some(path),
        other => return Err((format!("its `path` is {}", other.kind()), REMEDY)),
    };
    match (take(&mut fields, "bytes"), path) {
        (Value::Bytes(bytes), path) => Ok((bytes, path)),
        (Value::Text(text), path) => bytes_of_base64(&text).map(|bytes| (bytes, path)),
        (Value::Null, Some(path)) => at_path(&path).map(|bytes| (bytes, Some(path))),
        (Value::Null, None) => Err(("has neither `bytes` nor `path`".to_owned(), REMEDY)),
        (other, _) => Err((format!("its `bytes` are {}", other.kind()), REMEDY)),
    }
}
