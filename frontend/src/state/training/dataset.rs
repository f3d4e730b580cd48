//! Datasets: what is sent, and what their numbers say.

use illumine_types::ToolKind;
use illumine_types::dataset::{Dataset, DatasetFile, DatasetId, Split, UPLOAD_BYTES, UPLOAD_FILES};

use super::bytes::size;
use crate::state::filter::encoded;
use crate::state::words::{counted, grouped, tool_name};

/// Rows shown at a time.
pub const PAGE: usize = 25;

/// One line of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub label: String,
    pub count: usize,
    /// Of the longest, in 0..=1.
    pub share: f64,
}

fn bars(lines: Vec<(String, usize)>) -> Vec<Bar> {
    let most = lines.iter().map(|line| line.1).max().unwrap_or(0).max(1);
    let bar = |(label, count): (String, usize)| Bar {
        label,
        count,
        share: count as f64 / most as f64,
    };
    lines.into_iter().map(bar).collect()
}

pub const fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "Learnt from",
        Split::Test => "Measured on",
    }
}

/// What a row's `image_num` asks for.
pub fn image_num_name(number: i64) -> String {
    match number {
        -1 => "No picture".to_owned(),
        0 => "As it likes".to_owned(),
        99 => "At least one".to_owned(),
        n => counted(usize::try_from(n).unwrap_or(0), "picture"),
    }
}

pub fn split_bars(dataset: &Dataset) -> Vec<Bar> {
    let count = |split| dataset.summary.by_split.get(&split).copied().unwrap_or(0);
    bars(
        Split::ALL
            .map(|split| (split_name(split).to_owned(), count(split)))
            .into(),
    )
}

/// A row counts once for each of its tools.
pub fn tool_bars(dataset: &Dataset) -> Vec<Bar> {
    let summary = &dataset.summary;
    let count = |tool: ToolKind| summary.by_tool.get(tool.as_str()).copied().unwrap_or(0);
    let mut lines: Vec<(String, usize)> = ToolKind::ALL
        .map(|tool| (tool_name(tool).to_owned(), count(tool)))
        .into();
    let none = summary.by_tool_set.get("none").copied().unwrap_or(0);
    lines.push(("No tool".to_owned(), none));
    bars(lines)
}

pub fn image_num_bars(dataset: &Dataset) -> Vec<Bar> {
    let lines = dataset.summary.by_image_num.iter();
    bars(
        lines
            .map(|(number, count)| (image_num_name(*number), *count))
            .collect(),
    )
}

/// A line about a dataset where one is chosen.
pub fn choice(dataset: &Dataset) -> String {
    let rows = grouped(dataset.summary.rows);
    format!("{} ({rows} rows)", dataset.name)
}

/// What is wrong with files before they are sent, by name and size.
pub fn complaint(files: &[(String, f64)]) -> Option<String> {
    if files.is_empty() {
        return Some("Choose at least one .parquet or .jsonl file.".into());
    }
    if files.len() > UPLOAD_FILES {
        return Some(format!("At most {UPLOAD_FILES} files can be sent at once."));
    }
    for (index, (name, _)) in files.iter().enumerate() {
        if DatasetFile::stored_as(name, index).is_none() {
            return Some(format!("{name} is neither a .parquet nor a .jsonl file."));
        }
        if files.iter().take(index).any(|(other, _)| other == name) {
            return Some(format!("There are two files of the name {name}."));
        }
    }
    let bytes: f64 = files.iter().map(|file| file.1).sum();
    (bytes > UPLOAD_BYTES as f64).then(|| {
        format!(
            "These files have {} together; at most {} can be sent.",
            size(bytes as u64),
            size(UPLOAD_BYTES)
        )
    })
}

/// A name for a dataset of this file, for who has no better one.
pub fn suggested_name(file: &str) -> String {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    stem.replace(['_', '-'], " ")
}

/// Where a dataset is looked at.
pub fn page(id: &DatasetId) -> String {
    format!("/training/datasets/{id}")
}

/// The same, at rows of a split.
pub fn page_at(id: &str, split: Split, offset: usize) -> String {
    let split = split.as_str();
    format!(
        "/training/datasets/{}?split={split}&from={}",
        encoded(id),
        offset + 1
    )
}

