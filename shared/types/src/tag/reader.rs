//! The stream's reader: text, thinking, tags.

use super::literal::{Advance, Literal};
use super::markers::{Found, find};
use super::validate::validate;
use super::value::Value;
use super::{CLOSE, Limits, OPEN, TagError, TagEvent};

const THINK: &str = "<think>";
const THINK_END: &str = "</think>";
const BLANK_LINE: &str = "\n\n";

/// Bytes read on in the hope that a suspicious tag is sound after all.
const PATIENCE: usize = 16 * 1024;
/// Bytes that may be read again, beyond twice the stream's length.
const FREE_REREADS: usize = 64 * 1024;

/// Reads a stream of text chunk by chunk; see the [module](super).
#[derive(Debug)]
pub struct TagReader {
    limits: Limits,
    /// What is not settled yet; everything before `at` is.
    buffer: String,
    at: usize,
    state: State,
    /// Bytes dropped from the buffer's front so far.
    dropped: usize,
    reread: usize,
}

#[derive(Debug)]
enum State {
    Text,
    Think,
    /// Behind `<imgen>` at `start`, before `{`.
    Opened {
        start: usize,
    },
    Inside(Box<Tag>),
    /// Behind the dictionary's last `}`.
    Closing {
        tag: Box<Tag>,
        entries: Vec<(String, Value)>,
        end: usize,
    },
    /// Broken at `end`; looking for `</imgen>`.
    Broken {
        start: usize,
        end: usize,
        error: TagError,
    },
    /// In what exceeds a tag too large.
    Excess,
}

#[derive(Debug)]
struct Tag {
    start: usize,
    literal: Literal,
}

#[derive(Debug, Default)]
struct Events(Vec<TagEvent>);

impl Events {
    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(TagEvent::Text(last)) => last.push_str(text),
            _ => self.0.push(TagEvent::Text(text.to_owned())),
        }
    }
}

