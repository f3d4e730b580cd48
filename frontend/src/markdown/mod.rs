//! A model's Markdown as safe HTML.
//!
//! The text is untrusted. Only elements that [`writer`] itself emits reach the
//! page: raw HTML is shown as the text it is, links keep `http`, `https` and
//! `mailto` alone, and no picture is loaded from an address in the text.

mod flow;
mod link;
mod writer;

pub use flow::TextFlow;
pub use link::safe_link;
pub use writer::to_html;

use pulldown_cmark::Options;

/// The dialect: CommonMark with tables, strikethrough and task lists.
fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

/// Appends `text` with the five characters that mean something in HTML escaped.
pub fn escape_into(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
}