/// Which rows an address names; its first row is number 1.
pub fn place(get: impl Fn(&str) -> Option<String>) -> (Split, usize) {
    let split = get("split").and_then(|word| Split::parse(&word));
    let from = get("from").and_then(|word| word.parse::<usize>().ok());
    let offset = from.unwrap_or(1).saturating_sub(1);
    (split.unwrap_or(Split::Train), offset)
}

#[cfg(test)]
mod tests {
    use illumine_types::dataset::Summary;

    use super::*;

    fn dataset() -> Dataset {
        Dataset {
            id: DatasetId::demo(),
            name: "Owls".into(),
            files: Vec::new(),
            bytes: 0,
            summary: Summary {
                rows: 1_200,
                by_split: [(Split::Train, 900), (Split::Test, 300)].into(),
                by_tool_set: [("none".into(), 100), ("search+code".into(), 1_100)].into(),
                by_tool: [("search".into(), 1_100), ("code".into(), 550)].into(),
                by_image_num: [(-1, 100), (0, 1), (1, 2), (3, 4), (99, 5)].into(),
                ..Summary::default()
            },
            created_at: None,
        }
    }

    #[test]
    fn figures_tell_every_count() {
        let told = |bars: Vec<Bar>| -> Vec<(String, usize, f64)> {
            let bars = bars.into_iter();
            bars.map(|bar| (bar.label, bar.count, bar.share)).collect()
        };
        let split = told(split_bars(&dataset()));
        assert_eq!(split[1], ("Measured on".into(), 300, 1.0 / 3.0));
        let tools = told(tool_bars(&dataset()));
        assert_eq!(tools.len(), 5);
        assert_eq!(tools[0], ("Search".into(), 1_100, 1.0));
        assert_eq!(tools[2], ("Charts".into(), 550, 0.5));
        assert_eq!(tools[4].1, 100);
        let labels: Vec<String> = image_num_bars(&dataset())
            .into_iter()
            .map(|bar| bar.label)
            .collect();
        assert_eq!(
            labels,
            [
                "No picture",
                "As it likes",
                "1 picture",
                "3 pictures",
                "At least one"
            ]
        );
        let empty = Dataset {
            summary: Summary::default(),
            ..dataset()
        };
        assert!(split_bars(&empty).iter().all(|bar| bar.share == 0.0));
        assert_eq!(choice(&dataset()), "Owls (1\u{202f}200 rows)");
    }

    #[test]
    fn files_are_checked_before_they_are_sent() {
        let files = |files: &[(&str, f64)]| {
            let files: Vec<_> = files
                .iter()
                .map(|(name, size)| ((*name).to_owned(), *size))
                .collect();
            complaint(&files)
        };
        assert_eq!(files(&[("a.jsonl", 5.0), ("b.PARQUET", 2e8)]), None);
        assert!(files(&[]).unwrap().contains("at least one"));
        assert!(
            files(&[("a.csv", 1.0)])
                .unwrap()
                .starts_with("a.csv is neither")
        );
        assert!(
            files(&[("a.jsonl", 1.0), ("a.jsonl", 1.0)])
                .unwrap()
                .contains("two files")
        );
        assert!(
            files(&[("a.jsonl", 2e8), ("b.jsonl", 2e8)])
                .unwrap()
                .contains("400 MB")
        );
        assert!(
            files(&[("a.jsonl", 1.0); 17])
                .unwrap()
                .contains("At most 16")
        );
    }

    #[test]
    fn the_address_names_the_rows() {
        let read = |query: &'static str| {
            place(move |name| {
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs
                    .find(|pair| pair.0 == name)
                    .map(|pair| pair.1.to_owned())
            })
        };
        assert_eq!(read(""), (Split::Train, 0));
        assert_eq!(read("split=test&from=26"), (Split::Test, 25));
        assert_eq!(read("split=x&from=0"), (Split::Train, 0));
        let path = page_at("dat_1", Split::Test, 25);
        assert_eq!(path, "/training/datasets/dat_1?split=test&from=26");
        assert_eq!(suggested_name("night_owls-2.jsonl"), "night owls 2");
    }
}
