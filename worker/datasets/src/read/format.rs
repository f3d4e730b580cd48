//! Which format a file is in, by what it holds before what it is called.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::error::{DatasetError, Result};

/// The two formats that datasets come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `*.parquet`
    Parquet,
    /// `*.jsonl`, `*.ndjson`, `*.json`: one object a line.
    JsonLines,
}

impl Format {
    /// The format of the file at `path`.
    ///
    /// # Errors
    /// [`DatasetError::Io`], [`DatasetError::Empty`], [`DatasetError::Format`],
    /// [`DatasetError::Damaged`] for `*.parquet` that does not begin as one.
    pub fn of(path: &Path) -> Result<Self> {
        let mut head = Vec::new();
        File::open(path)
            .and_then(|file| file.take(64).read_to_end(&mut head))
            .map_err(|error| DatasetError::io(path, error))?;
        let by_name = Self::of_name(path);
        let refuse = |reason: &str, remedy| DatasetError::Format {
            path: path.to_owned(),
            reason: reason.to_owned(),
            remedy,
        };
        match (&head[..], by_name) {
            ([], _) => Err(DatasetError::Empty {
                path: path.to_owned(),
            }),
            ([b'P', b'A', b'R', b'1', ..], _) => Ok(Self::Parquet),
            ([b'P', b'A', b'R', b'E', ..], _) => Err(refuse(
                "an encrypted Parquet file",
                "write it without encryption",
            )),
            ([0x1F, 0x8B, ..] | [0x28, 0xB5, 0x2F, 0xFD, ..], _) => {
                Err(refuse("a compressed file", "unpack it first"))
            }
            (_, Some(Self::Parquet)) => Err(DatasetError::damaged(
                path,
                "Parquet",
                "it does not begin with the bytes PAR1",
            )),
            (head, Some(Self::JsonLines)) if begins_with(head, b'[') => Err(refuse(
                "one JSON list in place of JSON lines",
                "write one object a line",
            )),
            (_, Some(Self::JsonLines)) => Ok(Self::JsonLines),
            (head, None) if begins_with(head, b'{') => Ok(Self::JsonLines),
            _ => Err(refuse(
                "neither Parquet nor JSON lines",
                "give a .parquet or .jsonl file",
            )),
        }
    }

    /// The format that a name promises.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "parquet" => Some(Self::Parquet),
            "jsonl" | "ndjson" | "json" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

fn begins_with(head: &[u8], wanted: u8) -> bool {
    head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&wanted)
}
