//! Reading: a file's rows one by one, or all of them with their lengths checked.

mod format;
mod jsonl;
mod length;
mod parquet;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use format::Format;
pub use length::{LengthLimit, OverLong, WhenOverLong};

use crate::error::{DatasetError, Result};
use crate::row::parse::Parser;
use crate::row::{PictureCheck, Row, SystemMessage};
use crate::value::Value;

/// 64 megapixels: more than a camera's picture, less than harms.
pub const MAX_PIXELS: u64 = 64 << 20;

/// How files are read.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// What becomes of a prompt's system message.
    pub system: SystemMessage,
    /// What becomes of columns beyond [`COLUMNS`](crate::row::COLUMNS).
    pub unknown_columns: UnknownColumns,
    /// The longest prompt; none for any length. Counted after `system` is applied.
    pub length: Option<LengthLimit>,
    /// How closely pictures are looked at.
    pub pictures: PictureCheck,
    /// Width times height of the largest picture.
    pub max_pixels: u64,
    /// What pictures' paths are relative to; none for the file's own folder.
    pub folder: Option<PathBuf>,
    /// What becomes of a picture that is named by its path.
    pub paths: PicturePaths,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            system: SystemMessage::default(),
            unknown_columns: UnknownColumns::default(),
            length: None,
            pictures: PictureCheck::default(),
            max_pixels: MAX_PIXELS,
            folder: None,
            paths: PicturePaths::default(),
        }
    }
}

/// What becomes of a picture that is named by its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PicturePaths {
    /// It is read from there.
    #[default]
    Follow,
    /// An error: the rows came without their folder.
    Refuse,
}

/// What becomes of a column that no reader of ours knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownColumns {
    /// An error: a misspelt `image_num` would train something else.
    #[default]
    Refuse,
    /// Skipped, and in Parquet not even decoded.
    Ignore,
}

/// All rows of a file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// In the file's order.
    pub rows: Vec<Row>,
    /// The row's number in the file, counted from 1, for each of `rows`.
    pub numbers: Vec<u64>,
    /// Prompts above the limit; none where there are none or no limit is set.
    pub over_long: Option<OverLong>,
}

/// A tokenizer's count of tokens, or any other measure of a text.
pub type Measure = Arc<dyn Fn(&str) -> usize + Send + Sync>;

/// The rows of a file with their numbers, counted from 1, as it is read; in memory
/// is a batch of a few. Lengths are not checked: see [`load`]. After an error comes
/// nothing.
///
/// # Errors
/// At once for a file that cannot be opened, is neither format or has unknown
/// columns in its schema; later for the row at fault.
pub fn rows<'a>(
    path: &'a Path,
    options: &'a ReadOptions,
) -> Result<impl Iterator<Item = Result<(u64, Row)>> + 'a> {
    let own_folder = path.parent().unwrap_or(Path::new("."));
    let own_folder = match own_folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => own_folder,
    };
    let parser = Parser {
        path,
        folder: options.folder.as_deref().unwrap_or(own_folder),
        options,
    };
    let mut values: Box<dyn Iterator<Item = Result<(u64, Value)>>> = match Format::of(path)? {
        Format::Parquet => Box::new(parquet::Rows::open(path, &parser)?),
        Format::JsonLines => Box::new(jsonl::Rows::open(path)?),
    };
    let mut any = false;
    let mut over = false;
    Ok(std::iter::from_fn(move || {
        if over {
            return None;
        }
        let next = match values.next() {
            Some(Ok((number, value))) => Some(parser.row(number, value).map(|row| (number, row))),
            Some(Err(error)) => Some(Err(error)),
            None if any => None,
            None => Some(Err(DatasetError::Empty {
                path: path.to_owned(),
            })),
        };
        any = true;
        over = !matches!(next, Some(Ok(_)));
        next
    }))
}

/// All rows of a file, those with over-long prompts dropped and counted, or refused.
///
/// # Errors
/// As [`rows`]; [`DatasetError::OverLong`] once the whole file is read, also when
/// dropping would leave no row.
pub fn load(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Loaded> {
    let path = path.as_ref();
    let (mut kept, mut numbers) = (Vec::new(), Vec::new());
    let over_long = each(path, options, |number, row| {
        kept.push(row);
        numbers.push(number);
        Ok(())
    })?;
    Ok(Loaded {
        rows: kept,
        numbers,
        over_long,
    })
}

/// Hands the rows of a file to `take` as they are read, with their numbers; those with
/// over-long prompts are left out and counted, or refused.
///
/// # Errors
/// As [`load`]; those of `take`.
pub fn each(
    path: &Path,
    options: &ReadOptions,
    mut take: impl FnMut(u64, Row) -> Result<()>,
) -> Result<Option<OverLong>> {
    let mut check = length::Check::new(options.length.as_ref());
    let mut none_left = true;
    for row in rows(path, options)? {
        let (number, row) = row?;
        if check.admit(number, &row.prompt) {
            none_left = false;
            take(number, row)?;
        }
    }
    check.finish(path, none_left)
}
