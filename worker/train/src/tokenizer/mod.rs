//! A byte-level BPE trained on a corpus, with the chat format of the demo policy.
//!
//! Source: Sennrich et al., *Neural Machine Translation of Rare Words with
//! Subword Units* (arXiv:1508.07909), over bytes as in GPT-2, so that no text is
//! unknown.

pub mod chat;

use std::path::Path;

use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::tokenizer::{AddedToken, Tokenizer, TokenizerBuilder};

use crate::error::{Result, TrainError};

/// Ends an answer.
pub const END: &str = "<|end|>";
/// Begins the user's turn.
pub const USER: &str = "<|user|>";
/// Begins the policy's turn.
pub const ASSISTANT: &str = "<|assistant|>";
/// Fills a batch.
pub const PAD: &str = "<|pad|>";
/// One token each: every picture needs them.
const TAGS: [&str; 2] = ["<imgen>", "</imgen>"];

fn failed(error: impl ToString) -> TrainError {
    TrainError::Tokenizer(error.to_string())
}

/// Trains a tokenizer of `vocab_size` tokens: four special ones (ids 0–3), the
/// 256 bytes, merges, and the two tag marks at the end.
///
/// # Errors
/// [`TrainError::Tokenizer`] when the trainer fails.
pub fn train(texts: impl Iterator<Item = String> + Send, vocab_size: usize) -> Result<Tokenizer> {
    let special = [END, USER, ASSISTANT, PAD].map(|text| AddedToken::from(text, true));
    let mut trainer = BpeTrainerBuilder::new()
        .show_progress(false)
        .vocab_size(vocab_size.saturating_sub(TAGS.len()))
        .min_frequency(2)
        .special_tokens(special.to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<NormalizerWrapper>)
        .with_pre_tokenizer(Some(byte_level))
        .with_post_processor(Some(byte_level))
        .with_decoder(Some(byte_level))
        .build()
        .map_err(failed)?;
    tokenizer.train(&mut trainer, texts).map_err(failed)?;
    tokenizer.add_tokens(&TAGS.map(|text| AddedToken::from(text, false)));
    let json = tokenizer.to_string(false).map_err(failed)?;
    json.parse().map_err(failed)
}

/// Writes `tokenizer.json` and `tokenizer_config.json`, as `AutoTokenizer` reads them.
///
/// # Errors
/// [`TrainError::Io`] or [`TrainError::Tokenizer`].
pub fn save(tokenizer: &Tokenizer, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| TrainError::io(folder, error))?;
    tokenizer
        .save(folder.join("tokenizer.json"), true)
        .map_err(failed)?;
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "additional_special_tokens": [USER, ASSISTANT],
        "clean_up_tokenization_spaces": false,
        "model_max_length": 2048,
        "chat_template": chat::TEMPLATE,
    });
    let path = folder.join("tokenizer_config.json");
    let text = serde_json::to_string_pretty(&config).map_err(failed)? + "\n";
    std::fs::write(&path, text).map_err(|error| TrainError::io(path, error))
}

/// Reads `tokenizer.json` of `folder`.
///
/// # Errors
/// [`TrainError::Tokenizer`] when it is missing or malformed.
pub fn load(folder: &Path) -> Result<Tokenizer> {
    let path = folder.join("tokenizer.json");
    Tokenizer::from_file(&path)
        .map_err(|error| TrainError::Tokenizer(format!("{}: {error}", path.display())))
}
