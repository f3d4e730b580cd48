//! From a literal to a call, strictly.

use super::value::Value;
use super::{CLOSE, Limits, OPEN, TagError, TagEvent, TagReader};
use crate::tool::{ToolCall, ToolKind, ToolRequest};

/// Keys of a tag.
pub(super) const TAG_KEYS: [&str; 3] = ["source", "description", "params"];
/// Keys that some tool's `params` has.
pub(super) const PARAM_KEYS: [&str; 4] = ["query", "prompt", "code", "img_index"];

/// Reads one tag's inside, such as `{"source": …}`.
///
/// # Errors
/// [`TagError`], also when something stands around the dictionary.
pub fn parse_call(raw: &str) -> Result<ToolCall, TagError> {
    let mut reader = TagReader::new(Limits::default());
    let mut events = reader.push(&format!("{OPEN}{raw}{CLOSE}"));
    events.extend(reader.finish());
    let not_one = TagError::Malformed {
        expected: "one dictionary",
    };
    match (events.pop(), events.pop()) {
        (Some(TagEvent::Tag { call, .. }), None) => call,
        _ => Err(not_one),
    }
}

/// Checks that an edit's image exists among the `available` ones before it
/// (inputs first, then every earlier tag).
///
/// # Errors
/// [`TagError::IndexOutOfRange`].
pub const fn validate_index(call: &ToolCall, available: usize) -> Result<(), TagError> {
    match call.request {
        ToolRequest::Edit { img_index, .. } if img_index >= available => {
            Err(TagError::IndexOutOfRange {
                index: img_index,
                available,
            })
        }
        _ => Ok(()),
    }
}

pub(super) fn validate(entries: Vec<(String, Value)>) -> Result<ToolCall, TagError> {
    let [source, description, params] = exactly(entries, TAG_KEYS, "a tag")?;
    let source = text(source, "source")?;
    let description = text(description, "description")?;
    let kind = ToolKind::parse(&source).ok_or_else(|| TagError::UnknownSource {
        source_name: shortened(&source),
    })?;
    let Value::Dict(params) = params else {
        return Err(wrong("params", "a dictionary"));
    };
    Ok(ToolCall {
        request: request(kind, params)?,
        description,
    })
}

fn request(kind: ToolKind, params: Vec<(String, Value)>) -> Result<ToolRequest, TagError> {
    Ok(match kind {
        ToolKind::Search => {
            let [query] = exactly(params, ["query"], "search's params")?;
            ToolRequest::Search {
                query: filled(query, "query")?,
            }
        }
        ToolKind::Diffusion => {
            let [prompt] = exactly(params, ["prompt"], "diffusion's params")?;
            ToolRequest::Diffusion {
                prompt: filled(prompt, "prompt")?,
            }
        }
        ToolKind::Code => {
            let [code] = exactly(params, ["code"], "code's params")?;
            ToolRequest::Code {
                code: filled(code, "code")?,
            }
        }
        ToolKind::Edit => {
            let [index, prompt] = exactly(params, ["img_index", "prompt"], "edit's params")?;
            let index = match index {
                Value::Integer(index) => usize::try_from(index).ok(),
                _ => None,
            };
            ToolRequest::Edit {
                img_index: index.ok_or_else(|| wrong("img_index", "an integer of at least 0"))?,
                prompt: filled(prompt, "prompt")?,
            }
        }
    })
}

/// The values of exactly these keys, in their order.
fn exactly<const N: usize>(
    entries: Vec<(String, Value)>,
    keys: [&'static str; N],
    place: &'static str,
) -> Result<[Value; N], TagError> {
    let mut values: [Option<Value>; N] = [const { None }; N];
    for (key, value) in entries {
        let Some(slot) = keys.iter().position(|known| *known == key) else {
            let key = shortened(&key);
            return Err(TagError::UnknownKey { key, place });
        };
        if values[slot].replace(value).is_some() {
            return Err(TagError::DuplicateKey { key });
        }
    }
    for (value, key) in values.iter().zip(keys) {
        if value.is_none() {
            return Err(TagError::MissingKey { key });
        }
    }
    Ok(values.map(|value| value.unwrap_or(Value::None)))
}

fn text(value: Value, key: &'static str) -> Result<String, TagError> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(wrong(key, "a string")),
    }
}

fn filled(value: Value, key: &'static str) -> Result<String, TagError> {
    let text = text(value, key)?;
    if text.trim().is_empty() {
        return Err(TagError::Empty { key });
    }
    Ok(text)
}

const fn wrong(key: &'static str, expected: &'static str) -> TagError {
    TagError::WrongType { key, expected }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
