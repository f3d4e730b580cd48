//! Bytes and ids to text, incrementally.

use super::ChatTokenizer;

/// An incremental UTF-8 decoder: gives characters as soon as they are whole and
/// holds back the first bytes of one that is not.
///
/// What it gives in all equals [`String::from_utf8_lossy`] of all it was fed.
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    /// The first bytes, at most three, of a character still incomplete.
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Feeds `bytes`; returns the characters that are whole now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(bad) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[bad..];
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// Ends the stream: bytes still held back become U+FFFD.
    pub fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

/// Turns the ids of one generation into text as they come.
///
/// Special tokens (`<|im_end|>` and the like) give no text.
#[derive(Clone, Debug)]
pub struct StreamDecoder<'a> {
    tokenizer: &'a ChatTokenizer,
    utf8: Utf8Stream,
}

impl<'a> StreamDecoder<'a> {
    pub(super) fn new(tokenizer: &'a ChatTokenizer) -> Self {
        Self {
            tokenizer,
            utf8: Utf8Stream::default(),
        }
    }

    /// The text that `id` completes, often empty inside a multi-byte character.
    pub fn push(&mut self, id: u32) -> String {
        match self.tokenizer.token_bytes(id) {
            Some(bytes) => self.utf8.push(bytes),
            None => String::new(),
        }
    }

    /// The rest: U+FFFD when the stream stopped inside a character.
    pub fn finish(&mut self) -> String {
        self.utf8.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_two(bytes: &[u8], at: usize) -> String {
        let mut stream = Utf8Stream::default();
        let mut text = stream.push(&bytes[..at]);
        text += &stream.push(&bytes[at..]);
        text + &stream.finish()
    }

    #[test]
    fn every_split_of_multi_byte_text_gives_the_text() {
        let text = "aé漢字🦜👩‍👩‍👧 ßن\u{FFFD}z";
        let bytes = text.as_bytes();
        for at in 0..=bytes.len() {
            assert_eq!(in_two(bytes, at), text, "split at {at}");
        }
        let mut stream = Utf8Stream::default();
        let one_by_one: String = bytes.iter().map(|&b| stream.push(&[b])).collect();
        assert_eq!(one_by_one, text);
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn a_character_is_held_until_whole() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&[0xF0, 0x9F]), "");
        assert_eq!(stream.push(&[0xA6]), "");
        assert_eq!(stream.push(&[0x9C, b'!']), "🦜!");
    }

    #[test]
    fn a_stream_cut_inside_a_character_says_so() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&[b'a', 0xE6, 0xBC]), "a");
        assert_eq!(stream.finish(), "\u{FFFD}");
        assert_eq!(stream.finish(), "");
    }

    proptest! {
        #[test]
        fn text_survives_every_split(text in "\\PC{0,40}") {
            for at in 0..=text.len() {
                prop_assert_eq!(&in_two(text.as_bytes(), at), &text);
            }
        }

        #[test]
        fn any_bytes_decode_as_if_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            at in 0_usize..40,
        ) {
            let at = at.min(bytes.len());
            let whole = String::from_utf8_lossy(&bytes).into_owned();
            prop_assert_eq!(in_two(&bytes, at), whole);
        }
    }
}
