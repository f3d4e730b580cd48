//! Conversations with pictures in them.
//!
//! Follows `Qwen2_5_VLProcessor`: the chat template writes one
//! `<|vision_start|><|image_pad|><|vision_end|>` a picture, and the pad is then
//! repeated once for each of the picture's merged squares.

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::picture::Picture;
use super::processor::{ImageProcessor, Patches};
use crate::error::{ModelError, Result};
use crate::tokenizer::{ChatTokenizer, Role};

/// One message, its text and pictures in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VisionMessage {
    /// Who wrote it.
    pub role: Role,
    /// What it says and shows.
    #[serde(serialize_with = "as_template_content")]
    pub content: Vec<Part>,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Words.
    Text(String),
    /// A picture.
    Picture(Picture),
}

impl VisionMessage {
    /// A message of words alone.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: vec![Part::Text(text.into())],
        }
    }

    fn pictures(&self) -> impl Iterator<Item = &Picture> {
        self.content.iter().filter_map(|part| match part {
            Part::Picture(picture) => Some(picture),
            Part::Text(_) => None,
        })
    }
}

/// As templates expect it: a string, or a list where there are pictures.
fn as_template_content<S: Serializer>(parts: &[Part], serializer: S) -> Result<S::Ok, S::Error> {
    let words: Option<Vec<&str>> = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Picture(_) => None,
        })
        .collect();
    if let Some(words) = words {
        return serializer.serialize_str(&words.concat());
    }
    let mut list = serializer.serialize_seq(Some(parts.len()))?;
    for part in parts {
        list.serialize_element(&match part {
            Part::Text(text) => json!({"type": "text", "text": text}),
            Part::Picture(_) => json!({"type": "image"}),
        })?;
    }
    list.end()
}

/// What the model reads.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionPrompt {
    /// Ids, a picture's places among them.
    pub ids: Vec<u32>,
    /// The pictures.
    pub patches: Patches,
}

impl VisionPrompt {
    /// The prompt of `messages`, whose pictures stand at `image_token`.
    ///
    /// # Errors
    /// Those of the processor, the template and the tokenizer;
    /// [`ModelError::Request`] when the prompt has another number of places than
    /// of pictures, as when the mark of a picture was typed as text.
    pub fn new(
        messages: &[VisionMessage],
        tokenizer: &ChatTokenizer,
        processor: &ImageProcessor,
        image_token: u32,
    ) -> Result<Self> {
        let text = tokenizer.template()?.render_any(messages, true)?;
        let ids = tokenizer.encode(&text)?;
        let pictures: Vec<Picture> = messages
            .iter()
            .flat_map(VisionMessage::pictures)
            .cloned()
            .collect();
        let places = ids.iter().filter(|&&id| id == image_token).count();
        if places != pictures.len() {
            return Err(ModelError::Request {
                field: "messages",
                reason: format!(
                    "the prompt has {places} marks of a picture for {} pictures; take such marks out of the text",
                    pictures.len()
                ),
            });
        }
        let patches = processor.process(&pictures)?;
        let merge = processor.config().merge_size;
        let mut sizes = patches.image_grid_thw.iter().map(|grid| grid.merged(merge));
        let mut expanded = Vec::with_capacity(ids.len());
        for id in ids {
            let times = match id == image_token {
                true => sizes.next().unwrap_or(1),
                false => 1,
            };
            expanded.extend(std::iter::repeat_n(id, times));
        }
        Ok(Self {
            ids: expanded,
            patches,
        })
    }
}
