//! An incremental parser of Python and JSON dictionary literals.
//!
//! It is given the text so far and a position, goes as far as it can, and is
//! called again with more. It never looks back, except that a lookahead after
//! a quote may be undone ([`lookahead`]); so the work per character is bounded.

mod escape;
mod lookahead;
mod marks;
mod start;
mod string;

pub(super) use marks::Marks;

use self::start::{Start, string_start};
use self::string::{Purpose, StringScan, StringStep};
use super::TagError;
use super::value::Value;

const LONGEST_WORD: usize = 64;

/// How far the parser came.
#[derive(Debug)]
pub(super) enum Advance {
    NeedMore,
    /// A mark was set: the caller may want to shorten its patience.
    Marked,
    /// The dictionary closed just before the position.
    Complete(Vec<(String, Value)>),
    /// The character at the position cannot belong to a dictionary.
    Broken(TagError),
    /// The open string runs into other text: the tag ended at a mark.
    GiveUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dict,
    List,
    /// `( … )`: a tuple, or one value in parentheses.
    Paren,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    KeyOrEnd,
    Colon,
    Value,
    ValueOrEnd,
    CommaOrEnd,
}

#[derive(Debug)]
struct Frame {
    kind: Kind,
    expect: Expect,
    key: Option<String>,
    entries: Vec<(String, Value)>,
    /// Last value of a list or parenthesis, and how many commas it has.
    last: Option<Value>,
    commas: usize,
}

impl Frame {
    fn new(kind: Kind) -> Self {
        let expect = match kind {
            Kind::Dict => Expect::KeyOrEnd,
            Kind::List | Kind::Paren => Expect::ValueOrEnd,
        };
        Self {
            kind,
            expect,
            key: None,
            entries: Vec::new(),
            last: None,
            commas: 0,
        }
    }

    fn put(&mut self, value: Value) {
        match self.key.take() {
            Some(key) => self.entries.push((key, value)),
            None => self.last = Some(value),
        }
        self.expect = Expect::CommaOrEnd;
    }

    /// The text just put, to be continued by implicit concatenation.
    fn take_back_text(&mut self) -> Option<String> {
        if self.kind != Kind::Dict {
            return match self.last.take() {
                Some(Value::Text(text)) => Some(text),
                other => {
                    self.last = other;
                    None
                }
            };
        }
        match self.entries.pop() {
            Some((key, Value::Text(text))) => {
                self.key = Some(key);
                Some(text)
            }
            Some(other) => {
                self.entries.push(other);
                None
            }
            None => None,
        }
    }

    fn into_value(self) -> Value {
        match (self.kind, self.last, self.commas) {
            (Kind::Dict, ..) => Value::Dict(self.entries),
            (Kind::Paren, Some(value), 0) => value,
            _ => Value::List,
        }
    }
}

/// The parser's state between two calls.
#[derive(Debug)]
pub(super) struct Literal {
    frames: Vec<Frame>,
    string: Option<Box<StringScan>>,
    /// Of the last string, should it be continued.
    joints: Vec<usize>,
    pub(super) marks: Marks,
    max_depth: usize,
}

enum Flow {
    Continue,
    Stop(Advance),
}

impl Literal {
    /// A parser that stands just after the first `{`.
    pub(super) fn new(max_depth: usize) -> Self {
        Self {
            frames: vec![Frame::new(Kind::Dict)],
            string: None,
            joints: Vec::new(),
            marks: Marks::default(),
            max_depth,
        }
    }

    /// Whether the text ended within a string.
    pub(super) const fn in_string(&self) -> bool {
        self.string.is_some()
    }

    pub(super) fn advance(&mut self, text: &str, at: &mut usize) -> Advance {
        loop {
            let flow = match &mut self.string {
                Some(_) => self.in_text(text, at),
                None => self.in_structure(text, at),
            };
            if let Flow::Stop(advance) = flow {
                return advance;
            }
        }
    }

    fn in_text(&mut self, text: &str, at: &mut usize) -> Flow {
        let Some(scan) = &mut self.string else {
            return Flow::Continue;
        };
        match scan.advance(text, at, &mut self.marks) {
            StringStep::NeedMore => Flow::Stop(Advance::NeedMore),
            StringStep::Marked => Flow::Stop(Advance::Marked),
            StringStep::GiveUp => Flow::Stop(Advance::GiveUp),
            StringStep::TooLong => broken("a short key"),
            StringStep::Done(content) => {
                let purpose = scan.purpose;
                self.joints = std::mem::take(&mut scan.joints);
                self.string = None;
                self.marks.settle();
                if let Some(frame) = self.frames.last_mut() {
                    match purpose {
                        Purpose::Key => {
                            frame.key = Some(content);
                            frame.expect = Expect::Colon;
                        }
                        Purpose::Value => frame.put(Value::Text(content)),
                    }
                }
                Flow::Continue
            }
        }
    }

