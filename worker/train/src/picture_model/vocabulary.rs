//! The prompt's tokenizer: a byte-level BPE over captions.
//!
//! The fixed beginnings and the end of the reference's chat are one token each, so
//! that a small model need not read them word by word; case is not told apart.

use std::path::Path;

use illumine_models::qwen_image::prompt::Template;
use illumine_models::tokenizer::ChatTokenizer;
use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::normalizers::{Lowercase, NormalizerWrapper};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::tokenizer::{AddedToken, Tokenizer, TokenizerBuilder};

use crate::error::{Result, TrainError};
use crate::painter::Painter;

/// Fills a batch.
pub const PAD_ID: u32 = 0;
/// Stands for a picture.
pub const IMAGE_ID: u32 = 2;
/// Of films, which are not supported.
pub const VIDEO_ID: u32 = 4;

const MARKS: [&str; 5] = [
    "<|pad|>",
    "<|vision_start|>",
    "<|image_pad|>",
    "<|vision_end|>",
    "<|video_pad|>",
];
/// Marks, the beginnings of two chats, their end, and the bytes.
pub const LEAST: usize = MARKS.len() + 3 + 256;
/// The beginning of a chat is one token.
pub const DROPPED_TOKENS: usize = 1;

/// Captions and instructions to learn merges from.
const EXAMPLES: u64 = 6000;

fn failed(error: impl ToString) -> TrainError {
    TrainError::Tokenizer(error.to_string())
}

/// What stands before and after the prompt in the chats, in the order of their ids.
fn frames() -> Vec<String> {
    let mut frames = Vec::new();
    for template in [Template::Generation, Template::Edit] {
        let chat = template.chat(MARKER, 0);
        if let Some((before, after)) = chat.split_once(MARKER) {
            frames.push(before.to_owned());
            frames.push(after.to_owned());
        }
    }
    frames.sort();
    frames.dedup();
    frames
}

/// In no template.
const MARKER: &str = "\u{1}";

/// Trains a tokenizer of `size` tokens on captions and instructions of `painter`.
///
/// # Errors
/// [`TrainError::Tokenizer`] when the trainer fails.
pub fn train(painter: &Painter, size: usize) -> Result<Tokenizer> {
    let special: Vec<AddedToken> = MARKS
        .into_iter()
        .map(str::to_owned)
        .chain(frames())
        .map(|text| AddedToken::from(text, true))
        .collect();
    let mut trainer = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(size)
        .min_frequency(2)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    // The first word is the same token as in the middle of a sentence.
    let byte_level = ByteLevel::new(true, true, true);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(Some(NormalizerWrapper::Lowercase(Lowercase)))
        .with_pre_tokenizer(Some(byte_level))
        .with_post_processor(Some(byte_level))
        .with_decoder(Some(byte_level))
        .build()
        .map_err(failed)?;
    let texts = (0..EXAMPLES).flat_map(|index| {
        [
            painter.example(index).caption,
            painter.edit(index).instruction,
        ]
    });
    tokenizer.train(&mut trainer, texts).map_err(failed)?;
    let json = tokenizer.to_string(false).map_err(failed)?;
    json.parse().map_err(failed)
}

/// Writes `tokenizer.json` and `tokenizer_config.json`, as `AutoTokenizer` reads them.
///
/// # Errors
/// [`TrainError::Io`] or [`TrainError::Tokenizer`].
pub fn save(tokenizer: &Tokenizer, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| TrainError::io(folder, error))?;
    let path = folder.join("tokenizer.json");
    tokenizer.save(path, true).map_err(failed)?;
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": MARKS[PAD_ID as usize],
        "eos_token": MARKS[PAD_ID as usize],
        "clean_up_tokenization_spaces": false,
        "model_max_length": 1024,
    });
    let path = folder.join("tokenizer_config.json");
    let text = serde_json::to_string_pretty(&config).map_err(failed)? + "\n";
    std::fs::write(&path, text).map_err(|error| TrainError::io(path, error))
}

/// Ids of a prompt in its chat.
///
/// # Errors
/// [`TrainError::Tokenizer`], also for ids other than the model's.
pub fn ids(
    tokenizer: &ChatTokenizer,
    template: Template,
    prompt: &str,
    vectors: usize,
) -> Result<Vec<i64>> {
    let pictures = usize::from(template != Template::Generation);
    let ids = tokenizer.encode(&template.chat(prompt, pictures))?;
    let mut expanded = Vec::with_capacity(ids.len() + vectors);
    for id in ids {
        let times = if id == IMAGE_ID { vectors } else { 1 };
        expanded.extend(std::iter::repeat_n(i64::from(id), times));
    }
    Ok(expanded)
}

/// [`train`], checked, as the model reads it.
///
/// # Errors
/// [`TrainError::Tokenizer`] when the marks did not get their ids.
pub fn chat_tokenizer(tokenizer: Tokenizer) -> Result<ChatTokenizer> {
    let tokenizer = ChatTokenizer::new(tokenizer, None)?;
    for (id, mark) in MARKS.iter().enumerate() {
        if tokenizer.token_id(mark) != Some(id as u32) {
            return Err(failed(format!("`{mark}` is not token {id}")));
        }
    }
    Ok(tokenizer)
}
