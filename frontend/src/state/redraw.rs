//! Drawing one picture again: the form.

use illumine_types::ToolCall;
use illumine_types::api::RedrawRequest;
use illumine_types::tool::ToolRequest;
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
}
