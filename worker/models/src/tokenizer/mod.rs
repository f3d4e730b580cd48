//! Text to token ids and back, and the chat template.
//!
//! [`ChatTokenizer`] reads `tokenizer.json` (byte-level BPE, as Qwen uses) and
//! the chat template of a model folder. [`StreamDecoder`] turns ids back into
//! text one at a time and never splits a character.

mod byte_level;
mod chat;
mod python_json;
mod qwen2_files;
mod stream;
mod template;
#[cfg(test)]
pub(crate) mod testing;

/// The files of a folder that a [`ChatTokenizer`] may be read from.
pub const FILES: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
];

pub use chat::ChatTokenizer;
pub use stream::{StreamDecoder, Utf8Stream};
pub use template::{ChatMessage, ChatTemplate, Role};
