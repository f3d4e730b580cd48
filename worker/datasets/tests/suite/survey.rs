//! Uploads: looked through, counted, shown, refused.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use illumine_datasets::survey::{Survey, survey};
use illumine_datasets::{DatasetError, Split, SplitRule, demo};
use illumine_types::dataset::{DatasetRow, PROMPT_CHARACTERS};
use image::ImageFormat;

use crate::support::{file, fixture, line, png};

type Shown = Vec<(Split, DatasetRow)>;

fn look(files: &[(PathBuf, String)]) -> Result<(Survey, Shown), DatasetError> {
    let mut shown = Vec::new();
    let survey = survey(files, |split, row| {
        shown.push((split, row));
        Ok(())
    })?;
    Ok((survey, shown))
}

fn one(name: &str, content: impl AsRef<[u8]>) -> Result<(Survey, Shown), DatasetError> {
    let (_folder, path) = file(name, content);
    look(&[(path, name.to_owned())])
}

#[track_caller]
fn refused(content: impl AsRef<[u8]>, wanted: &str) {
    let error = one("rows.jsonl", content).unwrap_err();
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn it_counts_what_a_dataset_counts_and_shows_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let paths = demo::unpack(folder.path()).unwrap();
    let named: Vec<_> = paths
        .iter()
        .map(|path| (path.clone(), "x".into()))
        .collect();
    let (found, shown) = look(&named).unwrap();
    let options = illumine_datasets::ReadOptions::default();
    let dataset = illumine_datasets::Dataset::read(&paths, &options, SplitRule::Column).unwrap();
    let characters = |text: &str| text.chars().count();
    assert_eq!(found.summary, dataset.summary(&characters));
    assert_eq!(found.rows.iter().sum::<u64>(), dataset.rows.len() as u64);
    assert_eq!(shown.len(), dataset.rows.len());
    let tests = shown.iter().filter(|(split, _)| *split == Split::Test);
    assert_eq!(tests.count(), dataset.splits.test.len());
    for ((_, shown), row) in shown.iter().zip(&dataset.rows) {
        assert_eq!(shown.tools, row.extra_info.tools);
        assert_eq!(shown.pictures.len(), row.images.len());
        assert_eq!(shown.prompt, row.prompt.user_text());
    }
}

#[test]
fn a_rows_pictures_are_shown_small_and_its_prompt_in_part() {
    let bytes = STANDARD.encode(png(400, 100));
    let images = vec![format!(r#"{{"bytes": "{bytes}"}}"#); 6].join(",");
    let long = "ü".repeat(1_001);
    let row = line(&format!("{long:?}"), &format!(r#", "images": [{images}]"#));
    let (_, shown) = one("rows.jsonl", format!("\n{row}\n")).unwrap();
    let (split, shown) = &shown[0];
    assert_eq!((*split, shown.row), (Split::Train, 2));
    assert_eq!((shown.prompt.chars().count(), shown.cut), (1_000, true));
    assert_eq!(shown.pictures.len(), 6);
    assert_eq!(
        (shown.pictures[5].width, shown.pictures[5].height),
        (400, 100)
    );
    assert_eq!(shown.pictures[4].thumbnail, None);
    let address = shown.pictures[3].thumbnail.as_ref().unwrap();
    let jpeg = address.strip_prefix("data:image/jpeg;base64,").unwrap();
    let jpeg = STANDARD.decode(jpeg).unwrap();
    let small = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap();
    assert_eq!((small.width(), small.height()), (96, 24));
}

#[test]
fn problems_name_the_file_as_its_owner_does() {
    let good = line(r#""p""#, "");
    let unsplit = good.replace(r#""split": "train", "#, "");
    refused(
        format!("{good}\n{unsplit}\n"),
        "rows.jsonl: row 2: `extra_info.split` is missing; use train, or one of test, val, validation, dev, eval",
    );
    refused(
        line(r#""p""#, r#", "images": ["a/b.png"]"#),
        "rows.jsonl: row 1: `images[0]`: is missing: \"a/b.png\" is a path, and no files of pictures come along; \
         write the picture into the row: bytes in Parquet, {\"bytes\": \"base64\"} in JSON lines",
    );
    let long = line(&format!("{:?}", "x".repeat(PROMPT_CHARACTERS + 1)), "");
    let fits = line(&format!("{:?}", "ü".repeat(PROMPT_CHARACTERS)), "");
    assert!(one("rows.jsonl", &fits).is_ok());
    refused(
        format!("{good}\n{long}\n{good}\n{long}\n"),
        "rows.jsonl: row 2: `prompt`: has more than 32000 characters, as in another row; \
         shorten it, or leave the row out",
    );
    refused(
        &long,
        "rows.jsonl: row 1: `prompt`: has more than 32000 characters; shorten it, or leave the row out",
    );
    let whole = std::fs::read(fixture("pandas.parquet")).unwrap();
    let cut = one("rows.parquet", &whole[..whole.len() / 2]).unwrap_err();
    assert_eq!(cut.code(), "dataset_file_damaged");
    assert!(
        cut.to_string()
            .starts_with("rows.parquet: damaged Parquet file"),
        "{cut}"
    );
}

#[test]
fn the_second_file_is_looked_at_as_closely() {
    let (_a, first) = file("a.jsonl", line(r#""p""#, ""));
    let (_b, second) = file("b.jsonl", line(r#""p""#, r#", "promt": 1"#));
    let files = [
        (first.clone(), "a".to_owned()),
        (second, "second.jsonl".to_owned()),
    ];
    let error = look(&files).unwrap_err();
    assert_eq!(error.code(), "dataset_column_unknown");
    assert!(
        error.to_string().starts_with("second.jsonl: row 1: "),
        "{error}"
    );
    let (found, _) = look(&[(first.clone(), "a".into()), (first, "b".into())]).unwrap();
    assert_eq!((found.rows, found.summary.rows), (vec![1, 1], 2));
}
