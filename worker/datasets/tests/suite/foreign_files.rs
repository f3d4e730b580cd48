//! Files that pandas, pyarrow and Hugging Face `datasets` wrote.

use illumine_datasets::{
    ImageNum, Message, Prompt, ReadOptions, Role, Row, Split, SystemMessage, read,
};
use illumine_types::ToolKind;

use crate::support::{fixture, keep_system};

fn load(name: &str, options: &ReadOptions) -> Vec<Row> {
    read::load(fixture(name), options).unwrap().rows
}

/// The three chats of the script that made the files.
fn check_chats(rows: &[Row]) {
    assert_eq!(rows.len(), 3);
    let texts: Vec<&str> = rows.iter().map(|row| row.prompt.user_text()).collect();
    assert_eq!(texts[0], "Show me Café Central.");
    assert_eq!(
        texts[1],
        "<image>Repaint it at night, then chart the visits."
    );
    assert_eq!(texts[2], "Explain tides in words.");
    let info: Vec<_> = rows.iter().map(|row| &row.extra_info).collect();
    assert_eq!(info[0].tools, [ToolKind::Search]);
    assert_eq!(info[1].tools, [ToolKind::Code, ToolKind::Edit]);
    assert_eq!(info[2].tools, []);
    assert_eq!(info[0].image_num, ImageNum::Exactly(1));
    assert_eq!(info[1].image_num, ImageNum::AtLeastOne);
    assert_eq!(info[2].image_num, ImageNum::NoPicture);
    assert_eq!(info[1].split, Some(Split::Test));
    assert_eq!(info[2].index, Some(2));
    // A question that repeats the prompt is kept once.
    assert_eq!(info[0].question, None);
    assert_eq!(rows[0].question(), "Show me Café Central.");
    assert_eq!(rows[1].question(), "Repaint it.");
    assert!(rows.iter().all(|row| row.data_source == "llmi"));
}

fn check_pictures(rows: &[Row]) {
    assert!(rows[0].images.is_empty() && rows[2].images.is_empty());
    let sizes: Vec<(u32, u32)> = rows[1].images.iter().map(|p| (p.width, p.height)).collect();
    assert_eq!(sizes, [(4, 3), (5, 2)]);
    assert_eq!(rows[1].images[0].path.as_deref(), Some("red.png"));
    assert_eq!(rows[1].images[0].mime, "image/png");
    let red = image::load_from_memory(&rows[1].images[0].bytes).unwrap();
    assert_eq!(red.to_rgb8().get_pixel(0, 0).0, [255, 0, 0]);
}

#[test]
fn pandas_parquet() {
    let rows = load("pandas.parquet", &keep_system());
    check_chats(&rows);
    check_pictures(&rows);
    let first = rows[0].prompt.messages();
    assert_eq!(first[0].role, Role::System);
    assert_eq!(first[0].content, "You may call tools.");
}

#[test]
fn datasets_parquet() {
    let rows = load("datasets.parquet", &ReadOptions::default());
    check_chats(&rows);
    check_pictures(&rows);
}

#[test]
fn pandas_json_lines() {
    check_chats(&load("pandas.jsonl", &ReadOptions::default()));
}

#[test]
fn the_system_message_of_a_file_gives_way_to_ours() {
    for name in ["pandas.parquet", "datasets.parquet", "pandas.jsonl"] {
        let removed = load(name, &ReadOptions::default());
        assert_eq!(removed[0].prompt.messages().len(), 1, "{name}");
        let options = ReadOptions {
            system: SystemMessage::Replace("Our rules.".to_owned()),
            ..ReadOptions::default()
        };
        for row in load(name, &options) {
            let messages = row.prompt.messages();
            assert_eq!(messages.len(), 2, "{name}");
            assert_eq!(messages[0].role, Role::System, "{name}");
            assert_eq!(messages[0].content, "Our rules.", "{name}");
        }
    }
}

#[test]
fn every_codec_and_the_plainest_columns() {
    for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"] {
        let loaded = read::load(
            fixture(&format!("{codec}.parquet")),
            &ReadOptions::default(),
        );
        let loaded = loaded.unwrap();
        assert_eq!(loaded.numbers, [1, 2, 3], "three row groups, {codec}");
        for (number, row) in loaded.rows.iter().enumerate() {
            let text = format!("Prompt number {number}.");
            assert_eq!(row.prompt, Prompt::Text(text.clone()), "{codec}");
            assert_eq!(row.prompt.messages(), [Message::user(text)]);
            assert_eq!(row.extra_info.tools, [ToolKind::Diffusion]);
            assert_eq!(row.extra_info.image_num.number(), number as i64);
            assert_eq!(row.extra_info.split, None);
            assert_eq!(row.images.len(), usize::from(number == 1), "{codec}");
        }
        assert_eq!(loaded.rows[1].images[0].width, 4);
    }
}
