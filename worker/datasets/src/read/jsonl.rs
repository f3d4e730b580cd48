//! JSON lines, a line at a time.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde_json::error::Category;

use crate::error::{DatasetError, Result};
use crate::value::Value;

/// A row with a few pictures inside has tens of megabytes; a file without line ends
/// is not read into memory whole.
const MAX_LINE_BYTES: u64 = 512 << 20;

/// The lines of a file; empty ones are skipped but counted.
pub(super) struct Rows {
    path: PathBuf,
    lines: BufReader<File>,
    number: u64,
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| DatasetError::io(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::new(file),
            number: 0,
        })
    }

    /// The next line without its end; none after the last.
    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.lines)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
            .map_err(|error| DatasetError::io(&self.path, error))?;
        if line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if line.len() as u64 == MAX_LINE_BYTES {
            return Err(self.refuse(
                format!("is longer than {MAX_LINE_BYTES} bytes"),
                "write one row a line, and large pictures as files of their own",
            ));
        }
        Ok(Some(line))
    }

    fn value(&self, line: &[u8]) -> Result<Value> {
        let json: serde_json::Value =
            serde_json::from_slice(line).map_err(|error| match error.classify() {
                Category::Eof => DatasetError::damaged(
                    &self.path,
                    "JSON lines",
                    format!("line {} ends in the middle of a value", self.number),
                ),
                _ => self.refuse(
                    format!("is no JSON ({error})"),
                    "write one JSON object a line",
                ),
            })?;
        Ok(Value::from(json))
    }

    fn refuse(&self, reason: String, remedy: &str) -> DatasetError {
        DatasetError::Field {
            path: self.path.clone(),
            row: self.number,
            field: "(row)".to_owned(),
            reason,
            remedy: remedy.to_owned(),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<(u64, Value)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.line() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            if !line.trim_ascii().is_empty() {
                return Some(self.value(&line).map(|value| (self.number, value)));
            }
        }
    }
}