impl TagReader {
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            buffer: String::new(),
            at: 0,
            state: State::Text,
            dropped: 0,
            reread: 0,
        }
    }

    /// Takes the next piece of the stream. Text is given out at once, except
    /// for a few bytes that may be the beginning of a mark.
    pub fn push(&mut self, chunk: &str) -> Vec<TagEvent> {
        self.buffer.push_str(chunk);
        let events = self.run(false);
        if matches!(self.state, State::Text | State::Think | State::Excess) {
            self.buffer.drain(..self.at);
            self.dropped += self.at;
            self.at = 0;
        }
        events
    }

    /// Ends the stream and gives what was held back. The reader may then be
    /// used for another stream.
    pub fn finish(&mut self) -> Vec<TagEvent> {
        let events = self.run(true);
        *self = Self::new(self.limits);
        events
    }

    fn run(&mut self, ended: bool) -> Vec<TagEvent> {
        let mut events = Events::default();
        while self.step(ended, &mut events) {}
        events.0
    }

    /// One step; false when more text is needed.
    fn step(&mut self, ended: bool, events: &mut Events) -> bool {
        match std::mem::replace(&mut self.state, State::Text) {
            State::Text => self.text(ended, events),
            State::Think => self.think(ended),
            State::Opened { start } => self.opened(start, ended, events),
            State::Inside(tag) => self.inside(tag, ended, events),
            State::Closing { tag, entries, end } => self.closing(tag, entries, end, ended, events),
            State::Broken { start, end, error } => self.broken(start, end, error, ended, events),
            State::Excess => self.excess(),
        }
    }

    fn text(&mut self, ended: bool, events: &mut Events) -> bool {
        let found = find(&self.buffer, self.at, &[OPEN, THINK, THINK_END]);
        let (until, word) = match found {
            Found::Word(until, word) => (until, Some(word)),
            Found::Partial(until) if !ended => (until, None),
            Found::Partial(_) | Found::Nothing => (self.buffer.len(), None),
        };
        events.text(&self.buffer[self.at..until]);
        self.at = until + word.map_or(0, str::len);
        match word {
            Some(OPEN) => self.state = State::Opened { start: until },
            Some(THINK) => self.state = State::Think,
            _ => {}
        }
        word.is_some()
    }

    fn think(&mut self, ended: bool) -> bool {
        match find(&self.buffer, self.at, &[THINK_END]) {
            Found::Word(at, word) => {
                self.at = at + word.len();
                return true;
            }
            Found::Partial(at) if !ended => self.at = at,
            Found::Partial(_) | Found::Nothing => self.at = self.buffer.len(),
        }
        self.state = State::Think;
        false
    }

    fn opened(&mut self, start: usize, ended: bool, events: &mut Events) -> bool {
        let bytes = self.buffer.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        let too_far = self.at - start > self.limits.max_bytes;
        match bytes.get(self.at) {
            Some(b'{') if !too_far => {
                self.at += 1;
                let literal = Literal::new(self.limits.max_depth);
                self.state = State::Inside(Box::new(Tag { start, literal }));
                true
            }
            None if !ended && !too_far => {
                self.state = State::Opened { start };
                false
            }
            _ => {
                // No tag at all. White space behind it was no mark's beginning.
                events.text(&self.buffer[start..self.at]);
                true
            }
        }
    }

    fn inside(&mut self, mut tag: Box<Tag>, ended: bool, events: &mut Events) -> bool {
        let limit = self.limit(&tag);
        let reached = self.buffer.len() >= limit;
        let end = floor_boundary(&self.buffer, limit);
        match tag.literal.advance(&self.buffer[..end], &mut self.at) {
            Advance::Marked => self.state = State::Inside(tag),
            Advance::NeedMore if reached => self.too_long(&tag, end, events),
            Advance::NeedMore if ended => {
                let end = self.buffer.len();
                self.give_up(&tag, end, events);
            }
            Advance::NeedMore => {
                self.state = State::Inside(tag);
                return false;
            }
            Advance::GiveUp => {
                let at = self.at;
                self.give_up(&tag, at, events);
            }
            Advance::Broken(error) => {
                // White space before the fault belongs to what follows.
                let end = self.buffer[..self.at].trim_ascii_end().len();
                self.fail(&tag, end, error, events);
            }
            Advance::Complete(entries) => {
                let end = self.at;
                self.state = State::Closing { tag, entries, end };
            }
        }
        true
    }

    fn closing(
        &mut self,
        tag: Box<Tag>,
        entries: Vec<(String, Value)>,
        end: usize,
        ended: bool,
        events: &mut Events,
    ) -> bool {
        let bytes = self.buffer.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        let too_far = self.at - tag.start > self.limits.max_bytes;
        let found = super::markers::word_at(bytes, self.at, &[CLOSE]);
        match found {
            Found::Word(at, word) if !too_far => {
                let raw = self.raw(tag.start, at);
                self.at = at + word.len();
                let call = validate(entries);
                events.0.push(TagEvent::Tag { raw, call });
            }
            // Also at the buffer's end, which may become anything.
            Found::Partial(_) if !ended && !too_far => {
                self.state = State::Closing { tag, entries, end };
                return false;
            }
            _ => self.fail(&tag, end, TagError::Unclosed, events),
        }
        true
    }

    fn broken(
        &mut self,
        start: usize,
        end: usize,
        error: TagError,
        ended: bool,
        events: &mut Events,
    ) -> bool {
        let limit = end + self.patience(start);
        let reached = self.buffer.len() >= limit;
        let window = floor_boundary(&self.buffer, limit);
        match find(&self.buffer[..window], self.at.min(window), &[CLOSE, OPEN]) {
            Found::Word(at, CLOSE) => {
                let raw = self.raw(start, at);
                self.at = at + CLOSE.len();
                let call = Err(error);
                events.0.push(TagEvent::Tag { raw, call });
                return true;
            }
            Found::Partial(at) if !ended && !reached => self.at = at,
            Found::Nothing if !ended && !reached => self.at = window,
            Found::Word(at, _) => return self.end_at(start, end, end, at, error, events),
            _ => return self.end_at(start, end, end, window, error, events),
        }
        self.state = State::Broken { start, end, error };
        false
    }

    fn excess(&mut self) -> bool {
        match find(&self.buffer, self.at, &[CLOSE, OPEN, BLANK_LINE]) {
            Found::Word(at, CLOSE) => self.at = at + CLOSE.len(),
            Found::Word(at, _) => self.at = at,
            found => {
                self.at = match found {
                    Found::Partial(at) => at,
                    _ => self.buffer.len(),
                };
                self.state = State::Excess;
                return false;
            }
        }
        true
    }

    /// The dictionary is broken at `end`.
    fn fail(&mut self, tag: &Tag, end: usize, error: TagError, events: &mut Events) {
        let at = self.at;
        match tag.literal.marks.fallback() {
            Some(_) => self.give_up(tag, at, events),
            None => {
                self.at = end;
                self.state = State::Broken {
                    start: tag.start,
                    end,
                    error,
                };
            }
        }
    }

    /// Ends a tag that was read up to `read` and will not close.
    fn give_up(&mut self, tag: &Tag, read: usize, events: &mut Events) {
        let error = if tag.literal.in_string() {
            TagError::UnclosedString
        } else {
            TagError::Unclosed
        };
        match tag.literal.marks.fallback() {
            Some(mark) => self.end_at(tag.start, mark.end, mark.resume, read, error, events),
            None => self.end_at(tag.start, read, read, read, error, events),
        };
    }

    /// A tag that reached its limit.
    fn too_long(&mut self, tag: &Tag, read: usize, events: &mut Events) {
        if tag.literal.marks.suspicion().is_some() {
            self.give_up(tag, read, events);
            return;
        }
        let max_bytes = self.limits.max_bytes;
        let error = TagError::TooLarge { max_bytes };
        self.end_at(tag.start, read, read, read, error, events);
        self.state = State::Excess;
    }

    /// An invalid tag that ends at `end`; reading goes on at `resume`.
    fn end_at(
        &mut self,
        start: usize,
        end: usize,
        resume: usize,
        read: usize,
        error: TagError,
        events: &mut Events,
    ) -> bool {
        let raw = self.raw(start, end);
        let call = Err(error);
        events.0.push(TagEvent::Tag { raw, call });
        self.reread += read.saturating_sub(resume);
        self.at = resume;
        true
    }

    fn raw(&self, start: usize, end: usize) -> String {
        self.buffer[start + OPEN.len()..end].to_owned()
    }

    /// The index at which a tag is no longer believed in.
    fn limit(&self, tag: &Tag) -> usize {
        let largest = tag.start + self.limits.max_bytes;
        match tag.literal.marks.suspicion() {
            Some(mark) => largest.min(mark + self.patience(tag.start)),
            None => largest,
        }
    }

    fn patience(&self, start: usize) -> usize {
        PATIENCE.min(self.budget(start))
    }

    /// Bytes that may yet be read again. Depends on the stream alone, never on
    /// how it was cut.
    fn budget(&self, start: usize) -> usize {
        (2 * (self.dropped + start) + FREE_REREADS).saturating_sub(self.reread)
    }

    #[cfg(test)]
    pub(super) const fn reread_bytes(&self) -> usize {
        self.reread
    }
}

fn floor_boundary(text: &str, limit: usize) -> usize {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    end
}
