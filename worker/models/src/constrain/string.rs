//! A JSON string, byte by byte (RFC 8259, §7; UTF-8 by RFC 3629, §4).

/// What a string must be beyond JSON's rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// It holds something that is not white space.
    pub(super) filled: bool,
    /// It does not hold a tag's mark as it is written.
    pub(super) no_marks: bool,
}

/// Where in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct JsonString {
    at: At,
    filled: bool,
    mark: Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// Before the opening quote.
    Start,
    Plain,
    /// Behind a backslash.
    Escape,
    /// Behind `\u` and some digits; `pair` when a low surrogate must come.
    Hex {
        digits: u8,
        value: u16,
        pair: bool,
    },
    /// Behind a high surrogate: `\` and then `u` must come.
    Pair {
        backslash: bool,
    },
    /// Inside a character of several bytes, the next one within these bounds.
    Utf8 {
        left: u8,
        code: u32,
        low: u8,
        high: u8,
    },
}

/// What a byte made of a string.
pub(super) enum Step {
    Inside(JsonString),
    Closed,
}

const MARKS: [&[u8]; 2] = [b"<imgen>", b"</imgen>"];

impl JsonString {
    pub(super) const START: Self = Self {
        at: At::Start,
        filled: false,
        mark: Mark::NONE,
    };

    /// Behind the opening quote.
    pub(super) const OPENED: Self = Self {
        at: At::Plain,
        ..Self::START
    };

    pub(super) fn step(self, byte: u8, rules: Rules) -> Option<Step> {
        let inside = |at: At| {
            Some(Step::Inside(Self {
                at,
                mark: Mark::NONE,
                ..self
            }))
        };
        match self.at {
            At::Start => (byte == b'"').then_some(Step::Inside(Self::OPENED)),
            At::Plain => match byte {
                b'"' => (self.filled || !rules.filled).then_some(Step::Closed),
                b'\\' => inside(At::Escape),
                0..0x20 => None,
                0x20..0x80 => self.ascii(byte, rules),
                _ => inside(lead(byte)?),
            },
            At::Escape => match byte {
                b'u' => inside(At::Hex {
                    digits: 0,
                    value: 0,
                    pair: false,
                }),
                b'"' | b'\\' | b'/' | b'b' => self.character(true),
                b'f' | b'n' | b'r' | b't' => self.character(false),
                _ => None,
            },
            At::Hex {
                digits,
                value,
                pair,
            } => {
                let digit = char::from(byte).to_digit(16)?;
                let value = value << 4 | digit as u16;
                self.hex(digits + 1, value, pair)
            }
            At::Pair { backslash: false } => {
                (byte == b'\\').then(|| self.at(At::Pair { backslash: true }))
            }
            At::Pair { backslash: true } => (byte == b'u').then(|| {
                self.at(At::Hex {
                    digits: 0,
                    value: 0,
                    pair: true,
                })
            }),
            At::Utf8 {
                left,
                code,
                low,
                high,
            } => {
                if !(low..=high).contains(&byte) {
                    return None;
                }
                let code = code << 6 | u32::from(byte & 0x3F);
                if left > 1 {
                    return inside(At::Utf8 {
                        left: left - 1,
                        code,
                        low: 0x80,
                        high: 0xBF,
                    });
                }
                self.character(!char::from_u32(code)?.is_whitespace())
            }
        }
    }

    const fn at(self, at: At) -> Step {
        Step::Inside(Self { at, ..self })
    }

    fn ascii(self, byte: u8, rules: Rules) -> Option<Step> {
        let mark = match self.mark.step(byte, &MARKS) {
            Ok(_) if rules.no_marks => return None,
            Ok(_) => Mark::NONE,
            Err(mark) => mark,
        };
        Some(Step::Inside(Self {
            at: At::Plain,
            filled: self.filled || !char::from(byte).is_whitespace(),
            mark,
        }))
    }

    /// Behind a whole character that was not plain ASCII.
    fn character(self, fills: bool) -> Option<Step> {
        Some(Step::Inside(Self {
            at: At::Plain,
            filled: self.filled || fills,
            mark: Mark::NONE,
        }))
    }

    fn hex(self, digits: u8, value: u16, pair: bool) -> Option<Step> {
        // The digits so far, as the range of what they may become.
        let missing = 4 * u32::from(4 - digits);
        let first = u32::from(value) << missing;
        let last = first + (1 << missing) - 1;
        let low = 0xDC00..=0xDFFF;
        let overlaps = first <= *low.end() && last >= *low.start();
        let within = low.contains(&first) && low.contains(&last);
        if (pair && !overlaps) || (!pair && within) {
            return None;
        }
        if digits < 4 {
            return Some(self.at(At::Hex {
                digits,
                value,
                pair,
            }));
        }
        if !pair && (0xD800..0xDC00).contains(&value) {
            return Some(self.at(At::Pair { backslash: false }));
        }
        // No character beyond the first plane is white space.
        let fills = pair || char::from_u32(u32::from(value)).is_some_and(|c| !c.is_whitespace());
        self.character(fills)
    }
}

