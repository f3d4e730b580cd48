//! Does this quote end its string? What follows tells.
//!
//! Models forget to escape quotes, above all inside `code`. A quote that really
//! ends a value is followed by `,` and a key, by `}`, or by another string
//! (implicit concatenation). Anything else means that the quote is text. Within
//! code, which is full of dictionaries of its own, only the keys of the grammar
//! count, and `</imgen>` must follow just where the whole dictionary has closed.

use super::super::CLOSE;
use super::super::validate::{PARAM_KEYS, TAG_KEYS};

const LONGEST_KEY: usize = 40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    NeedMore,
    /// The string ended at the quote.
    End,
    /// The quote is text. `brackets` is set where brackets followed that would
    /// have closed the dictionary: just behind them.
    Inner {
        brackets: Option<usize>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AfterQuote,
    AfterPrefix,
    AfterComma,
    Key {
        quote: u8,
        start: usize,
    },
    AfterKey,
    AfterBrace,
    /// So many bytes of `</imgen>` were seen.
    Close(usize),
}

/// A small automaton over the bytes after a quote; at most a few dozen of them
/// besides white space.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lookahead {
    /// Where the quote stands.
    pub(super) quote_at: usize,
    /// Where reading goes on if the string ended.
    pub(super) resume: usize,
    at: usize,
    /// Dictionaries still open.
    level: usize,
    brackets: usize,
    is_code: bool,
    may_concatenate: bool,
    phase: Phase,
}

impl Lookahead {
    pub(super) const fn new(
        quote_at: usize,
        resume: usize,
        level: usize,
        is_code: bool,
        may_concatenate: bool,
    ) -> Self {
        Self {
            quote_at,
            resume,
            at: resume,
            level,
            brackets: resume,
            is_code,
            may_concatenate,
            phase: Phase::AfterQuote,
        }
    }

    pub(super) fn advance(&mut self, text: &str) -> Verdict {
        let bytes = text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if let Some(verdict) = self.step(bytes, byte) {
                return verdict;
            }
            self.at += 1;
        }
        Verdict::NeedMore
    }

    fn step(&mut self, bytes: &[u8], byte: u8) -> Option<Verdict> {
        let in_word = matches!(
            self.phase,
            Phase::Key { .. } | Phase::Close(_) | Phase::AfterPrefix
        );
        if byte.is_ascii_whitespace() && !in_word {
            return None;
        }
        match (self.phase, byte) {
            (Phase::AfterQuote, b',') => self.go(Phase::AfterComma),
            (Phase::AfterBrace, b',') if self.level > 0 => self.go(Phase::AfterComma),
            (Phase::AfterQuote | Phase::AfterComma, b'}') => self.close_brace(),
            (Phase::AfterBrace, b'}') if self.level > 0 => self.close_brace(),
            (Phase::AfterQuote | Phase::AfterBrace, b'<') if self.level == 0 || !self.is_code => {
                self.go(Phase::Close(1))
            }
            (Phase::AfterQuote, b'r' | b'R' | b'u' | b'U') => self.go(Phase::AfterPrefix),
            (Phase::AfterQuote | Phase::AfterPrefix, b'"' | b'\'') if self.may_concatenate => {
                Some(Verdict::End)
            }
            (Phase::AfterComma, b'"' | b'\'') => {
                let start = self.at + 1;
                self.go(Phase::Key { quote: byte, start })
            }
            (Phase::Key { quote, start }, byte) => self.key(bytes, byte, quote, start),
            (Phase::AfterKey, b':') => Some(Verdict::End),
            (Phase::Close(seen), byte) if CLOSE.as_bytes().get(seen) == Some(&byte) => {
                if seen + 1 == CLOSE.len() {
                    return Some(Verdict::End);
                }
                self.go(Phase::Close(seen + 1))
            }
            _ => Some(self.neither()),
        }
    }

    #[allow(clippy::unnecessary_wraps)]
    const fn go(&mut self, phase: Phase) -> Option<Verdict> {
        self.phase = phase;
        None
    }

    const fn close_brace(&mut self) -> Option<Verdict> {
        self.level -= 1;
        self.brackets = self.at + 1;
        self.go(Phase::AfterBrace)
    }

    fn key(&mut self, bytes: &[u8], byte: u8, quote: u8, start: usize) -> Option<Verdict> {
        if byte == quote {
            let key = bytes.get(start..self.at).unwrap_or_default();
            let keys: &[&str] = if self.level == 1 {
                &TAG_KEYS
            } else {
                &PARAM_KEYS
            };
            if self.is_code && !keys.iter().any(|known| known.as_bytes() == key) {
                return Some(self.neither());
            }
            return self.go(Phase::AfterKey);
        }
        let is_word = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' ');
        if is_word && self.at - start < LONGEST_KEY {
            None
        } else {
            Some(self.neither())
        }
    }

    /// What follows is not the grammar's.
    const fn neither(&self) -> Verdict {
        let closed_some = self.brackets > self.resume;
        match (self.is_code, self.level) {
            (false, _) if closed_some => Verdict::End,
            (true, 0) => Verdict::Inner {
                brackets: Some(self.brackets),
            },
            _ => Verdict::Inner { brackets: None },
        }
    }
}
