//! One HTML file with everything in it.

mod figure;

use std::collections::HashMap;
use std::fmt::Write as _;

use ammonia::clean_text;
use bytes::Bytes;
use illumine_types::{BlobKey, Block, Document};

use crate::markdown::markdown_to_html;

/// Bytes of the document's pictures, by their id.
pub type Pictures = HashMap<BlobKey, Bytes>;

const STYLE: &str = include_str!("style.css");

/// Neither scripts nor the network, whatever the text says.
const CONTENT_POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Renders the page. A picture whose bytes are missing is shown as an explained
/// gap.
#[must_use]
pub fn render_html(document: &Document, pictures: &Pictures) -> String {
    let mut page = String::new();
    let title = clean_text(&document.title);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"und\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{CONTENT_POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"generator\" content=\"Illumine\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    for block in &document.blocks {
        match block {
            Block::Text { markdown } => {
                let _ = writeln!(page, "<section>\n{}</section>", markdown_to_html(markdown));
            }
            Block::Image(image) => page.push_str(&figure::render(image, pictures)),
        }
    }
    if let Some(problem) = &document.interruption {
        let _ = writeln!(
            page,
            "<p class=\"notice\" role=\"note\"><strong>{}.</strong> {}</p>",
            clean_text(&problem.title),
            clean_text(&problem.detail)
        );
    }
    for remark in &document.remarks {
        let remark = clean_text(remark);
        let _ = writeln!(page, "<p class=\"notice\" role=\"note\">{remark}</p>");
    }
    let _ = write!(page, "</main>\n{}</body>\n</html>\n", footer(document));
    page
}

fn footer(document: &Document) -> String {
    let drawn = document
        .images()
        .filter(|image| matches!(image.outcome, illumine_types::Outcome::Ready { .. }))
        .count();
    format!(
        "<footer>\n<details><summary>About this document</summary>\n<dl>\
         <dt>Asked</dt><dd>{}</dd><dt>Written by</dt><dd>{}</dd>\
         <dt>Written on</dt><dd>{}</dd><dt>Pictures</dt><dd>{drawn} of {}</dd></dl>\n</details>\n</footer>\n",
        clean_text(&document.prompt),
        clean_text(&document.policy),
        document.created_at.format("%Y-%m-%d %H:%M UTC"),
        document.images().count(),
    )
}
