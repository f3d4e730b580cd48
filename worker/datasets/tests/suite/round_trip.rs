//! What is written comes back.

use std::path::PathBuf;

use illumine_datasets::{
    ImageNum, Message, Prompt, ReadOptions, Result, Role, Row, Split, generator, read, write,
};
use illumine_types::ToolKind;

use crate::support::{fixture, keep_system, row};

type Writer = fn(PathBuf, &[Row]) -> Result<()>;

const WRITERS: [(&str, Writer); 2] = [
    ("a.parquet", |path, rows| write::parquet(path, rows)),
    ("a.jsonl", |path, rows| write::jsonl(path, rows)),
];

fn through(name: &str, writer: Writer, rows: &[Row]) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    writer(path.clone(), rows).unwrap();
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing lies beside the file");
    read::load(&path, &keep_system()).unwrap().rows
}

/// Rows that differ in everything a column can be.
fn varied() -> Vec<Row> {
    let mut full = row("Größe, \"quoted\"\nand 日本");
    full.prompt = Prompt::Messages(vec![
        Message {
            role: Role::System,
            content: "rules".to_owned(),
        },
        Message::user("first"),
        Message {
            role: Role::Assistant,
            content: String::new(),
        },
        Message::user("Größe, \"quoted\"\nand 日本"),
    ]);
    full.data_source = "here".to_owned();
    full.extra_info.split = Some(Split::Test);
    full.extra_info.image_num = ImageNum::AtLeastOne;
    full.extra_info.tools = ToolKind::ALL.to_vec();
    full.extra_info.question = Some("Another question".to_owned());
    full.extra_info.index = Some(-5);
    let fixtures = read::load(fixture("pandas.parquet"), &ReadOptions::default());
    full.images = fixtures.unwrap().rows[1].images.clone();
    let mut none = row("plain");
    none.extra_info.image_num = ImageNum::NoPicture;
    vec![none.clone(), full.clone(), none, full]
}

#[test]
fn every_field_comes_back() {
    for (name, writer) in WRITERS {
        assert_eq!(through(name, writer, &varied()), varied(), "{name}");
    }
}

#[test]
fn texts_stay_texts_where_all_are() {
    let text = |text: &str| Row {
        prompt: Prompt::Text(text.to_owned()),
        ..row("")
    };
    for (name, writer) in WRITERS {
        let texts = [text("a"), text("b")];
        assert_eq!(through(name, writer, &texts), texts, "{name}");
        let mixed = through(name, writer, &[text("a"), row("b")]);
        assert_eq!(mixed, [row("a"), row("b")], "{name}: one type a column");
    }
}

#[test]
fn several_row_groups_come_back_in_order() {
    let rows: Vec<Row> = (0..1_300)
        .map(|number| row(&format!("prompt {number}")))
        .collect();
    for (name, writer) in WRITERS {
        assert_eq!(through(name, writer, &rows), rows, "{name}");
    }
}

#[test]
fn generated_rows_come_back() {
    let rows = generator::test(1).unwrap();
    for (name, writer) in WRITERS {
        assert_eq!(through(name, writer, &rows), rows, "{name}");
    }
}
