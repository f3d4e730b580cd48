//! Finding fixed words in a text that may still grow.

/// Where one of the wanted words is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// At this index stands the word.
    Word(usize, &'static str),
    /// At this index the text ends within what may become a word.
    Partial(usize),
    Nothing,
}

/// The first of `words` at or after `from`. Every word begins with `<` or a
/// line feed.
pub(super) fn find(text: &str, from: usize, words: &[&'static str]) -> Found {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(step) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|&b| b == b'<' || b == b'\n'))
    {
        at += step;
        match word_at(bytes, at, words) {
            Found::Nothing => at += 1,
            found => return found,
        }
    }
    Found::Nothing
}

/// Whether one of `words` stands at `at`, or may yet.
pub(super) fn word_at(bytes: &[u8], at: usize, words: &[&'static str]) -> Found {
    let rest = bytes.get(at..).unwrap_or_default();
    let mut partial = false;
    for word in words {
        if rest.starts_with(word.as_bytes()) {
            return Found::Word(at, word);
        }
        partial |= word.as_bytes().starts_with(rest);
    }
    if partial {
        Found::Partial(at)
    } else {
        Found::Nothing
    }
}
