//! Which rows are learnt from, and when.

use illumine_datasets::{Dataset, ReadOptions, Row, Split, SplitRule, order};

use crate::support::{file, line, row, told};

fn rows(count: usize) -> Vec<Row> {
    (0..count).map(|number| row(&number.to_string())).collect()
}

#[test]
fn the_column_decides() {
    let mut rows = rows(4);
    for (row, word) in rows.iter_mut().zip(["train", "val", "test", "train"]) {
        row.extra_info.split = Split::parse(word);
    }
    let dataset = Dataset::new(rows, SplitRule::Column).unwrap();
    assert_eq!(dataset.splits.train, [0, 3]);
    assert_eq!(dataset.splits.test, [1, 2]);
    let tests: Vec<&str> = dataset.rows_of(Split::Test).map(Row::question).collect();
    assert_eq!(tests, ["1", "2"]);
}

#[test]
fn a_row_without_a_split_is_named() {
    let bare = r#"{"prompt": "p", "extra_info": {"image_num": 1, "tools": []}}"#;
    let (folder, path) = file("a.jsonl", format!("{}\n\n{bare}\n", line(r#""p""#, "")));
    let read = |rule| Dataset::read(&[&path], &ReadOptions::default(), rule);
    let (code, text) = told(&read(SplitRule::Column).unwrap_err(), folder.path());
    assert_eq!(code, "dataset_split_invalid");
    assert_eq!(
        text,
        "a.jsonl: row 3: `extra_info.split` is missing; give every row one, or split by a fraction"
    );
    assert_eq!(
        read(SplitRule::All(Split::Test)).unwrap().splits.test,
        [0, 1]
    );
    let error = Dataset::new(rows(2), SplitRule::Column).unwrap_err();
    assert_eq!(
        error.to_string(),
        "split: row 1: `extra_info.split` is missing; give every row one, or split by a fraction"
    );
}

#[test]
fn a_fraction_is_drawn_by_its_seed() {
    let split = |test, seed| {
        let rule = SplitRule::Fraction { test, seed };
        Dataset::new(rows(50), rule).unwrap().splits
    };
    let first = split(0.2, 1);
    assert_eq!((first.train.len(), first.test.len()), (40, 10));
    assert_eq!(first, split(0.2, 1));
    assert_ne!(first, split(0.2, 2));
    let mut all = [first.train.clone(), first.test].concat();
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    assert!(first.train.is_sorted());
    assert_eq!(split(0.0, 1).test.len(), 0);
    assert_eq!(split(1.0, 1).train.len(), 0);
}

#[test]
fn a_share_that_is_none_is_refused() {
    for test in [-0.1, 1.1, f64::NAN] {
        let error = Dataset::new(rows(5), SplitRule::Fraction { test, seed: 0 }).unwrap_err();
        assert_eq!(error.code(), "dataset_split_invalid");
        assert_eq!(
            error.to_string(),
            format!("split: {test} is no share of the rows; use a number from 0 to 1")
        );
    }
}

#[test]
fn a_place_in_the_data_is_one_number() {
    let rule = SplitRule::Fraction { test: 0.3, seed: 4 };
    let dataset = Dataset::new(rows(20), rule).unwrap();
    let epoch = |number: u64| -> Vec<&str> {
        let places = number * 14..(number + 1) * 14;
        places
            .map(|position| dataset.at(Split::Train, 9, position).unwrap().question())
            .collect()
    };
    let (mut first, mut second) = (epoch(0), epoch(1));
    assert_ne!(first, second, "each epoch has its own order");
    assert_eq!(first, epoch(0));
    first.sort_unstable();
    second.sort_unstable();
    assert_eq!(first, second, "and all rows");
    // The same by hand.
    let train = &dataset.splits.train;
    let row = train[order::shuffled(9, 2, 5, 14)];
    let there = dataset.at(Split::Train, 9, 2 * 14 + 5).unwrap();
    assert_eq!(there, &dataset.rows[row]);
}

#[test]
fn an_empty_split_has_no_rows_at_any_place() {
    let dataset = Dataset::new(rows(2), SplitRule::All(Split::Train)).unwrap();
    assert!(dataset.at(Split::Test, 0, 0).is_none());
}