    fn in_structure(&mut self, text: &str, at: &mut usize) -> Flow {
        let bytes = text.as_bytes();
        while bytes.get(*at).is_some_and(u8::is_ascii_whitespace) {
            *at += 1;
        }
        let Some(&byte) = bytes.get(*at) else {
            return Flow::Stop(Advance::NeedMore);
        };
        let Some(frame) = self.frames.last_mut() else {
            return broken("a dictionary");
        };
        match (frame.expect, byte) {
            (Expect::Colon, b':') => {
                frame.expect = Expect::Value;
                *at += 1;
                Flow::Continue
            }
            (Expect::Colon, _) => broken("`:` after a key"),
            (Expect::CommaOrEnd, b',') => {
                frame.commas += 1;
                frame.expect = match frame.kind {
                    Kind::Dict => Expect::KeyOrEnd,
                    Kind::List | Kind::Paren => Expect::ValueOrEnd,
                };
                *at += 1;
                Flow::Continue
            }
            (Expect::CommaOrEnd | Expect::KeyOrEnd | Expect::ValueOrEnd, b'}' | b']' | b')') => {
                self.close(byte, at)
            }
            (Expect::CommaOrEnd, _) => self.concatenate(text, at),
            (Expect::KeyOrEnd, _) => self.open_string(text, at, Purpose::Key, "a quoted key"),
            (Expect::Value | Expect::ValueOrEnd, b'{') => self.open(Kind::Dict, at),
            (Expect::Value | Expect::ValueOrEnd, b'[') => self.open(Kind::List, at),
            (Expect::Value | Expect::ValueOrEnd, b'(') => self.open(Kind::Paren, at),
            (Expect::Value | Expect::ValueOrEnd, _) => self.scalar_or_string(text, at),
        }
    }

    fn open(&mut self, kind: Kind, at: &mut usize) -> Flow {
        if self.frames.len() >= self.max_depth {
            return Flow::Stop(Advance::Broken(TagError::TooDeep {
                max_depth: self.max_depth,
            }));
        }
        self.frames.push(Frame::new(kind));
        *at += 1;
        Flow::Continue
    }

    fn close(&mut self, closer: u8, at: &mut usize) -> Flow {
        let fits = self.frames.last().is_some_and(|frame| {
            closer
                == match frame.kind {
                    Kind::Dict => b'}',
                    Kind::List => b']',
                    Kind::Paren => b')',
                }
        });
        let Some(frame) = self.frames.pop_if(|_| fits) else {
            return broken("the bracket that was opened");
        };
        *at += 1;
        match self.frames.last_mut() {
            Some(parent) => {
                parent.put(frame.into_value());
                Flow::Continue
            }
            None => Flow::Stop(Advance::Complete(frame.entries)),
        }
    }

    fn concatenate(&mut self, text: &str, at: &mut usize) -> Flow {
        let begun = match string_start(text.as_bytes(), *at) {
            Start::NeedMore => return Flow::Stop(Advance::NeedMore),
            Start::No => None,
            Start::Yes(_) => self.frames.last_mut().and_then(Frame::take_back_text),
        };
        match begun {
            Some(content) => {
                let flow = self.open_string(text, at, Purpose::Value, "a string");
                if let Some(scan) = &mut self.string {
                    scan.continue_from(content, std::mem::take(&mut self.joints), text);
                }
                flow
            }
            None => broken("`,` or a closing bracket"),
        }
    }

    fn scalar_or_string(&mut self, text: &str, at: &mut usize) -> Flow {
        if !matches!(string_start(text.as_bytes(), *at), Start::No) {
            return self.open_string(text, at, Purpose::Value, "a value");
        }
        let rest = &text.as_bytes()[*at..];
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_');
        let length = rest.iter().take_while(|b| is_word(b)).count();
        if length == rest.len() && length <= LONGEST_WORD {
            return Flow::Stop(Advance::NeedMore);
        }
        let value = text.get(*at..*at + length).and_then(Value::scalar);
        match (value, self.frames.last_mut()) {
            (Some(value), Some(frame)) => {
                frame.put(value);
                *at += length;
                Flow::Continue
            }
            _ => broken("a value"),
        }
    }

    fn open_string(
        &mut self,
        text: &str,
        at: &mut usize,
        purpose: Purpose,
        expected: &'static str,
    ) -> Flow {
        match string_start(text.as_bytes(), *at) {
            Start::NeedMore => Flow::Stop(Advance::NeedMore),
            Start::No => broken(expected),
            Start::Yes(opening) => {
                *at += opening.length;
                let key = self.frames.last().and_then(|frame| frame.key.as_deref());
                let is_code = key == Some("code");
                // A tool's name holds no quotes; lists have no place in a call.
                let plain = self.frames.iter().all(|frame| frame.kind == Kind::Dict);
                let level = (plain && key != Some("source")).then_some(self.frames.len());
                self.string = Some(Box::new(StringScan::new(
                    purpose, opening, *at, level, is_code,
                )));
                Flow::Continue
            }
        }
    }
}

const fn broken(expected: &'static str) -> Flow {
    Flow::Stop(Advance::Broken(TagError::Malformed { expected }))
}
