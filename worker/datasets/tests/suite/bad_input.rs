//! Every error names file, row and field, and says what to do.

use illumine_datasets::{DatasetError, ReadOptions, UnknownColumns, read, write};

use crate::support::{file, fixture, header_only, line, refused, refused_as, row, told};

#[track_caller]
fn field(content: &str, wanted: &str) {
    let (code, text) = refused(content);
    assert_eq!(text, wanted);
    assert_eq!(code, "dataset_field_invalid");
}

#[track_caller]
fn extra(extra_info: &str, wanted: &str) {
    let content = format!(r#"{{"prompt": "p", "extra_info": {extra_info}}}"#);
    field(&content, wanted);
}

const PROMPT: &str = "write text, or a list of {\"role\", \"content\"} with a user's message";

#[test]
fn prompts() {
    let said = |reason: &str| format!("bad.jsonl: row 1: `prompt`: {reason}; {PROMPT}");
    field(&line("null", ""), &said("is missing"));
    field(
        &line("7", ""),
        &said("is an integer where text or a list of messages is wanted"),
    );
    field(&line(r#"" \n""#, ""), &said("has no user text"));
    field(&line("[]", ""), &said("has no user text"));
    let system_only = r#"[{"role": "system", "content": "rules"}]"#;
    field(&line(system_only, ""), &said("has no user text"));
}

#[test]
fn messages() {
    const REMEDY: &str = "write messages as {\"role\", \"content\"}, both text";
    field(
        &line(r#"[{"role": "user", "content": "a"}, "b"]"#, ""),
        &format!("bad.jsonl: row 1: `prompt[1]`: is text where a message is wanted; {REMEDY}"),
    );
    field(
        &line(r#"[{"role": "user"}]"#, ""),
        &format!("bad.jsonl: row 1: `prompt[0].content`: is missing; {REMEDY}"),
    );
    field(
        &line(r#"[{"role": 1, "content": "a"}]"#, ""),
        &format!(
            "bad.jsonl: row 1: `prompt[0].role`: is an integer where text is wanted; {REMEDY}"
        ),
    );
    field(
        &line(r#"[{"role": "robot", "content": "a"}]"#, ""),
        "bad.jsonl: row 1: `prompt[0].role`: \"robot\" is no role; use one of system, user, assistant",
    );
}

#[test]
fn numbers_of_pictures() {
    const DOMAIN: &str =
        "use -1 (no picture), 0 (free), 1 to 98 (exactly that many) or 99 (at least one)";
    let at = "bad.jsonl: row 1: `extra_info.image_num`:";
    extra(r#"{"tools": []}"#, &format!("{at} is missing; {DOMAIN}"));
    for number in [-2, 100, 1_000] {
        extra(
            &format!(r#"{{"image_num": {number}, "tools": []}}"#),
            &format!("{at} {number} is out of range; {DOMAIN}"),
        );
    }
    extra(
        r#"{"image_num": "two", "tools": []}"#,
        &format!("{at} is text where an integer is wanted; write a whole number"),
    );
    extra(
        r#"{"image_num": 1.5, "tools": []}"#,
        &format!("{at} is a decimal number where an integer is wanted; write a whole number"),
    );
}

#[test]
fn tools() {
    const REMEDY: &str = "use a list of search, diffusion, code, edit; an empty one for none";
    let at = "bad.jsonl: row 1: `extra_info.tools`:";
    extra(r#"{"image_num": 1}"#, &format!("{at} is missing; {REMEDY}"));
    extra(
        r#"{"image_num": 1, "tools": ["search", "draw"]}"#,
        &format!("{at} \"draw\" is no tool; {REMEDY}"),
    );
    extra(
        r#"{"image_num": 1, "tools": "search, draw"}"#,
        &format!("{at} \"draw\" is no tool; {REMEDY}"),
    );
    extra(
        r#"{"image_num": 1, "tools": [3]}"#,
        &format!("{at} is an integer where a tool's name is wanted; {REMEDY}"),
    );
    extra(
        r#"{"image_num": 1, "tools": {"a": 1}}"#,
        &format!("{at} is a struct where a list of names is wanted; {REMEDY}"),
    );
}

#[test]
fn other_fields() {
    extra(
        "null",
        "bad.jsonl: row 1: `extra_info`: is missing; write {\"split\", \"image_num\", \"tools\", \"question\"}",
    );
    extra(
        "[]",
        "bad.jsonl: row 1: `extra_info`: is a list where a struct is wanted; write {\"split\", \"image_num\", \"tools\", \"question\"}",
    );
    extra(
        r#"{"image_num": 1, "tools": [], "split": "trian"}"#,
        "bad.jsonl: row 1: `extra_info.split`: \"trian\" is no split; use train, or one of test, val, validation, dev, eval",
    );
    extra(
        r#"{"image_num": 1, "tools": [], "question": true}"#,
        "bad.jsonl: row 1: `extra_info.question`: is a truth value where text is wanted; write text or leave it out",
    );
    field(
        &line(r#""p""#, r#", "data_source": 3"#),
        "bad.jsonl: row 1: `data_source`: is an integer where text is wanted; write text or leave it out",
    );
}

#[test]
fn lines() {
    let good = line(r#""p""#, "");
    field(
        &format!("{good}\n\nnonsense\n"),
        "bad.jsonl: row 3: `(row)`: is no JSON (expected ident at line 1 column 2); write one JSON object a line",
    );
    field(
        &format!("{good}\n[1]\n"),
        "bad.jsonl: row 2: `(row)`: is a list where an object is wanted; write one JSON object a line",
    );
    let (code, text) = refused(format!("{good}\n{}", &good[..40]));
    assert_eq!(code, "dataset_file_damaged");
    assert_eq!(
        text,
        "bad.jsonl: damaged JSON lines file: line 2 ends in the middle of a value; copy or download it again"
    );
}

#[test]
fn unknown_columns() {
    let (code, text) = refused(line(r#""p""#, r#", "promt": 1"#));
    assert_eq!(code, "dataset_column_unknown");
    assert_eq!(
        text,
        "bad.jsonl: row 1: unknown column `promt`; the known ones are `prompt`, `images`, `data_source`, `extra_info`; remove or rename it, or read with unknown columns ignored"
    );
    let (_, text) = refused(r#"{"prompt": "p", "extra_info": {"image_nums": 1}}"#);
    assert!(
        text.starts_with("bad.jsonl: row 1: unknown column `extra_info.image_nums`; the known ones are `extra_info.split`, `extra_info.image_num`,"),
        "{text}"
    );
    // Parquet's schema says it for all rows at once.
    for (name, column) in [
        ("more_columns.parquet", "ability"),
        ("more_fields.parquet", "extra_info.difficulty"),
    ] {
        let error = read::load(fixture(name), &ReadOptions::default()).unwrap_err();
        let (code, text) = told(&error, fixture("").as_path());
        assert_eq!(code, "dataset_column_unknown");
        let found = format!("{name}: unknown column `{column}`; the known ones are `");
        assert!(text.trim_start_matches('/').contains(&found), "{text}");
    }
}

#[test]
fn unknown_columns_can_be_ignored() {
    let options = ReadOptions {
        unknown_columns: UnknownColumns::Ignore,
        ..ReadOptions::default()
    };
    let (_folder, path) = file("good.jsonl", line(r#""p""#, r#", "promt": 1"#));
    assert_eq!(read::load(&path, &options).unwrap().rows.len(), 1);
    for name in ["more_columns.parquet", "more_fields.parquet"] {
        assert_eq!(read::load(fixture(name), &options).unwrap().rows.len(), 3);
    }
}

#[test]
fn files_of_no_known_kind() {
    let kind = |name: &str, content: &[u8], wanted: &str| {
        let (code, text) = refused_as(name, content, &ReadOptions::default());
        assert_eq!(text, wanted);
        assert_eq!(code, "dataset_format_unknown");
    };
    kind(
        "a.csv",
        b"a,b",
        "a.csv: neither Parquet nor JSON lines; give a .parquet or .jsonl file",
    );
    kind(
        "a.json",
        b" [\n{}]",
        "a.json: one JSON list in place of JSON lines; write one object a line",
    );
    kind(
        "a.jsonl",
        &[0x1F, 0x8B, 8],
        "a.jsonl: a compressed file; unpack it first",
    );
    kind(
        "a.parquet",
        b"PARE....",
        "a.parquet: an encrypted Parquet file; write it without encryption",
    );
}

#[test]
fn files_without_rows() {
    for (name, content) in [("a.jsonl", ""), ("a.parquet", ""), ("a.jsonl", "\n \n")] {
        let (code, text) = refused_as(name, content, &ReadOptions::default());
        assert_eq!(code, "dataset_empty");
        assert_eq!(
            text,
            format!("{name}: no rows; give a file with at least one")
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.parquet");
    write::parquet(&path, &[]).unwrap();
    let error = read::load(&path, &ReadOptions::default()).unwrap_err();
    assert_eq!(error.code(), "dataset_empty");
    let missing = folder.path().join("missing.jsonl");
    let error = read::load(&missing, &ReadOptions::default()).unwrap_err();
    let (code, text) = told(&error, folder.path());
    assert_eq!(code, "dataset_io");
    assert!(text.starts_with("missing.jsonl: No such file"), "{text}");
}

#[test]
fn damaged_parquet() {
    let (code, text) = refused_as("a.parquet", "no magic", &ReadOptions::default());
    assert_eq!(code, "dataset_file_damaged");
    assert_eq!(
        text,
        "a.parquet: damaged Parquet file: it does not begin with the bytes PAR1; copy or download it again"
    );
    let whole = std::fs::read(fixture("pandas.parquet")).unwrap();
    for length in [4, 12, whole.len() / 2, whole.len() - 1] {
        let (code, text) = refused_as("a.parquet", &whole[..length], &ReadOptions::default());
        assert_eq!(code, "dataset_file_damaged", "cut at {length}");
        assert!(
            text.starts_with("a.parquet: damaged Parquet file: "),
            "{text}"
        );
        assert!(text.ends_with("; copy or download it again"), "{text}");
    }
}

/// Whatever a flipped byte does, it is an error or a row, never a crash.
#[test]
fn no_byte_of_a_parquet_file_brings_the_reader_down() {
    let whole = std::fs::read(fixture("snappy.parquet")).unwrap();
    let mut refused = 0;
    for place in (4..whole.len()).step_by(13) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x55;
        let (_folder, path) = file("a.parquet", bytes);
        match read::load(&path, &header_only()) {
            Ok(loaded) => assert!(loaded.rows.len() <= 3),
            Err(DatasetError::Io { .. }) => panic!("the file itself can be read"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 20, "only {refused} flips were noticed");
}

#[test]
fn rows_before_a_bad_one_are_handed_out() {
    let good = line(r#""p""#, "");
    let (_folder, path) = file("a.jsonl", format!("{good}\n{good}\n{{}}\n{good}\n"));
    let options = ReadOptions::default();
    let outcomes: Vec<bool> = read::rows(&path, &options)
        .unwrap()
        .map(|row| row.is_ok())
        .collect();
    assert_eq!(outcomes, [true, true, false], "and nothing after it");
}

#[test]
fn a_failed_write_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no/such/folder.jsonl");
    for error in [
        write::jsonl(&path, &[row("p")]).unwrap_err(),
        write::parquet(&path, &[row("p")]).unwrap_err(),
    ] {
        let (code, text) = told(&error, folder.path());
        assert_eq!(code, "dataset_io");
        assert!(text.starts_with("no/such/folder.jsonl.partial: "), "{text}");
    }
}
