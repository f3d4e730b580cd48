//! What a dataset holds, in numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::row::Row;
use crate::split::Split;

/// Counts over all rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// All rows.
    pub rows: usize,
    /// Rows a split; a split without rows is there with 0.
    pub by_split: BTreeMap<Split, usize>,
    /// Rows by the whole set of tools: `search+code`, `none`.
    pub by_tool_set: BTreeMap<String, usize>,
    /// Rows that each tool suits; a row counts once for each of its tools.
    pub by_tool: BTreeMap<String, usize>,
    /// Rows by `image_num`.
    pub by_image_num: BTreeMap<i64, usize>,
    /// Rows with at least one input picture.
    pub with_pictures: usize,
    /// Of the prompts, in the units of the measure.
    pub prompt_length: Quantiles,
}

/// Of a list of lengths; each is one of the list (nearest rank). All 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The shortest.
    pub min: usize,
    /// Half are no longer.
    pub p50: usize,
    /// Nine in ten are no longer.
    pub p90: usize,
    /// 99 in a hundred are no longer.
    pub p99: usize,
    /// The longest.
    pub max: usize,
}

impl Summary {
    /// Counts `dataset`; `measure` is a tokenizer's count, or any other.
    #[must_use]
    pub fn of(dataset: &Dataset, measure: &dyn Fn(&str) -> usize) -> Self {
        let rows = &dataset.rows;
        let splits = [Split::Train, Split::Test];
        let lengths = rows.iter().map(|row| row.prompt.length(measure)).collect();
        let tools = |row: &Row| row.extra_info.tools.clone();
        Self {
            rows: rows.len(),
            by_split: splits
                .map(|split| (split, dataset.splits.of(split).len()))
                .into(),
            by_tool_set: count(rows.iter().map(Row::tool_set)),
            by_tool: count(rows.iter().flat_map(tools).map(|tool| tool.to_string())),
            by_image_num: count(rows.iter().map(|row| row.extra_info.image_num.number())),
            with_pictures: rows.iter().filter(|row| !row.images.is_empty()).count(),
            prompt_length: Quantiles::of(lengths),
        }
    }
}

impl Quantiles {
    /// Of `lengths`, in any order.
    #[must_use]
    pub fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (lengths.len() * percent).div_ceil(100).max(1);
            lengths.get(rank - 1).copied().unwrap_or(0)
        };
        Self {
            min: percentile(0),
            p50: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            max: percentile(100),
        }
    }
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}
