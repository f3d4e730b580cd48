//! One JSON object, byte by byte (RFC 8259).
//!
//! White space is bounded, so that a model cannot write it for ever, and so is
//! nesting.

use super::string::{JsonString, Rules, Step};

/// Nested containers.
const MAX_DEPTH: u8 = 64;
/// White space in one place: a line's end and its indentation.
const MAX_SPACE: u8 = 40;

const RULES: Rules = Rules {
    filled: false,
    no_marks: false,
};

/// Where a JSON object stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JsonGrammar {
    place: Place,
    /// Open containers, the innermost in the lowest bit: 1 is an object.
    stack: u64,
    depth: u8,
    /// White space just read.
    space: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// Before the object.
    Start,
    /// Behind `{`: a key or `}`.
    FirstKey,
    /// Behind a comma in an object.
    Key,
    /// Behind a key.
    Colon,
    /// Before a value; `]` may come in its place behind `[`.
    Value {
        may_close: bool,
    },
    String {
        state: JsonString,
        is_key: bool,
    },
    /// In `true`, `false` or `null`.
    Word {
        word: u8,
        count: u8,
    },
    Number(Number),
    /// Behind a value: a comma or the container's end.
    After,
    Done,
}

/// Where in a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Number {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    Sign,
    Power,
}

const WORDS: [&[u8]; 3] = [b"true", b"false", b"null"];

impl JsonGrammar {
    pub(super) const fn new() -> Self {
        Self {
            place: Place::Start,
            stack: 0,
            depth: 0,
            space: 0,
        }
    }

    pub(super) const fn is_done(self) -> bool {
        matches!(self.place, Place::Done)
    }

    pub(super) fn step(self, byte: u8) -> Option<Self> {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') && self.takes_space() {
            // Behind a number it ends the number.
            let place = match self.place {
                Place::Number(_) => Place::After,
                place => place,
            };
            let space = self.space + 1;
            return (space <= MAX_SPACE).then_some(Self {
                place,
                space,
                ..self
            });
        }
        let next = Self { space: 0, ..self };
        match self.place {
            Place::Start => (byte == b'{').then(|| next.open(true)).flatten(),
            Place::FirstKey if byte == b'}' => next.close(true),
            Place::FirstKey | Place::Key => (byte == b'"').then_some(next.at(Place::String {
                state: JsonString::OPENED,
                is_key: true,
            })),
            Place::Colon => (byte == b':').then_some(next.at(Place::Value { may_close: false })),
            Place::Value { may_close: true } if byte == b']' => next.close(false),
            Place::Value { .. } => next.value(byte),
            Place::String { state, is_key } => match state.step(byte, RULES)? {
                Step::Inside(state) => Some(next.at(Place::String { state, is_key })),
                Step::Closed if is_key => Some(next.at(Place::Colon)),
                Step::Closed => Some(next.at(Place::After)),
            },
            Place::Word { word, count } => {
                let text = WORDS[usize::from(word)];
                (text.get(usize::from(count)) == Some(&byte)).then(|| {
                    match usize::from(count) + 1 == text.len() {
                        true => next.at(Place::After),
                        false => next.at(Place::Word {
                            word,
                            count: count + 1,
                        }),
                    }
                })
            }
            Place::Number(number) => match number.step(byte) {
                Some(number) => Some(next.at(Place::Number(number))),
                None if number.may_end() => next.at(Place::After).step(byte),
                None => None,
            },
            Place::After => match (byte, self.in_object()) {
                (b',', true) => Some(next.at(Place::Key)),
                (b',', false) => Some(next.at(Place::Value { may_close: false })),
                (b'}', true) => next.close(true),
                (b']', false) => next.close(false),
                _ => None,
            },
            Place::Done => None,
        }
    }

    const fn takes_space(self) -> bool {
        match self.place {
            Place::String { .. } | Place::Word { .. } | Place::Start | Place::Done => false,
            Place::Number(number) => number.may_end(),
            _ => true,
        }
    }

    fn value(self, byte: u8) -> Option<Self> {
        match byte {
            b'{' => self.open(true),
            b'[' => self.open(false),
            b'"' => Some(self.at(Place::String {
                state: JsonString::OPENED,
                is_key: false,
            })),
            b'-' => Some(self.at(Place::Number(Number::Minus))),
            b'0' => Some(self.at(Place::Number(Number::Zero))),
            b'1'..=b'9' => Some(self.at(Place::Number(Number::Integer))),
            _ => {
                let word = WORDS.iter().position(|word| word[0] == byte)?;
                Some(self.at(Place::Word {
                    word: word as u8,
                    count: 1,
                }))
            }
        }
    }

    fn open(self, object: bool) -> Option<Self> {
        let place = match object {
            true => Place::FirstKey,
            false => Place::Value { may_close: true },
        };
        (self.depth < MAX_DEPTH).then_some(Self {
            place,
            stack: self.stack << 1 | u64::from(object),
            depth: self.depth + 1,
            ..self
        })
    }

    fn close(self, object: bool) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        let place = match depth {
            0 => Place::Done,
            _ => Place::After,
        };
        (self.in_object() == object).then_some(Self {
            place,
            stack: self.stack >> 1,
            depth,
            ..self
        })
    }

    const fn in_object(self) -> bool {
        self.stack & 1 == 1
    }

    const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

