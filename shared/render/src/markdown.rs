//! Untrusted Markdown to safe HTML.

use std::collections::HashSet;

use ammonia::Builder;
use comrak::nodes::NodeValue;
use comrak::{Arena, Options, format_html, parse_document};

/// Renders CommonMark with tables, strikethrough, task lists, footnotes and
/// bare links. Raw HTML is shown as nothing, pictures become links to
/// their address, and links lead only to `http`, `https` and `mailto`.
#[must_use]
pub fn markdown_to_html(markdown: &str) -> String {
    let options = options();
    let arena = Arena::new();
    let root = parse_document(&arena, markdown, &options);
    for node in root.descendants() {
        let mut data = node.data.borrow_mut();
        if let NodeValue::Image(link) = &data.value {
            // A remote picture would tell its server who reads the document.
            let link = link.clone();
            data.value = NodeValue::Link(link);
        }
    }
    let mut html = String::new();
    if format_html(root, &options, &mut html).is_err() {
        // Writing to a string does not fail; if it did, text is still safe.
        return ammonia::clean_text(markdown);
    }
    clean(&html)
}

fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    options.extension.tasklist = true;
    options.extension.footnotes = true;
    options.extension.autolink = true;
    options.render.r#unsafe = false;
    options
}

fn clean(html: &str) -> String {
    let mut builder = Builder::default();
    builder
        .rm_tags(["img", "map", "area", "figure", "figcaption"])
        .add_tags(["input"])
        .add_tag_attributes("input", ["type", "checked", "disabled"])
        .add_tag_attribute_values("td", "align", ["left", "center", "right"])
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .link_rel(Some("noopener noreferrer nofollow"))
        .id_prefix(Some("text-"));
    builder.clean(html).to_string()
}
