//! JSON lines: what a person reads and a diff shows.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use illumine_types::ToolKind;
use serde::Serialize;

use super::{all_texts, messages, replace};
use crate::error::{DatasetError, Result};
use crate::row::{Message, Picture, Row};

#[derive(Serialize)]
struct Line<'a> {
    prompt: PromptColumn<'a>,
    images: Vec<Image<'a>>,
    data_source: &'a str,
    extra_info: ExtraInfo<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PromptColumn<'a> {
    Text(&'a str),
    Messages(Vec<Message>),
}

#[derive(Serialize)]
struct Image<'a> {
    bytes: String,
    path: Option<&'a str>,
}

#[derive(Serialize)]
struct ExtraInfo<'a> {
    split: Option<&'static str>,
    image_num: i64,
    tools: &'a [ToolKind],
    question: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<i64>,
}

/// Writes `rows` to `path`, a JSON object a line, pictures in base64. Prompts are
/// texts if all are, else lists of messages; `question` is always written.
///
/// # Errors
/// [`DatasetError::Io`].
pub fn jsonl(path: impl AsRef<Path>, rows: &[Row]) -> Result<()> {
    let path = path.as_ref();
    let texts = all_texts(rows);
    replace(path, |file| {
        let mut file = BufWriter::new(file);
        let failed = |error: std::io::Error| DatasetError::io(path, error);
        for row in rows {
            serde_json::to_writer(&mut file, &line(row, texts))
                .map_err(|error| failed(error.into()))?;
            file.write_all(b"\n").map_err(failed)?;
        }
        file.flush().map_err(failed)
    })
}

fn line(row: &Row, texts: bool) -> Line<'_> {
    let extra = &row.extra_info;
    Line {
        prompt: match texts {
            true => PromptColumn::Text(row.prompt.user_text()),
            false => PromptColumn::Messages(messages(row)),
        },
        images: row.images.iter().map(image).collect(),
        data_source: &row.data_source,
        extra_info: ExtraInfo {
            split: extra.split.map(|split| split.as_str()),
            image_num: extra.image_num.number(),
            tools: &extra.tools,
            question: row.question(),
            index: extra.index,
        },
    }
}

fn image(picture: &Picture) -> Image<'_> {
    Image {
        bytes: picture.base64(),
        path: picture.path.as_deref(),
    }
}
