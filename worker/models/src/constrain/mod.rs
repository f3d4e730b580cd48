//! Constrained decoding: only tokens that keep the text grammatical may follow.
//!
//! A [`Grammar`] is the state of an acceptor that reads bytes: a small value
//! that is copied, compared and hashed. [`Masks`] runs it over the whole
//! vocabulary, in the order of a trie, and remembers what it found for each state
//! (Willard and Louf, arXiv:2307.09702, §3, with states met on the way in place
//! of an index made beforehand).

mod json;
mod mask;
mod string;
mod tag;

pub use mask::{Mask, Masks};

use self::json::JsonGrammar;
use self::tag::TagGrammar;

/// What an answer must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Constraint {
    /// Anything.
    #[default]
    None,
    /// Text in which every `<imgen>` is followed by a valid call of a tool, in
    /// JSON with its keys in their order, and `</imgen>`. An edit names one of
    /// the `inputs` pictures or an earlier tag's.
    Tags {
        /// Pictures that came with the prompt.
        inputs: usize,
    },
    /// One JSON object and nothing else (RFC 8259).
    JsonObject,
}

/// Where a text stands in its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Grammar {
    /// Of [`Constraint::Tags`].
    Tags(TagGrammar),
    /// Of [`Constraint::JsonObject`].
    Json(JsonGrammar),
}

impl Grammar {
    /// The beginning of a text; none when it may be anything.
    pub fn start(constraint: Constraint) -> Option<Self> {
        match constraint {
            Constraint::None => None,
            Constraint::Tags { inputs } => Some(Self::Tags(TagGrammar::new(inputs))),
            Constraint::JsonObject => Some(Self::Json(JsonGrammar::new())),
        }
    }

    /// The state behind `byte`; none when it may not follow.
    #[must_use]
    pub fn step(self, byte: u8) -> Option<Self> {
        match self {
            Self::Tags(state) => state.step(byte).map(Self::Tags),
            Self::Json(state) => state.step(byte).map(Self::Json),
        }
    }

    /// The state behind `bytes`; none when they may not follow.
    #[must_use]
    pub fn run(self, bytes: &[u8]) -> Option<Self> {
        bytes.iter().try_fold(self, |state, byte| state.step(*byte))
    }

    /// A state behind which the same tokens may come, provided that none of them
    /// holds [`tag::INDEX_WORD`].
    #[must_use]
    fn simplest(self) -> Self {
        match self {
            Self::Tags(state) => Self::Tags(state.simplest()),
            Self::Json(_) => self,
        }
    }

    /// Whether the text may end here, and tokens that stand for no text, such as
    /// the one that ends an answer, may come.
    pub const fn may_end(self) -> bool {
        match self {
            Self::Tags(state) => state.is_outside(),
            Self::Json(state) => state.is_done(),
        }
    }

    /// Whether nothing may follow.
    pub const fn is_done(self) -> bool {
        match self {
            Self::Tags(_) => false,
            Self::Json(state) => state.is_done(),
        }
    }
}