impl Number {
    const fn step(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::Sign,
            (Self::Exponent | Self::Sign | Self::Power, b'0'..=b'9') => Self::Power,
            _ => return None,
        })
    }

    const fn may_end(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Integer | Self::Fraction | Self::Power
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    fn accepts(text: &str) -> bool {
        text.bytes()
            .try_fold(JsonGrammar::new(), JsonGrammar::step)
            .is_some_and(JsonGrammar::is_done)
    }

    #[test]
    fn it_takes_what_the_json_reader_takes() {
        let cases = [
            "{}",
            "{\"a\": [1, -0.5e+3, true, false, null, {}, []]}",
            "{\"a\":1 ,\"b\" :2\n}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":-}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":[1,]}",
            "{\"a\":[}",
            "{\"a\":]}",
            "{\"a\"}",
            "{a:1}",
            "{\"a\":tru}",
            "{\"a\":truee}",
            "{\"a\":1}}",
            "{\"a\":1e}",
            "{\"a\": 'x'}",
        ];
        for case in cases {
            let expected = serde_json::from_str::<Map<String, Value>>(case).is_ok();
            assert_eq!(accepts(case), expected, "{case}");
        }
        // An object, and bounded.
        assert!(!accepts("[]") && !accepts("1") && !accepts(""));
        assert!(!accepts(&format!("{{{}}}", " ".repeat(41))));
        assert!(!accepts(&format!(
            "{{\"a\":{}1{}}}",
            "[".repeat(64),
            "]".repeat(64)
        )));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("\\PC{0,5}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_a_writer_writes_is_accepted(value in value()) {
            let object = serde_json::json!({ "a": value });
            prop_assert!(accepts(&object.to_string()));
            prop_assert!(accepts(&serde_json::to_string_pretty(&object).unwrap()));
        }

        /// Any path through the grammar is an object to the reader.
        #[test]
        fn whatever_is_accepted_the_reader_takes(mut seed in any::<u64>()) {
            let mut choose = |bound: usize| {
                seed = (seed | 1) ^ (seed << 13);
                seed ^= seed >> 7;
                seed ^= seed << 17;
                (seed % bound as u64) as usize
            };
            let (mut state, mut text) = (JsonGrammar::new(), Vec::new());
            while !state.is_done() {
                let next: Vec<u8> = (0..=255).filter(|&b| state.step(b).is_some()).collect();
                let ends: Vec<u8> = next.iter().copied().filter(|b| b"}]\"".contains(b)).collect();
                let byte = match !ends.is_empty() && (choose(4) == 0 || text.len() > 500) {
                    true => ends[choose(ends.len())],
                    false => next[choose(next.len())],
                };
                text.push(byte);
                state = state.step(byte).unwrap();
            }
            // Numbers beyond f64 are grammatical all the same.
            let text = String::from_utf8(text).unwrap();
            let read = serde_json::from_str::<Map<String, Value>>(&text);
            let sound = read.as_ref().map_or_else(|e| e.to_string().contains("out of range"), |_| true);
            prop_assert!(sound, "{text}: {read:?}");
        }
    }
}
