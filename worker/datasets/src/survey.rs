//! An upload, looked through once, a row at a time: checked whole, counted, and shown.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use illumine_types::dataset::{
    DatasetRow, MAX_ROWS, PROMPT_CHARACTERS, RowPicture, Split, Summary,
};

use crate::error::{DatasetError, Result};
use crate::read::{self, LengthLimit, PicturePaths, ReadOptions, WhenOverLong};
use crate::row::{Picture, Row};
use crate::summary::Tally;

/// Characters of a prompt that are shown.
const SHOWN: usize = 1_000;
/// Pictures of a row that are shown small.
const THUMBNAILS: usize = 4;
/// Their longer side, pixels: twice what the page gives them, for fine screens.
const THUMBNAIL_SIDE: u32 = 96;

/// What an upload holds.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Lengths are counted in characters.
    pub summary: Summary,
    /// Rows of each file.
    pub rows: Vec<u64>,
}

/// How rows are read that were uploaded: nothing lies beside the files.
#[must_use]
pub fn read_options() -> ReadOptions {
    ReadOptions {
        paths: PicturePaths::Refuse,
        ..ReadOptions::default()
    }
}

/// Reads `files`, each with the name that errors give it, and hands what is shown of each
/// row to `show`, in the files' order. Nothing of a row stays in memory.
///
/// # Errors
/// Those of [`read::rows`], so [`DatasetError::Field`] for prompts beyond
/// [`PROMPT_CHARACTERS`] characters; [`DatasetError::Split`] for a row without a split;
/// [`DatasetError::TooManyRows`] beyond [`MAX_ROWS`]; those of `show`.
pub fn survey(
    files: &[(PathBuf, String)],
    mut show: impl FnMut(Split, DatasetRow) -> Result<()>,
) -> Result<Survey> {
    let options = ReadOptions {
        length: Some(LengthLimit {
            measure: Arc::new(characters),
            limit: PROMPT_CHARACTERS,
            then: WhenOverLong::Refuse,
        }),
        ..read_options()
    };
    let mut tally = Tally::new(&characters);
    let mut counts = Vec::new();
    let mut all = 0;
    for (path, name) in files {
        let mut count = 0;
        let look = |number: u64, row: Row| {
            let split = row.extra_info.split.ok_or_else(|| DatasetError::Split {
                path: Some(path.clone()),
                row: Some(number),
                reason: "`extra_info.split` is missing".to_owned(),
                remedy: Split::WORDS,
            })?;
            (all, count) = (all + 1, count + 1);
            if all > MAX_ROWS {
                return Err(DatasetError::TooManyRows {
                    path: path.clone(),
                    limit: MAX_ROWS,
                });
            }
            tally.add(&row, split);
            show(split, shown(name, number, &row))
        };
        read::each(path, &options, look).map_err(|error| over_long(error).in_file(name))?;
        counts.push(count);
    }
    Ok(Survey {
        summary: tally.summary(),
        rows: counts,
    })
}

/// Told of the first row, with how many others there are.
fn over_long(error: DatasetError) -> DatasetError {
    let DatasetError::OverLong {
        path,
        count,
        first,
        limit,
    } = error
    else {
        return error;
    };
    let others = match count {
        0 | 1 => String::new(),
        2 => ", as in another row".to_owned(),
        _ => format!(", as in {} other rows", count - 1),
    };
    DatasetError::Field {
        path,
        row: first.first().copied().unwrap_or_default(),
        field: "prompt".to_owned(),
        reason: format!("has more than {limit} characters{others}"),
        remedy: "shorten it, or leave the row out".to_owned(),
    }
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

fn shown(file: &str, number: u64, row: &Row) -> DatasetRow {
    let text = row.prompt.user_text();
    let prompt: String = text.chars().take(SHOWN).collect();
    let pictures = row.images.iter().enumerate().map(|(index, picture)| {
        let wanted = index < THUMBNAILS;
        RowPicture {
            width: picture.width,
            height: picture.height,
            thumbnail: wanted.then(|| thumbnail(picture)).flatten(),
        }
    });
    DatasetRow {
        file: file.to_owned(),
        row: number,
        cut: prompt.len() < text.len(),
        prompt,
        messages: row.prompt.messages().len(),
        tools: row.extra_info.tools.clone(),
        image_num: row.extra_info.image_num.number(),
        pictures: pictures.collect(),
        source: row.data_source.clone(),
    }
}

fn thumbnail(picture: &Picture) -> Option<String> {
    let jpeg = picture.thumbnail(THUMBNAIL_SIDE)?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}
