//! The messages of a chat completion.

use illumine_models::tokenizer::Role;
use serde_json::{Map, Value};

use super::ApiError;
use super::request::Fields;

/// Pictures of one request.
pub const MAX_PICTURES: usize = 16;

/// One message, its text and pictures in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    pub content: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Text(String),
    Picture(Source),
}

/// A picture as the caller names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Where in the request: `messages[1].content[0].image_url.url`.
    pub param: String,
    /// An address, or the picture itself as `data:image/…;base64,…`.
    pub url: String,
}

/// Reads `messages`, for the model `served`.
///
/// # Errors
/// 400 with the message or part at fault.
pub fn messages(
    fields: Fields<'_>,
    served: &str,
    sees_pictures: bool,
) -> Result<Vec<Message>, ApiError> {
    let messages: Vec<Map<String, Value>> = fields.required("messages")?;
    if messages.is_empty() {
        return Err(ApiError::invalid("messages", "`messages` is empty."));
    }
    let mut read = Vec::with_capacity(messages.len());
    let mut pictures = 0;
    for (index, message) in messages.iter().enumerate() {
        let role = role(Fields(message), index)?;
        let at = format!("messages[{index}].content");
        let content = content(message.get("content"), &at)?;
        for part in &content {
            let Part::Picture(source) = part else {
                continue;
            };
            if !sees_pictures {
                let message = format!("the model `{served}` does not see pictures.");
                return Err(ApiError::invalid(at, message));
            }
            pictures += 1;
            if pictures > MAX_PICTURES {
                let message = format!("a request may have {MAX_PICTURES} pictures.");
                return Err(ApiError::invalid(&source.param, message));
            }
        }
        read.push(Message { role, content });
    }
    Ok(read)
}

fn role(message: Fields<'_>, index: usize) -> Result<Role, ApiError> {
    let role: String = message.required("role")?;
    match role.as_str() {
        "system" | "developer" => Ok(Role::System),
        "user" => Ok(Role::User),
        "assistant" => Ok(Role::Assistant),
        _ => Err(ApiError::invalid(
            format!("messages[{index}].role"),
            format!("`{role}` is not one of system, developer, user and assistant."),
        )),
    }
}

/// A message's text and pictures; `at` is where it stands.
fn content(content: Option<&Value>, at: &str) -> Result<Vec<Part>, ApiError> {
    match content {
        Some(Value::String(text)) => Ok(vec![Part::Text(text.clone())]),
        Some(Value::Array(parts)) => parts
            .iter()
            .enumerate()
            .map(|(index, value)| part(value, at, index))
            .collect(),
        _ => Err(ApiError::invalid(
            at,
            "must be a text or a list of parts.".to_owned(),
        )),
    }
}

fn part(part: &Value, at: &str, index: usize) -> Result<Part, ApiError> {
    match (part["type"].as_str(), part["text"].as_str()) {
        (Some("text"), Some(text)) => Ok(Part::Text(text.to_owned())),
        (Some("image_url"), _) => picture(&part["image_url"], &format!("{at}[{index}].image_url")),
        (kind, _) => {
            let kind = kind.unwrap_or("a part without a type");
            let message = format!("`{kind}` is not supported; send `text` or `image_url`.");
            Err(ApiError::invalid(at, message))
        }
    }
}

/// The model's own processor decides how many pixels it looks at: `detail` is
/// checked and has no effect.
fn picture(picture: &Value, at: &str) -> Result<Part, ApiError> {
    let detail = picture["detail"].as_str();
    let known = picture["detail"].is_null()
        || detail.is_some_and(|detail| ["auto", "low", "high"].contains(&detail));
    if !known {
        let message = "`detail` must be auto, low or high.";
        return Err(ApiError::invalid(format!("{at}.detail"), message));
    }
    let param = format!("{at}.url");
    match picture["url"].as_str() {
        Some(url) => Ok(Part::Picture(Source {
            param,
            url: url.trim().to_owned(),
        })),
        None => Err(ApiError::invalid(
            param,
            "must be an address or a `data:image/…;base64,…` URL.",
        )),
    }
}
