//! What a person is shown of a dataset.

use illumine_datasets::summary::Quantiles;
use illumine_datasets::{Dataset, ReadOptions, SplitRule, Summary, read};

use crate::support::fixture;

#[test]
fn counts_of_a_small_file() {
    let rows = read::load(fixture("pandas.parquet"), &ReadOptions::default());
    let dataset = Dataset::new(rows.unwrap().rows, SplitRule::Column).unwrap();
    let words = |text: &str| text.split_whitespace().count();
    let summary = serde_json::to_value(dataset.summary(&words)).unwrap();
    assert_eq!(
        summary,
        serde_json::json!({
            "rows": 3,
            "by_split": {"train": 2, "test": 1},
            "by_tool_set": {"none": 1, "search": 1, "code+edit": 1},
            "by_tool": {"search": 1, "code": 1, "edit": 1},
            "by_image_num": {"-1": 1, "1": 1, "99": 1},
            "with_pictures": 1,
            "prompt_length": {"min": 4, "p50": 4, "p90": 8, "p99": 8, "max": 8},
        })
    );
    let back: Summary = serde_json::from_value(summary).unwrap();
    assert_eq!(back, dataset.summary(&words));
}

#[test]
fn quantiles_are_of_the_list() {
    let quantiles = Quantiles::of((1..=200).rev().collect());
    let found = [
        quantiles.min,
        quantiles.p50,
        quantiles.p90,
        quantiles.p99,
        quantiles.max,
    ];
    assert_eq!(found, [1, 100, 180, 198, 200]);
    assert_eq!(Quantiles::of(Vec::new()), Quantiles::default());
}
