//! A picture with its caption and where it came from, or an explained gap.

use std::fmt::Write as _;

use ammonia::clean_text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use illumine_types::document::{ImageBlock, ImageRef, Provenance};
use illumine_types::tool::ToolRequest;
use illumine_types::{Outcome, ToolCall};

use super::Pictures;

pub fn render(block: &ImageBlock, pictures: &Pictures) -> String {
    let caption = block
        .call
        .as_ref()
        .map_or("", |call| call.description.as_str());
    match &block.outcome {
        Outcome::Ready { image, provenance } => match pictures.get(&image.id) {
            Some(bytes) => picture(image, bytes, caption, block.call.as_ref(), provenance),
            None => gap(caption, "The picture's file is missing."),
        },
        Outcome::Failed { reason, .. } => gap(caption, reason),
        Outcome::Pending => gap(caption, "This picture was not finished."),
    }
}

fn picture(
    image: &ImageRef,
    bytes: &[u8],
    caption: &str,
    call: Option<&ToolCall>,
    provenance: &Provenance,
) -> String {
    let caption = clean_text(caption);
    // Only types that our tools make, never a text of the model's.
    let mime = match image.mime.as_str() {
        "image/png" | "image/jpeg" | "image/webp" | "image/gif" => image.mime.as_str(),
        _ => "application/octet-stream",
    };
    format!(
        "<figure>\n<img width=\"{}\" height=\"{}\" alt=\"{caption}\" src=\"data:{mime};base64,{}\">\n\
         <figcaption>{caption}{}</figcaption>\n</figure>\n",
        image.width,
        image.height,
        STANDARD.encode(bytes),
        origin(call, provenance),
    )
}

fn gap(caption: &str, reason: &str) -> String {
    let caption = clean_text(caption);
    let label = if caption.is_empty() {
        "A picture".to_owned()
    } else {
        caption
    };
    format!(
        "<figure class=\"gap\" role=\"note\">\n<p><strong>{label}</strong> could not be drawn.</p>\n<p>{}</p>\n</figure>\n",
        clean_text(reason)
    )
}

fn origin(call: Option<&ToolCall>, provenance: &Provenance) -> String {
    let mut rows = String::new();
    let mut row = |name: &str, value: &str| {
        let _ = write!(rows, "<dt>{name}</dt><dd>{}</dd>", clean_text(value));
    };
    row(
        "Tool",
        &format!("{} ({})", provenance.tool, provenance.backend),
    );
    match call.map(|call| &call.request) {
        Some(ToolRequest::Search { query }) => row("Query", query),
        Some(ToolRequest::Diffusion { prompt } | ToolRequest::Edit { prompt, .. }) => {
            row("Prompt", prompt)
        }
        Some(ToolRequest::Code { .. }) | None => {}
    }
    if let Some(model) = &provenance.model {
        row("Model", model);
    }
    if let Some(seed) = provenance.seed {
        row("Seed", &seed.to_string());
    }
    if let Some(parent) = &provenance.parent {
        row("Made from", &format!("picture {}", parent.index + 1));
    }
    if let Some(source) = &provenance.source {
        let fields = [
            ("Title", &source.title),
            ("Author", &source.author),
            ("Licence", &source.license),
            ("Page", &source.page_url),
            ("File", &source.file_url),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                row(name, value);
            }
        }
    }
    let program = provenance
        .program
        .as_ref()
        .map_or_else(String::new, |code| {
            format!("<pre><code>{}</code></pre>", clean_text(code))
        });
    format!("<details><summary>Where it came from</summary><dl>{rows}</dl>{program}</details>")
}
