//! The tag grammar: how a model asks for a picture while it writes.
//!
//! A tag is `<imgen>`, a dictionary literal and `</imgen>`. The dictionary has
//! exactly the keys `source`, `description` and `params`, written as Python or
//! as JSON. [`TagReader`] reads a stream of any chunks into [`TagEvent`]s and
//! gives the same events however the stream was cut; [`write_tag`] writes.
//!
//! # What the reader does with flawed tags
//! - `<imgen>` without a `{` after it is plain text.
//! - A dictionary that is broken or not a valid call, but closed, is a tag
//!   whose `call` is the error.
//! - An **unclosed** tag is an invalid tag that ends where it provably stops
//!   being one: at the first character that cannot belong to it, at the next
//!   `<imgen>`, or, in a string left open, at the first blank line. What
//!   follows is read as usual, so later text and tags are kept.
//! - A tag above [`Limits::max_bytes`] is an invalid tag; what exceeds the
//!   limit is dropped up to its end (`</imgen>`, `<imgen>` or a blank line).
//!   It is the only case in which text is lost.
//! - Quotes that a model forgot to escape are text: a quote ends its string
//!   only if dictionary structure follows it.
//!
//! `<think>…</think>` outside of tags gives no event; without its end,
//! everything after it is thinking.
//!
//! Time is linear in the length of the stream: what a failed guess makes the
//! reader read again is paid from a budget that grows with the stream.

mod error;
mod literal;
mod markers;
mod reader;
#[cfg(test)]
mod tests;
mod validate;
mod value;
mod write;

pub use error::TagError;
pub use reader::TagReader;
pub use validate::{parse_call, validate_index};
pub use write::write_tag;

use crate::tool::ToolCall;

/// What opens a tag.
pub const OPEN: &str = "<imgen>";
/// What closes a tag.
pub const CLOSE: &str = "</imgen>";

/// Something read.
#[derive(Clone, Debug, PartialEq)]
pub enum TagEvent {
    /// Text outside of tags, to be appended to what came before.
    Text(String),
    /// A whole tag. `raw` is what stood between its ends, as written.
    Tag {
        raw: String,
        call: Result<ToolCall, TagError>,
    },
}

/// Bounds on one tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a tag, `<imgen>` included.
    pub max_bytes: usize,
    /// Nested containers; a valid call has 2.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 256 * 1024,
            max_depth: 16,
        }
    }
}

/// Reads a whole text at once; adjacent text is one event.
#[must_use]
pub fn read_all(text: &str) -> Vec<TagEvent> {
    let mut reader = TagReader::new(Limits::default());
    let mut events = Vec::new();
    for event in reader.push(text).into_iter().chain(reader.finish()) {
        match (events.last_mut(), event) {
            (Some(TagEvent::Text(last)), TagEvent::Text(more)) => last.push_str(&more),
            (_, event) => events.push(event),
        }
    }
    events
}
