//! Which rows are learnt from and which are measured on.

pub use illumine_types::dataset::Split;

use crate::error::{DatasetError, Result};
use crate::order;
use crate::row::Row;

/// How rows are put into splits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SplitRule {
    /// As `extra_info.split` says, which every row must then have.
    Column,
    /// A share of the rows for testing, drawn by a seed; the column is not read.
    Fraction {
        /// 0 to 1; the number of rows is rounded to the nearest.
        test: f64,
        /// Of the draw.
        seed: u64,
    },
    /// All rows in one split, as when train and test are files of their own.
    All(Split),
}

/// The row numbers of each split, in the rows' order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Splits {
    /// Learnt from.
    pub train: Vec<usize>,
    /// Measured on.
    pub test: Vec<usize>,
}

impl Splits {
    /// The rows of one split.
    #[must_use]
    pub fn of(&self, split: Split) -> &[usize] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

/// The rows' numbers by `rule`.
pub(crate) fn split(rows: &[Row], rule: SplitRule) -> Result<Splits> {
    let refuse = |row: Option<u64>, reason: String, remedy| DatasetError::Split {
        path: None,
        row,
        reason,
        remedy,
    };
    let in_test: Vec<bool> = match rule {
        SplitRule::All(split) => vec![split == Split::Test; rows.len()],
        SplitRule::Column => rows
            .iter()
            .enumerate()
            .map(|(index, row)| match row.extra_info.split {
                Some(split) => Ok(split == Split::Test),
                None => Err(refuse(
                    None,
                    format!("row {}: `extra_info.split` is missing", index + 1),
                    "give every row one, or split by a fraction",
                )),
            })
            .collect::<Result<_>>()?,
        SplitRule::Fraction { test, seed } => {
            if !(0.0..=1.0).contains(&test) {
                let reason = format!("{test} is no share of the rows");
                return Err(refuse(None, reason, "use a number from 0 to 1"));
            }
            let count = (test * rows.len() as f64).round() as usize;
            let mut in_test = vec![false; rows.len()];
            for place in 0..count {
                in_test[order::shuffled(seed, 0, place, rows.len())] = true;
            }
            in_test
        }
    };
    let numbers = |wanted: bool| {
        let all = in_test.iter().enumerate();
        all.filter(|&(_, &test)| test == wanted)
            .map(|(index, _)| index)
            .collect()
    };
    Ok(Splits {
        train: numbers(false),
        test: numbers(true),
    })
}