/// The state behind the first byte of a character of several.
const fn lead(byte: u8) -> Option<At> {
    let (left, low, high) = match byte {
        0xC2..=0xDF => (1, 0x80, 0xBF),
        0xE0 => (2, 0xA0, 0xBF),
        0xED => (2, 0x80, 0x9F),
        0xE1..=0xEF => (2, 0x80, 0xBF),
        0xF0 => (3, 0x90, 0xBF),
        0xF1..=0xF3 => (3, 0x80, 0xBF),
        0xF4 => (3, 0x80, 0x8F),
        _ => return None,
    };
    Some(At::Utf8 {
        left,
        code: (byte & (0x3F >> left)) as u32,
        low,
        high,
    })
}

/// How much of one of a few words a text ends with. The words begin with `<`,
/// which they hold nowhere else, and differ in their second byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mark {
    word: u8,
    count: u8,
}

impl Mark {
    pub(super) const NONE: Self = Self { word: 0, count: 0 };

    /// The word that `byte` completes, or how much of one the text ends with.
    pub(super) fn step(self, byte: u8, words: &[&[u8]]) -> Result<usize, Self> {
        let count = usize::from(self.count);
        let goes_on = |(index, word): &(usize, &&[u8])| {
            let candidate = count <= 1 || *index == usize::from(self.word);
            candidate && count > 0 && word.get(count) == Some(&byte)
        };
        match words.iter().enumerate().find(goes_on) {
            Some((index, word)) if word.len() == count + 1 => Ok(index),
            Some((index, _)) => Err(Self {
                word: index as u8,
                count: self.count + 1,
            }),
            None => Err(Self {
                word: 0,
                count: u8::from(byte == b'<'),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(text: &[u8], rules: Rules) -> bool {
        let mut state = JsonString::START;
        for (at, &byte) in text.iter().enumerate() {
            match state.step(byte, rules) {
                Some(Step::Inside(next)) => state = next,
                Some(Step::Closed) => return at + 1 == text.len(),
                None => return false,
            }
        }
        false
    }

    const FREE: Rules = Rules {
        filled: false,
        no_marks: false,
    };

    #[test]
    fn it_takes_what_the_json_reader_takes() {
        let long = "\"\\ud83e\\udd9c\"".as_bytes();
        let cases: &[&[u8]] = &[
            b"\"\"",
            b"\"a\\n\\\"\\/\\u00e9\"",
            b"\"\\x\"",
            b"\"a\nb\"",
            b"\"\\u12\"",
            long,
            b"\"\\ud83e\"",
            b"\"\\udd9c\"",
            b"\"\\ud83e\\n\"",
            "\"漢é🦜\"".as_bytes(),
            b"\"\xC0\xAF\"",
            b"\"\xED\xA0\x80\"",
            b"\"\xF5\x80\x80\x80\"",
            b"\"\xE6\xBC\"",
            b"'a'",
            b"\"a",
        ];
        for case in cases {
            let expected = serde_json::from_slice::<String>(case).is_ok();
            assert_eq!(
                accepts(case, FREE),
                expected,
                "{}",
                String::from_utf8_lossy(case)
            );
        }
    }

    #[test]
    fn white_space_does_not_fill() {
        let filled = Rules {
            filled: true,
            ..FREE
        };
        for text in ["\"\"", "\" \\n\\t\"", "\"\u{3000}\u{a0}\"", "\"\\u0020\""] {
            assert!(accepts(text.as_bytes(), FREE), "{text}");
            assert!(!accepts(text.as_bytes(), filled), "{text}");
        }
        for text in [
            "\" a\"",
            "\"é\"",
            "\"\\u0041\"",
            "\"\\\\\"",
            "\"\\ud83e\\udd9c\"",
        ] {
            assert!(accepts(text.as_bytes(), filled), "{text}");
        }
    }

    #[test]
    fn marks_may_be_kept_out() {
        let rules = Rules {
            no_marks: true,
            ..FREE
        };
        for text in [
            "\"a <imgen>\"",
            "\"</imgen>\"",
            "\"<<imgen>\"",
            "\"<imgen<imgen>\"",
        ] {
            assert!(accepts(text.as_bytes(), FREE), "{text}");
            assert!(!accepts(text.as_bytes(), rules), "{text}");
        }
        for text in [
            "\"<imgen\"",
            "\"<\\/imgen>\"",
            "\"\\u003cimgen>\"",
            "\"<im gen>\"",
        ] {
            assert!(accepts(text.as_bytes(), rules), "{text}");
        }
    }
}
