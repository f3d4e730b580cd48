//! An untyped row becomes a [`Row`], or an error that names the field.

use std::path::Path;

use illumine_types::ToolKind;

use super::picture::{Refused, bytes_at, bytes_of_base64};
use super::{COLUMNS, EXTRA_INFO, ExtraInfo, ImageNum, Message, Picture, Prompt, Role, Row};
use crate::dataset::Split;
use crate::error::{DatasetError, Result};
use crate::read::{ReadOptions, UnknownColumns};
use crate::value::Value;

/// pandas writes its row labels under this name; they say nothing.
const PANDAS_INDEX: &str = "__index_level_0__";

/// Checks the rows of one file.
pub(crate) struct Parser<'a> {
    pub(crate) path: &'a Path,
    /// Of the pictures that are named by path.
    pub(crate) folder: &'a Path,
    pub(crate) options: &'a ReadOptions,
}

/// One row of the file; `number` is counted from 1.
struct At<'a> {
    parser: &'a Parser<'a>,
    number: u64,
}

type Fields = Vec<(String, Value)>;

impl Parser<'_> {
    /// The typed row.
    pub(crate) fn row(&self, number: u64, value: Value) -> Result<Row> {
        let at = At {
            parser: self,
            number,
        };
        let Value::Struct(mut fields) = value else {
            let reason = format!("is {} where an object is wanted", value.kind());
            return Err(at.refuse("(row)", reason, "write one JSON object a line"));
        };
        at.known_only(&fields)?;
        let prompt = at.prompt(take(&mut fields, "prompt"))?;
        let mut extra_info = at.extra_info(take(&mut fields, "extra_info"))?;
        // Most files repeat the prompt here; one of the two is enough.
        extra_info.question = extra_info
            .question
            .filter(|text| text != prompt.user_text());
        Ok(Row {
            prompt: prompt.with_system(&self.options.system),
            images: at.images(take(&mut fields, "images"))?,
            data_source: at
                .text("data_source", take(&mut fields, "data_source"))?
                .unwrap_or_default(),
            extra_info,
        })
    }

    /// Whether `column` (with `prefix` when inside another) may stand in a file.
    pub(crate) fn admit(&self, row: Option<u64>, prefix: &str, column: &str) -> Result<()> {
        let known: &[&str] = match prefix {
            "" => &COLUMNS,
            _ => &EXTRA_INFO,
        };
        let ignored = self.options.unknown_columns == UnknownColumns::Ignore;
        if ignored || known.contains(&column) || column == PANDAS_INDEX {
            return Ok(());
        }
        let named: Vec<String> = known
            .iter()
            .map(|name| format!("`{prefix}{name}`"))
            .collect();
        Err(DatasetError::UnknownColumn {
            path: self.path.to_owned(),
            row,
            column: format!("{prefix}{column}"),
            known: named.join(", "),
        })
    }
}

