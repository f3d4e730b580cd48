//! A tokenizer for tests: bytes, a merge or two, two special tokens.

use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use super::{ChatTokenizer, byte_level};

/// One id a byte, `th` merged, `<|im_start|>` and `<|im_end|>` special.
pub(crate) fn byte_tokenizer() -> ChatTokenizer {
    let letters = (0..0x400)
        .filter_map(char::from_u32)
        .filter(|&c| byte_level::byte_of(c).is_some());
    let mut vocabulary: Vec<String> = letters.map(String::from).collect();
    vocabulary.push("th".to_owned());
    let vocabulary = vocabulary
        .into_iter()
        .enumerate()
        .map(|(id, token)| (token, id as u32))
        .collect::<std::collections::HashMap<_, _>>();
    let model = BPE::builder()
        .vocab_and_merges(
            vocabulary
                .into_iter()
                .collect::<tokenizers::models::bpe::Vocab>(),
            vec![("t".to_owned(), "h".to_owned())],
        )
        .build()
        .unwrap();
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    tokenizer.with_decoder(Some(ByteLevel::default()));
    tokenizer.add_special_tokens(&[
        AddedToken::from("<|im_start|>", true),
        AddedToken::from("<|im_end|>", true),
    ]);
    ChatTokenizer::new(tokenizer, None).unwrap()
}
