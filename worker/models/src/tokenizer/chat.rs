//! `tokenizer.json` with its chat template.

use std::path::Path;

use tokenizers::{DecoderWrapper, Tokenizer};

use super::stream::StreamDecoder;
use super::template::{ChatMessage, ChatTemplate};
use super::{byte_level, qwen2_files};
use crate::error::{ModelError, Result};

/// A model's tokenizer.
#[derive(Debug)]
pub struct ChatTokenizer {
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    /// Bytes of each id; none for special tokens and gaps.
    token_bytes: Vec<Option<Box<[u8]>>>,
}

impl ChatTokenizer {
    /// Reads `tokenizer.json`, or the older files of a Qwen2 tokenizer, and the chat
    /// template of the model folder `dir`.
    ///
    /// # Errors
    /// [`ModelError::Io`], [`ModelError::Malformed`], [`ModelError::ChatTemplate`],
    /// and [`ModelError::Tokenizer`] when the vocabulary is not byte-level.
    pub fn from_folder(dir: &Path) -> Result<Self> {
        let path = dir.join("tokenizer.json");
        if !path.is_file() && dir.join(qwen2_files::VOCABULARY).is_file() {
            return Self::new(qwen2_files::read(dir)?, ChatTemplate::from_folder(dir)?);
        }
        let bytes = std::fs::read(&path).map_err(|source| ModelError::io(&path, source))?;
        let tokenizer = Tokenizer::from_bytes(bytes)
            .map_err(|error| ModelError::malformed(&path, error.to_string()))?;
        Self::new(tokenizer, ChatTemplate::from_folder(dir)?)
    }

    /// A tokenizer made elsewhere, as training does.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] when its vocabulary is not byte-level.
    pub fn new(tokenizer: Tokenizer, template: Option<ChatTemplate>) -> Result<Self> {
        if !matches!(tokenizer.get_decoder(), Some(DecoderWrapper::ByteLevel(_))) {
            return Err(ModelError::Tokenizer(
                "`decoder`: only ByteLevel is supported".to_owned(),
            ));
        }
        let token_bytes = token_bytes(&tokenizer);
        Ok(Self {
            tokenizer,
            template,
            token_bytes,
        })
    }

    /// Ids of `text`. Special tokens written in the text become themselves.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Text of `ids`, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut stream = self.stream();
        let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
        text += &stream.finish();
        text
    }

    /// A decoder for the ids of one generation.
    pub fn stream(&self) -> StreamDecoder<'_> {
        StreamDecoder::new(self)
    }

    /// The prompt text for `messages`; see [`ChatTemplate::render`].
    ///
    /// # Errors
    /// [`ModelError::ChatTemplate`], also when the folder has no template.
    pub fn render_chat(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<String> {
        self.template()?.render(messages, add_generation_prompt)
    }

    /// The chat template.
    ///
    /// # Errors
    /// [`ModelError::ChatTemplate`] when the folder has none.
    pub fn template(&self) -> Result<&ChatTemplate> {
        self.template.as_ref().ok_or_else(|| {
            ModelError::ChatTemplate(
                "the model folder has no chat_template.jinja and no chat_template.json, and no `chat_template` in tokenizer_config.json".to_owned(),
            )
        })
    }

    /// The prompt's ids for `messages`.
    ///
    /// # Errors
    /// As [`Self::render_chat`] and [`Self::encode`].
    pub fn encode_chat(
        &self,
        messages: &[ChatMessage],
        add_generation_prompt: bool,
    ) -> Result<Vec<u32>> {
        self.encode(&self.render_chat(messages, add_generation_prompt)?)
    }

    /// Whether the folder has a chat template.
    pub fn has_chat_template(&self) -> bool {
        self.template.is_some()
    }

    /// The id of a vocabulary entry, such as `<|im_end|>`.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Entries of the vocabulary, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// The bytes that `id` stands for; none for special and unknown tokens.
    pub fn token_bytes(&self, id: u32) -> Option<&[u8]> {
        self.token_bytes.get(id as usize)?.as_deref()
    }

    /// The underlying tokenizer.
    pub fn inner(&self) -> &Tokenizer {
        &self.tokenizer
    }
}

fn token_bytes(tokenizer: &Tokenizer) -> Vec<Option<Box<[u8]>>> {
    let added = tokenizer.get_added_tokens_decoder();
    let vocabulary = tokenizer.get_vocab(true);
    let size = vocabulary.values().max().map_or(0, |&id| id as usize + 1);
    let mut table = vec![None; size];
    for (token, id) in vocabulary {
        let bytes = match added.get(&id) {
            Some(added) if added.special => None,
            Some(added) => Some(added.content.clone().into_bytes()),
            None => Some(byte_level::bytes_of(&token).unwrap_or_else(|| token.into_bytes())),
        };
        if let Some(place) = table.get_mut(id as usize) {
            *place = bytes.map(Vec::into_boxed_slice);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::tokenizer::testing::byte_tokenizer;

    #[test]
    fn special_tokens_encode_to_one_id_and_give_no_text() {
        let tokenizer = byte_tokenizer();
        let end = tokenizer.token_id("<|im_end|>").unwrap();
        let ids = tokenizer.encode("a<|im_end|>b").unwrap();
        assert!(ids.contains(&end));
        assert_eq!(tokenizer.decode(&ids), "ab");
    }

    #[test]
    fn unknown_ids_give_no_text() {
        assert_eq!(byte_tokenizer().decode(&[9_999_999]), "");
    }

    #[test]
    fn streamed_text_equals_the_reference_decoder_and_splits_no_character() {
        let tokenizer = byte_tokenizer();
        let text = "Café 漢字 🦜👩‍👩‍👧 done\n";
        let ids = tokenizer.encode(text).unwrap();
        assert!(ids.len() > text.chars().count(), "characters span tokens");
        let mut stream = tokenizer.stream();
        let mut streamed = String::new();
        for &id in &ids {
            let delta = stream.push(id);
            assert!(!delta.contains('\u{FFFD}'));
            streamed += &delta;
        }
        assert_eq!(streamed, text);
        assert_eq!(stream.finish(), "");
        assert_eq!(tokenizer.inner().decode(&ids, true).unwrap(), text);
    }

    proptest! {
        #[test]
        fn any_text_round_trips_through_ids(text in "\\PC{0,60}") {
            let tokenizer = byte_tokenizer();
            let ids = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(tokenizer.decode(&ids), text);
        }
    }
}