impl At<'_> {
    fn known_only(&self, fields: &Fields) -> Result<()> {
        for (name, _) in fields {
            self.parser.admit(Some(self.number), "", name)?;
        }
        Ok(())
    }

    fn prompt(&self, value: Value) -> Result<Prompt> {
        const REMEDY: &str =
            "write text, or a list of {\"role\", \"content\"} with a user's message";
        let prompt = match value {
            Value::Text(text) => Prompt::Text(text),
            Value::List(items) => {
                let messages = items.into_iter().enumerate();
                let messages = messages.map(|(index, item)| self.message(index, item));
                Prompt::Messages(messages.collect::<Result<_>>()?)
            }
            Value::Null => return Err(self.refuse("prompt", "is missing", REMEDY)),
            other => {
                return Err(self.wrong("prompt", &other, "text or a list of messages", REMEDY));
            }
        };
        if prompt.user_text().trim().is_empty() {
            return Err(self.refuse("prompt", "has no user text", REMEDY));
        }
        Ok(prompt)
    }

    fn message(&self, index: usize, value: Value) -> Result<Message> {
        const REMEDY: &str = "write messages as {\"role\", \"content\"}, both text";
        let field = |name: &str| format!("prompt[{index}]{name}");
        let Value::Struct(mut fields) = value else {
            return Err(self.wrong(&field(""), &value, "a message", REMEDY));
        };
        let mut text = |name: &str| match take(&mut fields, name) {
            Value::Text(text) => Ok(text),
            Value::Null => Err(self.refuse(&field(&format!(".{name}")), "is missing", REMEDY)),
            other => Err(self.wrong(&field(&format!(".{name}")), &other, "text", REMEDY)),
        };
        let (word, content) = (text("role")?, text("content")?);
        let role = Role::parse(&word).ok_or_else(|| {
            let roles = Role::ALL.map(Role::as_str).join(", ");
            let remedy = format!("use one of {roles}");
            self.refuse(&field(".role"), format!("{word:?} is no role"), remedy)
        })?;
        Ok(Message { role, content })
    }

    fn images(&self, value: Value) -> Result<Vec<Picture>> {
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
            let folder = self.parser.folder;
            let source = match item {
                Value::Bytes(bytes) => Ok((bytes, None)),
                Value::Text(text) if text.starts_with("data:") => {
                    bytes_of_base64(&text).map(|bytes| (bytes, None))
                }
                Value::Text(path) => bytes_at(folder, &path).map(|bytes| (bytes, Some(path))),
                Value::Struct(fields) => from_struct(folder, fields),
                other => Err((format!("is {}", other.kind()), REMEDY)),
            };
            let (bytes, path) = source.map_err(refused)?;
            let options = self.parser.options;
            let picture = Picture::new(bytes, path, options.pictures, options.max_pixels);
            pictures.push(picture.map_err(refused)?);
        }
        Ok(pictures)
    }

    fn extra_info(&self, value: Value) -> Result<ExtraInfo> {
        const REMEDY: &str = "write {\"split\", \"image_num\", \"tools\", \"question\"}";
        let mut fields = match value {
            Value::Struct(fields) => fields,
            Value::Null => return Err(self.refuse("extra_info", "is missing", REMEDY)),
            other => return Err(self.wrong("extra_info", &other, "a struct", REMEDY)),
        };
        for (name, _) in &fields {
            self.parser.admit(Some(self.number), "extra_info.", name)?;
        }
        let mut field = |name: &str| take(&mut fields, name);
        let split = self.text("extra_info.split", field("split"))?;
        let question = self.text("extra_info.question", field("question"))?;
        Ok(ExtraInfo {
            split: split.map(|word| self.split(&word)).transpose()?,
            image_num: self.image_num(field("image_num"))?,
            tools: self.tools(field("tools"))?,
            question: question.filter(|text| !text.trim().is_empty()),
            index: self.integer("extra_info.index", field("index"))?,
        })
    }

    fn split(&self, word: &str) -> Result<Split> {
        Split::parse(word).ok_or_else(|| {
            let reason = format!("{word:?} is no split");
            self.refuse("extra_info.split", reason, Split::WORDS)
        })
    }

    fn image_num(&self, value: Value) -> Result<ImageNum> {
        const FIELD: &str = "extra_info.image_num";
        let remedy = format!("use {}", ImageNum::DOMAIN);
        let number = self
            .integer(FIELD, value)?
            .ok_or_else(|| self.refuse(FIELD, "is missing", &remedy))?;
        ImageNum::parse(number)
            .ok_or_else(|| self.refuse(FIELD, format!("{number} is out of range"), &remedy))
    }

    fn tools(&self, value: Value) -> Result<Vec<ToolKind>> {
        const FIELD: &str = "extra_info.tools";
        let words: Vec<String> = match value {
            Value::Text(words) => words
                .split(',')
                .map(|word| word.trim().to_owned())
                .collect(),
            Value::List(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::Text(word) => Ok(word),
                    other => Err(self.wrong(FIELD, &other, "a tool's name", &tool_names())),
                })
                .collect::<Result<_>>()?,
            Value::Null => return Err(self.refuse(FIELD, "is missing", tool_names())),
            other => return Err(self.wrong(FIELD, &other, "a list of names", &tool_names())),
        };
        let mut tools = Vec::new();
        for word in words.iter().filter(|word| !word.is_empty()) {
            let tool = ToolKind::parse(word)
                .ok_or_else(|| self.refuse(FIELD, format!("{word:?} is no tool"), tool_names()))?;
            tools.push(tool);
        }
        tools.sort_unstable();
        tools.dedup();
        Ok(tools)
    }

    fn text(&self, field: &str, value: Value) -> Result<Option<String>> {
        match value {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(self.wrong(field, &other, "text", "write text or leave it out")),
        }
    }

    /// A column of integers that has a gap reaches us as decimal numbers: pandas
    /// knows no other way.
    fn integer(&self, field: &str, value: Value) -> Result<Option<i64>> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match value {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            Value::Float(number) if number.is_nan() => Ok(None),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < EXACT => {
                Ok(Some(number as i64))
            }
            other => Err(self.wrong(field, &other, "an integer", "write a whole number")),
        }
    }

    fn wrong(&self, field: &str, value: &Value, wanted: &str, remedy: &str) -> DatasetError {
        let reason = format!("is {} where {wanted} is wanted", value.kind());
        self.refuse(field, reason, remedy)
    }

    fn refuse(
        &self,
        field: &str,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> DatasetError {
        DatasetError::Field {
            path: self.parser.path.to_owned(),
            row: self.number,
            field: field.to_owned(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

/// The value of `name`, which is then gone; null when there is none.
fn take(fields: &mut Fields, name: &str) -> Value {
    let index = fields.iter().position(|(field, _)| field == name);
    index.map_or(Value::Null, |index| fields.swap_remove(index).1)
}

/// As Hugging Face `datasets` stores pictures: bytes with the name they had, or a path.
fn from_struct(folder: &Path, mut fields: Fields) -> Result<(Vec<u8>, Option<String>), Refused> {
    const REMEDY: &str = "give it `bytes` or a `path`";
    let path = match take(&mut fields, "path") {
        Value::Null => None,
        Value::Text(path) => Some(path),
        other => return Err((format!("its `path` is {}", other.kind()), REMEDY)),
    };
    match (take(&mut fields, "bytes"), path) {
        (Value::Bytes(bytes), path) => Ok((bytes, path)),
        (Value::Text(text), path) => bytes_of_base64(&text).map(|bytes| (bytes, path)),
        (Value::Null, Some(path)) => bytes_at(folder, &path).map(|bytes| (bytes, Some(path))),
        (Value::Null, None) => Err(("has neither `bytes` nor `path`".to_owned(), REMEDY)),
        (other, _) => Err((format!("its `bytes` are {}", other.kind()), REMEDY)),
    }
}

fn tool_names() -> String {
    let words = ToolKind::ALL.map(ToolKind::as_str).join(", ");
    format!("use a list of {words}; an empty one for none")
}
