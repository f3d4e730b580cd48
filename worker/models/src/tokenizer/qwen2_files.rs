//! A Qwen2 tokenizer that was saved without `tokenizer.json`, as Qwen-Image's is:
//! `vocab.json`, `merges.txt` and the added tokens of `tokenizer_config.json`.
//!
//! Follows `transformers/models/qwen2/tokenization_qwen2.py`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::unicode::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use crate::error::{ModelError, Result};
use crate::load::read_json;

/// The file of the vocabulary.
pub(super) const VOCABULARY: &str = "vocab.json";

/// Words, digits one by one, punctuation, and runs of white space.
const WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    added_tokens_decoder: BTreeMap<String, Added>,
}

#[derive(Deserialize)]
struct Added {
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    normalized: bool,
}

/// The tokenizer in the folder `dir`.
///
/// # Errors
/// [`ModelError::Io`] and [`ModelError::Malformed`], naming the file.
pub(super) fn read(dir: &Path) -> Result<Tokenizer> {
    let (vocabulary, merges) = (dir.join(VOCABULARY), dir.join("merges.txt"));
    let broken = |error: tokenizers::Error| ModelError::malformed(&vocabulary, error.to_string());
    let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy())
        .build()
        .map_err(broken)?;
    let mut tokenizer = Tokenizer::new(model);
    let words = SplitPattern::Regex(WORDS.to_owned());
    let split = Split::new(words, SplitDelimiterBehavior::Isolated, false).map_err(broken)?;
    let bytes = ByteLevel::new(false, true, false);
    tokenizer
        .with_normalizer(Some(NFC))
        .with_pre_tokenizer(Some(Sequence::new(vec![split.into(), bytes.into()])))
        .with_decoder(Some(ByteLevel::default()));

    let path = dir.join("tokenizer_config.json");
    let settings: Settings = read_json(&path)?;
    let mut added: Vec<(u32, Added)> = Vec::new();
    for (id, token) in settings.added_tokens_decoder {
        let number = id.parse().map_err(|_| {
            let reason = format!("`added_tokens_decoder`: `{id}` is no token's number");
            ModelError::malformed(&path, reason)
        })?;
        added.push((number, token));
    }
    // They are numbered as they are added.
    added.sort_by_key(|(id, _)| *id);
    for (id, token) in added {
        let content = token.content.clone();
        let entry = AddedToken::from(token.content, token.special)
            .lstrip(token.lstrip)
            .rstrip(token.rstrip)
            .single_word(token.single_word)
            .normalized(token.normalized);
        match token.special {
            true => tokenizer.add_special_tokens(&[entry]),
            false => tokenizer.add_tokens(&[entry]),
        };
        if tokenizer.token_to_id(&content) != Some(id) {
            let reason = format!(
                "`added_tokens_decoder`: `{content}` cannot be token {id}; the vocabulary does \
                 not end before it"
            );
            return Err(ModelError::malformed(&path, reason));
        }
    }
    Ok(tokenizer)
}
