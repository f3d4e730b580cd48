//! Writing rows in the seed's columns, so that pandas, Hugging Face `datasets` and
//! the recipes of the seed read them. Pictures are written as bytes inside the file.

mod jsonl;
mod parquet;

use std::fs::File;
use std::path::Path;

pub use jsonl::jsonl;
pub use parquet::parquet;

use crate::error::{DatasetError, Result};
use crate::row::{Message, Prompt, Row};

/// A column has one type: all prompts are texts, or all are lists of messages.
fn all_texts(rows: &[Row]) -> bool {
    rows.iter().all(|row| matches!(row.prompt, Prompt::Text(_)))
}

fn messages(row: &Row) -> Vec<Message> {
    row.prompt.messages()
}

/// Fills a file beside `path` and then puts it in its place, so that no reader ever
/// sees half of one.
fn replace(path: &Path, fill: impl FnOnce(File) -> Result<()>) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let file = File::create(partial).map_err(|error| DatasetError::io(partial, error))?;
    let written = fill(file).and_then(|()| {
        std::fs::rename(partial, path).map_err(|error| DatasetError::io(path, error))
    });
    if written.is_err() {
        // The first error is the one to tell; what is left over does no harm.
        let _ = std::fs::remove_file(partial);
    }
    written
}
