//! What a dataset holds, in numbers.

use std::collections::BTreeMap;

pub use illumine_types::dataset::{Quantiles, Summary};

use crate::dataset::Dataset;
use crate::row::Row;
use crate::split::Split;

/// A [`Summary`] under way: rows go by one at a time and are not kept.
pub struct Tally<'a> {
    measure: &'a dyn Fn(&str) -> usize,
    summary: Summary,
    lengths: Vec<usize>,
}

impl<'a> Tally<'a> {
    /// Of no rows yet; `measure` is a tokenizer's count, or any other.
    #[must_use]
    pub fn new(measure: &'a dyn Fn(&str) -> usize) -> Self {
        let by_split = Split::ALL.map(|split| (split, 0)).into();
        Self {
            measure,
            summary: Summary {
                by_split,
                ..Summary::default()
            },
            lengths: Vec::new(),
        }
    }

    /// One row more, which is for `split`.
    pub fn add(&mut self, row: &Row, split: Split) {
        let summary = &mut self.summary;
        summary.rows += 1;
        count(&mut summary.by_split, split);
        count(&mut summary.by_tool_set, row.tool_set());
        for tool in &row.extra_info.tools {
            count(&mut summary.by_tool, tool.to_string());
        }
        count(&mut summary.by_image_num, row.extra_info.image_num.number());
        summary.with_pictures += usize::from(!row.images.is_empty());
        self.lengths.push(row.prompt.length(self.measure));
    }

    /// All that went by.
    #[must_use]
    pub fn summary(self) -> Summary {
        Summary {
            prompt_length: Quantiles::of(self.lengths),
            ..self.summary
        }
    }
}

impl Dataset {
    /// Counts all rows; `measure` is a tokenizer's count, or any other.
    #[must_use]
    pub fn summary(&self, measure: &dyn Fn(&str) -> usize) -> Summary {
        let mut tally = Tally::new(measure);
        for split in Split::ALL {
            self.rows_of(split).for_each(|row| tally.add(row, split));
        }
        tally.summary()
    }
}

fn count<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    *counts.entry(key).or_default() += 1;
}
