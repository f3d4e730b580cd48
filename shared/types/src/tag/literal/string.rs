//! The inside of a string.

use super::super::markers::{Found, word_at};
use super::super::{CLOSE, OPEN};
use super::escape::{Escape, escape};
use super::lookahead::{Lookahead, Verdict};
use super::marks::Marks;
use super::start::Opening;

const LONGEST_KEY: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Key,
    Value,
}

#[derive(Debug)]
pub(super) enum StringStep {
    NeedMore,
    Marked,
    GiveUp,
    /// A key that goes on and on.
    TooLong,
    /// The position is behind the closing quote.
    Done(String),
}

#[derive(Debug)]
pub(super) struct StringScan {
    pub(super) purpose: Purpose,
    opening: Opening,
    /// Just behind the opening quotes.
    begin: usize,
    /// Dictionaries open around it; none where the first quote ends the string.
    level: Option<usize>,
    is_code: bool,
    content: String,
    lookahead: Option<Lookahead>,
    /// A quote was found to be text.
    damaged: bool,
    /// Where two adjacent quotes were read as the joint of two strings.
    pub(super) joints: Vec<usize>,
    line_feeds: usize,
    /// Only white space since the last line feed.
    blank: bool,
    last_line_feed: usize,
}

impl StringScan {
    pub(super) fn new(
        purpose: Purpose,
        opening: Opening,
        begin: usize,
        level: Option<usize>,
        is_code: bool,
    ) -> Self {
        Self {
            purpose,
            opening,
            begin,
            level,
            is_code,
            content: String::new(),
            lookahead: None,
            damaged: false,
            joints: Vec::new(),
            line_feeds: 0,
            blank: false,
            last_line_feed: 0,
        }
    }

    /// Implicit concatenation: `content` stands before this string's.
    pub(super) fn continue_from(&mut self, content: String, joints: Vec<usize>, text: &str) {
        self.joints = joints;
        let quote_at = self.begin - 1;
        let before = quote_at
            .checked_sub(1)
            .and_then(|at| text.as_bytes().get(at));
        let adjacent = !self.opening.triple && before == Some(&self.opening.quote);
        if adjacent {
            self.joints.push(content.len());
        }
        self.content = content;
    }

