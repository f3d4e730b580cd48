//! An answer that is to be scored, against the limits.

use std::collections::BTreeSet;

use illumine_types::capability::Limits;
use illumine_types::reward::RewardRequest;

use crate::error::{ApiError, Result};

/// More than the longest answer of any policy here has.
const ANSWER_CHARACTERS: usize = 400_000;
/// More than a document may have.
const PICTURES: i64 = 1_000;

/// Checks all values that need no other service.
///
/// # Errors
/// `invalid_value` with the field.
pub fn reward(asked: &RewardRequest, limits: &Limits) -> Result<()> {
    if asked.question.trim().is_empty() {
        return Err(ApiError::value("question", "say what was asked"));
    }
    at_most("question", &asked.question, limits.prompt_characters)?;
    at_most("answer", &asked.answer, ANSWER_CHARACTERS)?;
    if !(-1..=PICTURES).contains(&asked.image_num) {
        let detail = format!(
            "must be −1 (none), 0 (the writer decides), 99 (at least one), or a number of pictures up to {PICTURES}"
        );
        return Err(ApiError::value("image_num", detail));
    }
    let different: BTreeSet<_> = asked.tools.iter().collect();
    if different.len() != asked.tools.len() {
        return Err(ApiError::value("tools", "a tool is named twice"));
    }
    if asked.images.len() > limits.images {
        let detail = format!("at most {} pictures are taken", limits.images);
        return Err(ApiError::value("images", detail));
    }
    asked.factors.validate().map_err(|error| {
        let field = error.field.replacen("reward", "factors", 1);
        ApiError::value(field, error.reason)
    })
}

fn at_most(field: &str, text: &str, limit: usize) -> Result<()> {
    let characters = text.chars().count();
    if characters <= limit {
        return Ok(());
    }
    let detail = format!("{characters} characters are too many: at most {limit}");
    Err(ApiError::value(field, detail))
}
