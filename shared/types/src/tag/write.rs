//! Writing a tag.

use super::{CLOSE, OPEN};
use crate::tool::{ToolCall, ToolRequest};

/// The tag of a call, in JSON on one line, as in
/// `<imgen>{"source": "search", "description": "…", "params": {"query": "…"}}</imgen>`.
/// [`super::TagReader`] reads back the same call.
#[must_use]
pub fn write_tag(call: &ToolCall) -> String {
    let params = match &call.request {
        ToolRequest::Search { query } => format!("\"query\": {}", quoted(query)),
        ToolRequest::Diffusion { prompt } => format!("\"prompt\": {}", quoted(prompt)),
        ToolRequest::Code { code } => format!("\"code\": {}", quoted(code)),
        ToolRequest::Edit { img_index, prompt } => {
            format!("\"img_index\": {img_index}, \"prompt\": {}", quoted(prompt))
        }
    };
    format!(
        "{OPEN}{{\"source\": \"{}\", \"description\": {}, \"params\": {{{params}}}}}{CLOSE}",
        call.kind(),
        quoted(&call.description),
    )
}

/// A JSON string. Tag marks inside are escaped, so that simple readers, which
/// look for `</imgen>` first, are not misled.
fn quoted(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted
        .replace(CLOSE, "\\u003c/imgen>")
        .replace(OPEN, "\\u003cimgen>")
}
