//! Drawing one picture again: the form, and when a new version has come.

use illumine_types::api::RedrawRequest;
use illumine_types::document::ImageBlock;
use illumine_types::tool::ToolRequest;
use illumine_types::{Document, Outcome, ToolCall};
use serde_json::json;

/// The words that a person may change before a picture is drawn again.
pub fn editable_words(call: &ToolCall) -> &str {
    match &call.request {
        ToolRequest::Search { query } => query,
        ToolRequest::Diffusion { prompt } | ToolRequest::Edit { prompt, .. } => prompt,
        ToolRequest::Code { code } => code,
    }
}

/// What those words are called.
pub const fn words_label(request: &ToolRequest) -> &'static str {
    match request {
        ToolRequest::Search { .. } => "Search for",
        ToolRequest::Diffusion { .. } => "Prompt",
        ToolRequest::Edit { .. } => "Change",
        ToolRequest::Code { .. } => "Python program",
    }
}

/// The request for a picture with these words and this seed. Unchanged words
/// are left out.
///
/// # Errors
/// In words, for the person who filled the form.
pub fn request(call: &ToolCall, words: &str, seed: &str) -> Result<RedrawRequest, String> {
    let words = words.trim_end();
    if words.trim().is_empty() {
        return Err(format!("“{}” is empty.", words_label(&call.request)));
    }
    let seed = match seed.trim() {
        "" => None,
        text => Some(
            text.parse::<u64>()
                .map_err(|_| "The seed is a whole number, 0 or more.".to_owned())?,
        ),
    };
    let params = (words != editable_words(call).trim_end()).then(|| match &call.request {
        ToolRequest::Search { .. } => json!({ "query": words }),
        ToolRequest::Diffusion { .. } => json!({ "prompt": words }),
        ToolRequest::Edit { img_index, .. } => json!({ "img_index": img_index, "prompt": words }),
        ToolRequest::Code { .. } => json!({ "code": words }),
    });
    Ok(RedrawRequest { params, seed })
}

/// A redraw under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Redraw {
    /// The picture before.
    pub before: ImageBlock,
    /// The document's version when it was asked for.
    pub version: u32,
}

/// Which of the redraws under way this version of the document settles: the
/// picture changed, or there are as many new versions as redraws.
pub fn settled(under_way: &[Redraw], document: &Document) -> Vec<usize> {
    let enough = |redraw: &Redraw| {
        let new_versions = document.version.saturating_sub(redraw.version);
        usize::try_from(new_versions).is_ok_and(|n| n >= under_way.len())
    };
    under_way
        .iter()
        .filter(|redraw| {
            document
                .images()
                .find(|image| image.index == redraw.before.index)
                .is_none_or(|image| {
                    let pending = matches!(image.outcome, Outcome::Pending);
                    let newer = document.version > redraw.version;
                    newer && !pending && (image.outcome != redraw.before.outcome || enough(redraw))
                })
        })
        .map(|redraw| redraw.before.index)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit() -> ToolCall {
        ToolCall {
            request: ToolRequest::Edit {
                img_index: 2,
                prompt: "make it night".into(),
            },
            description: "Night".into(),
        }
    }

    #[test]
    fn unchanged_words_are_left_out() {
        let same = request(&edit(), "make it night ", "").unwrap();
        assert_eq!(same, RedrawRequest::default());
    }

    #[test]
    fn changed_words_keep_the_rest_of_the_call() {
        let new = request(&edit(), "make it snowy", " 7 ").unwrap();
        assert_eq!(
            new.params,
            Some(json!({"img_index": 2, "prompt": "make it snowy"}))
        );
        assert_eq!(new.seed, Some(7));
    }

    #[test]
    fn mistakes_are_said_in_words() {
        assert!(request(&edit(), "  ", "").unwrap_err().contains("Change"));
        assert!(request(&edit(), "x", "-1").unwrap_err().contains("seed"));
    }

    fn image(index: usize, code: &str) -> ImageBlock {
        ImageBlock {
            index,
            call: Some(edit()),
            raw: String::new(),
            outcome: Outcome::Failed {
                code: code.into(),
                reason: String::new(),
            },
        }
    }

    fn version(version: u32, images: [ImageBlock; 2]) -> Document {
        serde_json::from_value(json!({
            "id": "gen_01J9ZD1N7H0000000000000000", "title": "", "prompt": "",
            "blocks": images.map(illumine_types::Block::Image),
            "tools": illumine_types::tool::ToolStats::default(), "policy": "",
            "usage": {"prompt_tokens": 0, "completion_tokens": 0},
            "timings": {"queued_ms": 0, "writing_ms": 0, "total_ms": 0},
            "version": version, "created_at": "2026-01-01T00:00:00Z"
        }))
        .unwrap()
    }

    #[test]
    fn each_redraw_waits_for_its_own_picture() {
        let under_way = [0, 1].map(|index| Redraw {
            before: image(index, "old"),
            version: 3,
        });
        let same = version(3, [image(0, "old"), image(1, "old")]);
        assert!(settled(&under_way, &same).is_empty());
        let second = version(4, [image(0, "old"), image(1, "new")]);
        assert_eq!(settled(&under_way, &second), [1]);
        let all = version(5, [image(0, "old"), image(1, "new")]);
        assert_eq!(settled(&under_way, &all), [0, 1]);
    }
}