    pub(super) fn advance(&mut self, text: &str, at: &mut usize, marks: &mut Marks) -> StringStep {
        let bytes = text.as_bytes();
        loop {
            if let Some(lookahead) = &mut self.lookahead {
                match lookahead.advance(text) {
                    Verdict::NeedMore => return StringStep::NeedMore,
                    Verdict::End => {
                        *at = lookahead.resume;
                        return self.done();
                    }
                    Verdict::Inner { brackets } => {
                        *at = lookahead.quote_at + 1;
                        self.lookahead = None;
                        self.keep_quote();
                        if brackets.is_some() && marks.brackets.is_none() {
                            marks.brackets = brackets;
                            return StringStep::Marked;
                        }
                    }
                }
            }
            let rest = bytes.get(*at..).unwrap_or_default();
            let quote = self.opening.quote;
            let special = |b: &u8| *b == quote || matches!(b, b'\\' | b'<' | b'\n');
            let run = rest.iter().position(special).unwrap_or(rest.len());
            self.plain(text.get(*at..*at + run).unwrap_or_default());
            *at += run;
            if self.purpose == Purpose::Key && self.content.len() > LONGEST_KEY {
                return StringStep::TooLong;
            }
            let Some(&byte) = rest.get(run) else {
                return StringStep::NeedMore;
            };
            let step = match byte {
                b'\\' => self.backslash(text, at),
                b'<' => self.less_than(bytes, at, marks),
                b'\n' => self.line_feed(at, marks),
                _ => self.quote(bytes, at),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn done(&mut self) -> StringStep {
        StringStep::Done(std::mem::take(&mut self.content))
    }

    fn plain(&mut self, run: &str) {
        self.blank = self.blank && run.bytes().all(|b| b.is_ascii_whitespace());
        self.content.push_str(run);
    }

    fn keep_quote(&mut self) {
        self.plain(if self.opening.quote == b'"' {
            "\""
        } else {
            "'"
        });
        self.damaged = true;
        // A string whose quotes are not escaped has no joints: `""` was text.
        if !self.joints.is_empty() {
            let quotes = if self.opening.quote == b'"' {
                "\"\""
            } else {
                "''"
            };
            let mut whole = String::with_capacity(self.content.len() + 2 * self.joints.len());
            let mut from = 0;
            for joint in self.joints.drain(..) {
                whole.push_str(&self.content[from..joint]);
                whole.push_str(quotes);
                from = joint;
            }
            whole.push_str(&self.content[from..]);
            self.content = whole;
        }
    }

    fn backslash(&mut self, text: &str, at: &mut usize) -> Option<StringStep> {
        self.blank = false;
        if self.opening.raw {
            let Some(next) = text.get(*at + 1..).and_then(|rest| rest.chars().next()) else {
                return Some(StringStep::NeedMore);
            };
            self.content.push('\\');
            self.content.push(next);
            *at += 1 + next.len_utf8();
            return None;
        }
        let Some((meaning, length)) = escape(text, *at, self.opening.quote == b'"') else {
            return Some(StringStep::NeedMore);
        };
        match meaning {
            Escape::Char(character) => self.content.push(character),
            Escape::Nothing => {}
            Escape::Kept => self.content.push('\\'),
        }
        *at += length;
        None
    }

    fn line_feed(&mut self, at: &mut usize, marks: &mut Marks) -> Option<StringStep> {
        if self.line_feeds > 0 && self.blank && !self.opening.triple {
            marks.blank.get_or_insert(self.last_line_feed);
        }
        self.content.push('\n');
        self.line_feeds += 1;
        self.blank = true;
        self.last_line_feed = *at;
        *at += 1;
        None
    }

    fn less_than(&mut self, bytes: &[u8], at: &mut usize, marks: &mut Marks) -> Option<StringStep> {
        let word = match word_at(bytes, *at, &[OPEN, CLOSE]) {
            Found::Partial(_) => return Some(StringStep::NeedMore),
            Found::Nothing => {
                self.plain("<");
                *at += 1;
                return None;
            }
            Found::Word(_, word) => word,
        };
        if word == OPEN && marks.betrayed_by_open() {
            return Some(StringStep::GiveUp);
        }
        let first = marks.note(*at, word);
        if word == CLOSE && !self.opening.triple && self.line_feeds == 0 {
            // `…}}</imgen>` at a line's end, in a string on one line: the model
            // forgot the closing quote.
            match bytes.get(*at + CLOSE.len()) {
                None => return Some(StringStep::NeedMore),
                Some(b'\n' | b'\r') => return Some(StringStep::GiveUp),
                Some(_) => {}
            }
        }
        self.plain(word);
        *at += word.len();
        first.then_some(StringStep::Marked)
    }

    fn quote(&mut self, bytes: &[u8], at: &mut usize) -> Option<StringStep> {
        let wanted = if self.opening.triple { 3 } else { 1 };
        let quotes = bytes[*at..]
            .iter()
            .take(wanted)
            .take_while(|b| **b == self.opening.quote)
            .count();
        if quotes < wanted {
            if *at + quotes == bytes.len() {
                return Some(StringStep::NeedMore);
            }
            self.plain(if self.opening.quote == b'"' {
                "\""
            } else {
                "'"
            });
            *at += 1;
            return None;
        }
        let resume = *at + wanted;
        match self.level {
            Some(level) if self.purpose == Purpose::Value => {
                self.lookahead = Some(Lookahead::new(
                    *at,
                    resume,
                    level,
                    self.is_code,
                    !self.damaged,
                ));
                None
            }
            _ => {
                *at = resume;
                Some(self.done())
            }
        }
    }
}
