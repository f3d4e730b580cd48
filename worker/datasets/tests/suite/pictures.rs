//! Pictures by bytes and by path, and those that are refused.

use illumine_datasets::{ReadOptions, read};

use crate::support::{file, header_only, line, png, refused, refused_as, told};

const LIST: &str =
    "write a list of bytes, of {\"bytes\", \"path\"}, or of paths relative to the dataset";
const INSIDE: &str = "write a path relative to the dataset's folder, inside it";
const REPLACE: &str = "replace the picture or leave the row out";

fn with(images: &str) -> String {
    line(r#""p""#, &format!(r#", "images": {images}"#))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[track_caller]
fn picture(images: &str, wanted: &str) {
    let (code, text) = refused(with(images));
    assert_eq!(text, format!("bad.jsonl: row 1: `images[0]`: {wanted}"));
    assert_eq!(code, "dataset_picture_invalid");
}

#[test]
fn json_lines_hold_bytes_data_urls_and_paths() {
    let bytes = base64(&png(6, 4));
    let images = format!(
        r#"[{{"bytes": "{bytes}", "path": "a.png"}}, "data:image/png;base64,{bytes}", "in/b.png", {{"bytes": null, "path": "./in/b.png"}}]"#
    );
    let (folder, path) = file("a.jsonl", with(&images));
    std::fs::create_dir(folder.path().join("in")).unwrap();
    std::fs::write(folder.path().join("in/b.png"), png(2, 9)).unwrap();
    let rows = read::load(&path, &ReadOptions::default()).unwrap().rows;
    let found: Vec<_> = rows[0]
        .images
        .iter()
        .map(|p| (p.width, p.height, p.path.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            (6, 4, Some("a.png")),
            (6, 4, None),
            (2, 9, Some("in/b.png")),
            (2, 9, Some("./in/b.png"))
        ]
    );
}

#[test]
fn paths_are_relative_to_the_folder_that_is_named() {
    let (_folder, path) = file("a.jsonl", with(r#"["b.png"]"#));
    let (other, _) = file("b.png", png(3, 3));
    let options = ReadOptions {
        folder: Some(other.path().to_owned()),
        ..ReadOptions::default()
    };
    assert_eq!(
        read::load(&path, &options).unwrap().rows[0].images[0].width,
        3
    );
    assert!(read::load(&path, &ReadOptions::default()).is_err());
}

#[test]
fn paths_that_leave_the_folder() {
    for path in [
        "../secret.png",
        "in/../../secret.png",
        "/etc/hostname",
        "",
        r"in\\..\\..\\a.png",
    ] {
        let shown = path.replace(r"\\", r"\");
        picture(
            &format!(r#"["{path}"]"#),
            &format!("the path {shown:?} leaves the dataset's folder; {INSIDE}"),
        );
    }
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_folder() {
    let (outside, secret) = file("secret.png", png(2, 2));
    let (folder, path) = file("a.jsonl", with(r#"["link.png"]"#));
    std::os::unix::fs::symlink(&secret, folder.path().join("link.png")).unwrap();
    let error = read::load(&path, &ReadOptions::default()).unwrap_err();
    let (_, text) = told(&error, folder.path());
    assert_eq!(
        text,
        format!(
            "a.jsonl: row 1: `images[0]`: the path \"link.png\" is a link that leaves the dataset's folder; {INSIDE}"
        )
    );
    drop(outside);
}

#[test]
fn missing_pictures() {
    picture(
        r#"["none.png"]"#,
        "the file \"none.png\" cannot be read (No such file or directory (os error 2)); put the file there or correct the path",
    );
    picture(
        r#"[{"bytes": null, "path": null}]"#,
        "has neither `bytes` nor `path`; give it `bytes` or a `path`",
    );
    picture(r#"[{"bytes": ""}]"#, &format!("has no bytes; {REPLACE}"));
}

#[test]
fn values_that_are_no_pictures() {
    picture("[3]", &format!("is an integer; {LIST}"));
    picture(
        r#"[{"bytes": 3}]"#,
        "its `bytes` are an integer; give it `bytes` or a `path`",
    );
    picture(
        r#"[{"bytes": "***"}]"#,
        "its bytes are not base64 (Invalid symbol 42, offset 0.); write bytes in standard base64, or a path",
    );
    let (_, text) = refused(with(r#""a.png""#));
    assert_eq!(
        text,
        format!("bad.jsonl: row 1: `images`: is text where a list is wanted; {LIST}")
    );
}

#[test]
fn undecodable_pictures() {
    let text = base64(b"this is no picture at all");
    picture(
        &format!(r#"[{{"bytes": "{text}"}}]"#),
        &format!("cannot be decoded as a picture (no known picture format); {REPLACE}"),
    );
    let whole = png(40, 40);
    let cut = base64(&whole[..whole.len() - 20]);
    let images = format!(r#"[{{"bytes": "{cut}"}}]"#);
    let (code, text) = refused(with(&images));
    assert_eq!(code, "dataset_picture_invalid");
    assert!(
        text.contains("`images[0]`: cannot be decoded as a picture ("),
        "{text}"
    );
    // The header alone says nothing of what is behind it.
    let (_folder, path) = file("a.jsonl", with(&images));
    assert!(read::load(&path, &header_only()).is_ok());
}

/// The size is read from the header: a bomb is never unpacked.
#[test]
fn pictures_with_too_many_pixels() {
    let mut bomb = png(1, 1);
    bomb[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    bomb[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    let checksum = crc(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&checksum.to_be_bytes());
    picture(
        &format!(r#"[{{"bytes": "{}"}}]"#, base64(&bomb)),
        "has 60000 × 60000 pixels, more than 67108864; make the picture smaller or raise the limit",
    );
    let options = ReadOptions {
        max_pixels: 23,
        ..ReadOptions::default()
    };
    let content = with(&format!(r#"[{{"bytes": "{}"}}]"#, base64(&png(6, 4))));
    let (_, text) = refused_as("a.jsonl", content, &options);
    assert!(text.contains("has 6 × 4 pixels, more than 23; "), "{text}");
}

/// PNG's checksum (CRC-32, ISO 3309), bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    })
}
