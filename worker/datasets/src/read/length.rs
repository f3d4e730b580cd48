//! Prompts that are too long for a run, by its own tokenizer's count.

use std::fmt;
use std::path::Path;

use super::Measure;
use crate::error::{DatasetError, Result};
use crate::row::Prompt;

/// How many row numbers a report names.
const NAMED: usize = 5;

/// The longest prompt a run takes.
#[derive(Clone)]
pub struct LengthLimit {
    /// Counts a text's tokens. A chat counts as the sum over its messages; what a
    /// chat template adds is for the limit to leave room for.
    pub measure: Measure,
    /// In the hook's units, inclusive.
    pub limit: usize,
    /// What becomes of a longer one.
    pub then: WhenOverLong,
}

impl fmt::Debug for LengthLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LengthLimit")
            .field("limit", &self.limit)
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

/// What becomes of over-long prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenOverLong {
    /// Left out, and reported.
    Drop,
    /// An error that counts them, once the whole file is read.
    Refuse,
}

/// The prompts that were dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverLong {
    /// How many.
    pub count: u64,
    /// The first few rows, counted from 1.
    pub first: Vec<u64>,
    /// In the hook's units.
    pub limit: usize,
}

/// Counts as rows go by.
pub(super) struct Check<'a> {
    limit: Option<&'a LengthLimit>,
    count: u64,
    first: Vec<u64>,
}

impl<'a> Check<'a> {
    pub(super) fn new(limit: Option<&'a LengthLimit>) -> Self {
        Self {
            limit,
            count: 0,
            first: Vec::new(),
        }
    }

    /// Whether the row stays.
    pub(super) fn admit(&mut self, number: u64, prompt: &Prompt) -> bool {
        let Some(limit) = self.limit else { return true };
        if prompt.length(&*limit.measure) <= limit.limit {
            return true;
        }
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(number);
        }
        false
    }

    /// `none_left` makes an error of what would be a report.
    pub(super) fn finish(self, path: &Path, none_left: bool) -> Result<Option<OverLong>> {
        let (count, first) = (self.count, self.first);
        match self.limit {
            Some(limit) if count > 0 && (none_left || limit.then == WhenOverLong::Refuse) => {
                Err(DatasetError::OverLong {
                    path: path.to_owned(),
                    count,
                    first,
                    limit: limit.limit,
                })
            }
            Some(limit) if count > 0 => Ok(Some(OverLong {
                count,
                first,
                limit: limit.limit,
            })),
            _ => Ok(None),
        }
    }
}
