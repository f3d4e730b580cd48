//! Files made on the spot.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use illumine_datasets::row::PictureCheck;
use illumine_datasets::{
    DatasetError, ExtraInfo, ImageNum, Message, Prompt, ReadOptions, Row, SystemMessage, read,
};
use image::{ImageFormat, RgbImage};
use tempfile::TempDir;

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A folder with one file in it.
pub fn file(name: &str, content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

pub fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::new(width, height)
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A line that is right but for `prompt` and `more`, which are JSON.
pub fn line(prompt: &str, more: &str) -> String {
    format!(
        r#"{{"prompt": {prompt}, "extra_info": {{"split": "train", "image_num": 2, "tools": ["code"]}}{more}}}"#
    )
}

/// The error of reading `content` as JSON lines, without the folder's name.
pub fn refused(content: impl AsRef<[u8]>) -> (&'static str, String) {
    refused_as("bad.jsonl", content, &ReadOptions::default())
}

pub fn refused_as(
    name: &str,
    content: impl AsRef<[u8]>,
    options: &ReadOptions,
) -> (&'static str, String) {
    let (folder, path) = file(name, content);
    told(&read::load(&path, options).unwrap_err(), folder.path())
}

pub fn told(error: &DatasetError, folder: &Path) -> (&'static str, String) {
    let home = format!("{}/", folder.display());
    (error.code(), error.to_string().replace(&home, ""))
}

pub fn keep_system() -> ReadOptions {
    ReadOptions {
        system: SystemMessage::Keep,
        ..ReadOptions::default()
    }
}

pub fn header_only() -> ReadOptions {
    ReadOptions {
        pictures: PictureCheck::Header,
        ..ReadOptions::default()
    }
}

/// A row without pictures.
pub fn row(text: &str) -> Row {
    Row {
        prompt: Prompt::Messages(vec![Message::user(text)]),
        images: Vec::new(),
        data_source: String::new(),
        extra_info: ExtraInfo {
            split: None,
            image_num: ImageNum::Free,
            tools: Vec::new(),
            question: None,
            index: None,
        },
    }
}
