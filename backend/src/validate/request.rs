//! A generation's values, against the limits.

use std::collections::BTreeSet;

use illumine_types::api::{GenerationOptions, GenerationRequest, ImageOptions};
use illumine_types::capability::Limits;
use url::Url;

use crate::error::{ApiError, Result};

const WEBHOOK_BYTES: usize = 2_048;
const TITLE_CHARACTERS: usize = 80;

/// Checks all values that need no other service.
///
/// # Errors
/// `invalid_value` with the field.
pub fn check(request: &GenerationRequest, limits: &Limits) -> Result<()> {
    prompt(&request.prompt, limits)?;
    if request.images.len() > limits.images {
        let detail = format!("at most {} pictures are taken", limits.images);
        return Err(ApiError::value("images", detail));
    }
    options(&request.options, limits)?;
    match &request.webhook {
        Some(address) => webhook(address),
        None => Ok(()),
    }
}

fn prompt(prompt: &str, limits: &Limits) -> Result<()> {
    if prompt.trim().is_empty() {
        return Err(ApiError::value(
            "prompt",
            "say what the document shall be about",
        ));
    }
    let characters = prompt.chars().count();
    if characters > limits.prompt_characters {
        let detail = format!(
            "{characters} characters are too many: at most {}",
            limits.prompt_characters
        );
        return Err(ApiError::value("prompt", detail));
    }
    Ok(())
}

fn options(options: &GenerationOptions, limits: &Limits) -> Result<()> {
    within(
        "options.max_tokens",
        options.max_tokens,
        1,
        limits.max_tokens,
    )?;
    within("options.temperature", options.temperature, 0.0, 2.0)?;
    match options.top_p {
        Some(top_p) if !(top_p > 0.0 && top_p <= 1.0) => {
            return Err(ApiError::value(
                "options.top_p",
                "must be above 0 and at most 1",
            ));
        }
        _ => {}
    }
    within("options.samples", options.samples, 1, 8)?;
    if let Some(tools) = &options.tools {
        let different: BTreeSet<_> = tools.iter().collect();
        if different.len() != tools.len() {
            return Err(ApiError::value("options.tools", "a tool is named twice"));
        }
    }
    image(&options.image)
}

fn image(image: &ImageOptions) -> Result<()> {
    within("options.image.width", image.width, 64, 4096)?;
    within("options.image.height", image.height, 64, 4096)?;
    within("options.image.steps", image.steps, 1, 200)?;
    within("options.image.guidance", image.guidance, 0.0, 30.0)
}

/// Not-a-number is in no range.
fn within<T>(field: &str, value: Option<T>, low: T, high: T) -> Result<()>
where
    T: PartialOrd + std::fmt::Display + Copy,
{
    match value {
        Some(value) if !(value >= low && value <= high) => Err(ApiError::value(
            field,
            format!("must be from {low} to {high}"),
        )),
        _ => Ok(()),
    }
}

fn webhook(address: &str) -> Result<()> {
    let wrong = |detail: &str| Err(ApiError::value("webhook", detail));
    if address.len() > WEBHOOK_BYTES {
        return wrong("the address is too long");
    }
    let Ok(url) = Url::parse(address) else {
        return wrong("expected an http or https address");
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return wrong("expected an http or https address");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("an address with a user name or password is not taken");
    }
    Ok(())
}

/// The prompt's first words, on one line.
#[must_use]
pub fn title(prompt: &str) -> String {
    let line = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TITLE_CHARACTERS {
        return line;
    }
    let start: String = line.chars().take(TITLE_CHARACTERS - 1).collect();
    let whole_words = start
        .rsplit_once(' ')
        .map_or(start.as_str(), |(words, _)| words);
    format!("{whole_words}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_one_short_line() {
        assert_eq!(title("  A\n\nreport \t on owls "), "A report on owls");
        let long = title(&"word ".repeat(100));
        assert!(
            long.chars().count() <= TITLE_CHARACTERS && long.ends_with("word…"),
            "{long}"
        );
        let solid = title(&"x".repeat(500));
        assert_eq!(solid.chars().count(), TITLE_CHARACTERS);
    }
}
