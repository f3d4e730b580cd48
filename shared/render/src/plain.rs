//! Markdown with pictures by name.

use illumine_types::document::{ImageBlock, ImageRef};
use illumine_types::{Block, Document, Outcome};

/// Renders Markdown; `path` names a picture's file relative to the text.
/// The model's own Markdown is kept as it is: whoever shows it must clean it.
#[must_use]
pub fn render_markdown(document: &Document, path: impl Fn(&ImageRef) -> String) -> String {
    let mut parts: Vec<String> = Vec::new();
    for block in &document.blocks {
        match block {
            Block::Text { markdown } => parts.push(markdown.trim().to_owned()),
            Block::Image(image) => parts.push(figure(image, &path)),
        }
    }
    if let Some(problem) = &document.interruption {
        parts.push(format!(
            "> **{}.** {}",
            problem.title,
            one_line(&problem.detail)
        ));
    }
    let remarks = document.remarks.iter();
    parts.extend(remarks.map(|remark| format!("> {}", one_line(remark))));
    parts.retain(|part| !part.is_empty());
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}

fn figure(block: &ImageBlock, path: &impl Fn(&ImageRef) -> String) -> String {
    let caption = block.call.as_ref().map_or_else(
        || "A picture".to_owned(),
        |call| one_line(&call.description),
    );
    match &block.outcome {
        Outcome::Ready { image, .. } => format!(
            "![{}]({})\n\n*{caption}*",
            bracketless(&caption),
            path(image)
        ),
        Outcome::Failed { reason, .. } => {
            format!("> *{caption}* could not be drawn: {}", one_line(reason))
        }
        Outcome::Pending => format!("> *{caption}* was not finished."),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn bracketless(text: &str) -> String {
    text.replace('[', "(").replace(']', ")")
}
