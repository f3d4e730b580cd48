//! The crate's one error type.

use std::path::{Path, PathBuf};

/// What can go wrong with a dataset. Each message says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Neither Parquet nor JSON lines.
    #[error("{}: {reason}; {remedy}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found in place of a dataset.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A file without a row.
    #[error("{}: no rows; give a file with at least one", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A file cut short or with wrong bytes inside.
    #[error("{}: damaged {format} file: {reason}; copy or download it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// `Parquet` or `JSON lines`.
        format: &'static str,
        /// What does not fit.
        reason: String,
    },
    /// A column that no reader of ours knows.
    #[error(
        "{}: {}unknown column `{column}`; the known ones are {known}; remove or rename it, or read with unknown columns ignored",
        path.display(), at_row(*row)
    )]
    UnknownColumn {
        /// The file.
        path: PathBuf,
        /// Counted from 1; none where the file's schema says it for all rows.
        row: Option<u64>,
        /// Its name; `extra_info.name` inside `extra_info`.
        column: String,
        /// The known names, for reading.
        known: String,
    },
    /// A value that is not what its field wants.
    #[error("{}: row {row}: `{field}`: {reason}; {remedy}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Counted from 1; in JSON lines the line.
        row: u64,
        /// The column, with the way to the value inside it.
        field: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// A picture that is missing, too large or no picture.
    #[error("{}: row {row}: `images[{index}]`: {reason}; {remedy}", path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// Counted from 1; in JSON lines the line.
        row: u64,
        /// Counted from 0, as in tags.
        index: usize,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Prompts above the limit, where that was to be an error.
    #[error(
        "{}: {count} prompts are longer than {limit} tokens (rows {}{}); raise the limit, shorten them, or have them dropped",
        path.display(), list(first), if *count > first.len() as u64 { ", …" } else { "" }
    )]
    OverLong {
        /// The file.
        path: PathBuf,
        /// How many.
        count: u64,
        /// The first few, counted from 1.
        first: Vec<u64>,
        /// In the units of the hook that counted.
        limit: usize,
    },
    /// More rows than are taken.
    #[error("{}: the dataset has more than {limit} rows; give it in parts", path.display())]
    TooManyRows {
        /// The file in which the limit was passed.
        path: PathBuf,
        /// Of all files together.
        limit: u64,
    },
    /// Rows that belong to no split, or a share that is none.
    #[error("{}: {reason}; {remedy}", place(path.as_deref(), *row))]
    Split {
        /// The file, where one row is at fault.
        path: Option<PathBuf>,
        /// Counted from 1.
        row: Option<u64>,
        /// What is wrong.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Rows that cannot be written.
    #[error("{}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

fn at_row(row: Option<u64>) -> String {
    row.map(|row| format!("row {row}: ")).unwrap_or_default()
}

fn place(path: Option<&Path>, row: Option<u64>) -> String {
    match (path, row) {
        (Some(path), Some(row)) => format!("{}: row {row}", path.display()),
        (Some(path), None) => path.display().to_string(),
        _ => "split".to_owned(),
    }
}

fn list(rows: &[u64]) -> String {
    let words: Vec<String> = rows.iter().map(u64::to_string).collect();
    words.join(", ")
}

impl DatasetError {
    /// A stable code for API answers and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "dataset_io",
            Self::Format { .. } => "dataset_format_unknown",
            Self::Empty { .. } => "dataset_empty",
            Self::Damaged { .. } => "dataset_file_damaged",
            Self::UnknownColumn { .. } => "dataset_column_unknown",
            Self::Field { .. } => "dataset_field_invalid",
            Self::Picture { .. } => "dataset_picture_invalid",
            Self::OverLong { .. } => "dataset_prompt_too_long",
            Self::TooManyRows { .. } => "dataset_too_many_rows",
            Self::Split { .. } => "dataset_split_invalid",
            Self::Write { .. } => "dataset_write_failed",
        }
    }

    /// The same about a file of that name: where it lies here is nobody's business.
    #[must_use]
    pub fn in_file(mut self, name: &str) -> Self {
        match &mut self {
            Self::Io { path, .. }
            | Self::Format { path, .. }
            | Self::Empty { path }
            | Self::Damaged { path, .. }
            | Self::UnknownColumn { path, .. }
            | Self::Field { path, .. }
            | Self::Picture { path, .. }
            | Self::OverLong { path, .. }
            | Self::TooManyRows { path, .. }
            | Self::Write { path, .. } => *path = name.into(),
            Self::Split { path, .. } => *path = Some(name.into()),
        }
        self
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        let path = path.to_owned();
        Self::Io { path, source }
    }

    pub(crate) fn damaged(path: &Path, format: &'static str, reason: impl ToString) -> Self {
        // Some reasons quote all bytes of the value they are about.
        let reason: String = reason.to_string().chars().take(200).collect();
        let path = path.to_owned();
        Self::Damaged {
            path,
            format,
            reason,
        }
    }
}

/// This crate's result.
pub type Result<T, E = DatasetError> = std::result::Result<T, E>;
