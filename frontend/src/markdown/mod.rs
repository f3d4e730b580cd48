//! A model's Markdown as safe HTML.
//!
//! The text is untrusted. Only elements that this module itself writes reach
//! the page: raw HTML is shown as the text it is, links keep `http`, `https`
//! and `mailto` alone, and no picture is loaded from an address in the text.
//!
//! The dialect is that of CommonMark 0.31 with tables, strikethrough and task
//! lists, without raw HTML and link reference definitions. It is read by a
//! parser of our own because a browser downloads it: the usual ones weigh a
//! sixth of the whole portal, much of it a table of 2,125 character names.

#[cfg(test)]
mod agreement;
mod block;
mod emphasis;
mod entity;
mod flow;
mod inline;
mod link;
mod list;
mod table;
mod writer;

pub use flow::TextFlow;
pub use link::safe_link;
pub use writer::to_html;

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
