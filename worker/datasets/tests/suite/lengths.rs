//! Prompts above a run's limit.

use std::sync::Arc;

use illumine_datasets::read::{self, LengthLimit, OverLong, WhenOverLong};
use illumine_datasets::{Dataset, ReadOptions, Split, SplitRule, SystemMessage};

use crate::support::{file, line, refused_as};

fn words(limit: usize, then: WhenOverLong) -> ReadOptions {
    ReadOptions {
        length: Some(LengthLimit {
            measure: Arc::new(|text| text.split_whitespace().count()),
            limit,
            then,
        }),
        ..ReadOptions::default()
    }
}

/// Ten lines; every second one has three words, the others one.
fn content() -> String {
    let lines = (0..10).map(|index| match index % 2 {
        0 => line(r#""one""#, ""),
        _ => line(r#""one two three""#, ""),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn over_long_rows_are_dropped_and_counted() {
    let (_folder, path) = file("a.jsonl", content());
    let loaded = read::load(&path, &words(2, WhenOverLong::Drop)).unwrap();
    assert_eq!(loaded.numbers, [1, 3, 5, 7, 9]);
    assert_eq!(loaded.rows.len(), 5);
    let report = OverLong {
        count: 5,
        first: vec![2, 4, 6, 8, 10],
        limit: 2,
    };
    assert_eq!(loaded.over_long, Some(report));
    // The limit itself is allowed.
    let loaded = read::load(&path, &words(3, WhenOverLong::Drop)).unwrap();
    assert_eq!((loaded.rows.len(), loaded.over_long), (10, None));
}

#[test]
fn a_dataset_says_which_file_lost_rows() {
    let (_folder, path) = file("a.jsonl", content());
    let (_other, short) = file("b.jsonl", line(r#""one""#, ""));
    let options = words(2, WhenOverLong::Drop);
    let dataset = Dataset::read(&[&short, &path], &options, SplitRule::All(Split::Train)).unwrap();
    assert_eq!(dataset.rows.len(), 6);
    assert_eq!(dataset.over_long.len(), 1);
    assert_eq!(
        (dataset.over_long[0].0, dataset.over_long[0].1.count),
        (1, 5)
    );
}

#[test]
fn over_long_rows_are_an_error_that_counts_them() {
    let twice = format!("{}\n{}", content(), content());
    let (code, text) = refused_as("a.jsonl", twice, &words(2, WhenOverLong::Refuse));
    assert_eq!(code, "dataset_prompt_too_long");
    assert_eq!(
        text,
        "a.jsonl: 10 prompts are longer than 2 tokens (rows 2, 4, 6, 8, 10, …); raise the limit, shorten them, or have them dropped"
    );
}

#[test]
fn nothing_left_is_an_error() {
    let (code, text) = refused_as("a.jsonl", content(), &words(0, WhenOverLong::Drop));
    assert_eq!(code, "dataset_prompt_too_long");
    assert_eq!(
        text,
        "a.jsonl: 10 prompts are longer than 0 tokens (rows 1, 2, 3, 4, 5, …); raise the limit, shorten them, or have them dropped"
    );
}

#[test]
fn the_new_system_message_counts() {
    let (_folder, path) = file("a.jsonl", content());
    let options = ReadOptions {
        system: SystemMessage::Replace("two words".to_owned()),
        ..words(3, WhenOverLong::Drop)
    };
    assert_eq!(read::load(&path, &options).unwrap().rows.len(), 5);
}
