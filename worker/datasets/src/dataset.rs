//! Rows in two splits, and where each stands in an epoch.

use std::path::Path;

use crate::error::{DatasetError, Result};
use crate::order;
use crate::read::{self, OverLong, ReadOptions};
use crate::row::Row;
use crate::split::{self, Split, SplitRule, Splits};

/// All rows of one or more files.
#[derive(Clone, Debug, Default)]
pub struct Dataset {
    /// In the files' order.
    pub rows: Vec<Row>,
    /// Which row is in which split.
    pub splits: Splits,
    /// What was dropped for its length, with its file's place among those read.
    pub over_long: Vec<(usize, OverLong)>,
}

impl Dataset {
    /// Reads files one after the other.
    ///
    /// # Errors
    /// Those of [`read::load`]; [`DatasetError::Split`].
    pub fn read(
        paths: &[impl AsRef<Path>],
        options: &ReadOptions,
        rule: SplitRule,
    ) -> Result<Self> {
        let mut dataset = Self::default();
        for (index, path) in paths.iter().enumerate() {
            let loaded = read::load(path, options)?;
            if rule == SplitRule::Column {
                let unsplit = |row: &Row| row.extra_info.split.is_none();
                if let Some(first) = loaded.rows.iter().position(unsplit) {
                    return Err(DatasetError::Split {
                        path: Some(path.as_ref().to_owned()),
                        row: loaded.numbers.get(first).copied(),
                        reason: "`extra_info.split` is missing".to_owned(),
                        remedy: "give every row one, or split by a fraction",
                    });
                }
            }
            dataset.rows.extend(loaded.rows);
            dataset
                .over_long
                .extend(loaded.over_long.map(|over| (index, over)));
        }
        dataset.splits = split::split(&dataset.rows, rule)?;
        Ok(dataset)
    }

    /// A dataset of rows that are already here.
    ///
    /// # Errors
    /// [`DatasetError::Split`].
    pub fn new(rows: Vec<Row>, rule: SplitRule) -> Result<Self> {
        let splits = split::split(&rows, rule)?;
        Ok(Self {
            rows,
            splits,
            over_long: Vec::new(),
        })
    }

    /// The row at `position` of an endless walk through a split, each epoch in an
    /// order of its own: a function of `seed` and `position` alone. None when the
    /// split has no rows.
    #[must_use]
    pub fn at(&self, split: Split, seed: u64, position: u64) -> Option<&Row> {
        let rows = self.splits.of(split);
        let row = rows.get(order::at(seed, position, rows.len()))?;
        self.rows.get(*row)
    }

    /// The rows of a split in the files' order.
    pub fn rows_of(&self, split: Split) -> impl Iterator<Item = &Row> {
        let rows = self.splits.of(split).iter();
        rows.filter_map(|&row| self.rows.get(row))
    }
}
