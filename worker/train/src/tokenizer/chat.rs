//! The demo policy's chat format. The template leaves system messages out: a
//! model of this size follows its training alone.

use tokenizers::Tokenizer;

use super::{ASSISTANT, END, USER};
use crate::corpus::Example;
use crate::error::{Result, TrainError};

/// The chat template, in Jinja.
pub const TEMPLATE: &str = include_str!("chat_template.jinja");

/// The prompt as the template renders it, up to the policy's turn. Each input
/// picture is a mark before the words, which follow a space so that a topic at
/// the very start has the same tokens as anywhere else.
pub fn prompt_text(prompt: &str, inputs: usize) -> String {
    let marks = " [image]".repeat(inputs);
    format!("{USER}{marks} {}{ASSISTANT}", prompt.trim())
}

/// Token ids of one example, and where the answer begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Prompt, answer and, when the answer is whole, the end.
    pub ids: Vec<u32>,
    /// Tokens of the prompt; those after it are learnt.
    pub prompt_tokens: usize,
}

/// Ids of `text`.
///
/// # Errors
/// [`TrainError::Tokenizer`].
pub fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    tokenizer
        .encode_fast(text, false)
        .map(|encoding| encoding.get_ids().to_vec())
        .map_err(|error| TrainError::Tokenizer(error.to_string()))
}

/// Prompt and answer are encoded apart, as they are when the policy writes.
///
/// # Errors
/// [`TrainError::Tokenizer`].
pub fn encode_example(tokenizer: &Tokenizer, example: &Example) -> Result<Encoded> {
    let mut ids = encode(tokenizer, &prompt_text(&example.prompt, example.inputs))?;
    let prompt_tokens = ids.len();
    let end = if example.partial { "" } else { END };
    ids.extend(encode(tokenizer, &format!("{}{end}", example.answer))?);
    Ok(Encoded { ids, prompt_tokens })
}
