//! Places, within a string, where the tag may really have ended.

use super::super::{CLOSE, OPEN};

/// Remembered in case the string proves to have been left open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::tag) struct Marks {
    /// The first `</imgen>` or `<imgen>`.
    pub(super) tag: Option<(usize, &'static str)>,
    /// Behind brackets that would have closed the dictionary.
    pub(super) brackets: Option<usize>,
    /// The first blank line.
    pub(super) blank: Option<usize>,
}

/// Where a tag given up ends, and where reading goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::tag) struct Fallback {
    pub(in crate::tag) end: usize,
    pub(in crate::tag) resume: usize,
}

impl Marks {
    /// From here on the string is under suspicion.
    pub(in crate::tag) fn suspicion(&self) -> Option<usize> {
        let tag = self.tag.map(|(at, _)| at);
        tag.into_iter().chain(self.brackets).min()
    }

    pub(in crate::tag) fn fallback(&self) -> Option<Fallback> {
        let at = |end| Fallback { end, resume: end };
        match self.tag {
            Some((end, CLOSE)) => Some(Fallback {
                end,
                resume: end + CLOSE.len(),
            }),
            Some((open, _)) => {
                let earlier = self.brackets.into_iter().chain(self.blank).min();
                Some(at(earlier.map_or(open, |mark| mark.min(open))))
            }
            None => self.brackets.into_iter().chain(self.blank).min().map(at),
        }
    }

    /// A string ended as it should: what it held was its own, unless tag marks
    /// say that it may have been another's.
    pub(super) fn settle(&mut self) {
        self.brackets = None;
        self.blank = None;
    }

    /// Notes a tag's end or beginning; whether it is the first mark.
    pub(super) fn note(&mut self, at: usize, word: &'static str) -> bool {
        let first = self.tag.is_none();
        self.tag.get_or_insert((at, word));
        first
    }

    /// Whether a tag that opens here, within the string, shows that the
    /// string was left open.
    pub(super) fn betrayed_by_open(&self) -> bool {
        let closed = matches!(self.tag, Some((_, word)) if word != OPEN);
        closed || self.brackets.is_some() || self.blank.is_some()
    }
}
