//! The dataset of our own: what it covers, and what it must not give away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use illumine_datasets::generator::{DEMO_SEED, MOST_ALIKE, SOURCE, Shingles, test, train};
use illumine_datasets::{Dataset, ImageNum, ReadOptions, Row, Split, SplitRule};
use illumine_types::ToolKind;

fn both() -> Vec<Row> {
    let mut rows = train(DEMO_SEED).unwrap();
    rows.extend(test(DEMO_SEED).unwrap());
    rows
}

/// Pixels rather than a file's bytes: an encoder may change.
fn pixels(rows: &[Row]) -> Vec<image::RgbImage> {
    let pictures = rows.iter().flat_map(|row| &row.images);
    pictures
        .map(|p| image::load_from_memory(&p.bytes).unwrap().to_rgb8())
        .collect()
}

fn without_pictures(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    rows.iter_mut().for_each(|row| row.images.clear());
    rows
}

#[test]
fn the_committed_files_are_the_generators() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    let files = [demo.join("train.parquet"), demo.join("test.parquet")];
    let dataset = Dataset::read(&files, &ReadOptions::default(), SplitRule::Column).unwrap();
    let made = both();
    assert_eq!(without_pictures(&dataset.rows), without_pictures(&made));
    assert!(pixels(&dataset.rows) == pixels(&made));
    let count = |row: &Row| row.images.len();
    assert!(dataset.rows.iter().map(count).eq(made.iter().map(count)));
    let bytes: u64 = files
        .iter()
        .map(|file| std::fs::metadata(file).unwrap().len())
        .sum();
    assert!(bytes <= 400 << 10, "{bytes} bytes");
}

#[test]
fn a_seed_is_a_dataset() {
    assert_eq!(test(5).unwrap(), test(5).unwrap());
    assert_ne!(test(5).unwrap(), test(6).unwrap());
}

#[test]
fn no_prompt_names_a_tool() {
    // Stems, wherever they stand in a word: "research" would be found too.
    let stems = [
        "search",
        "google",
        "internet",
        "online",
        "web",
        "diffus",
        "generat",
        "model",
        "synthes",
        "code",
        "coding",
        "python",
        "matplotlib",
        "seaborn",
        "pandas",
        "script",
        "program",
        "plot",
        "edit",
        "photoshop",
        "tool",
        "retriev",
        "look up",
        "<imgen",
    ];
    let innocent = ["photosynthesis", "description"];
    for row in both() {
        let mut text = row.question().to_lowercase();
        for word in innocent {
            text = text.replace(word, "");
        }
        for stem in stems {
            assert!(!text.contains(stem), "{stem:?} in {text:?}");
        }
    }
}

#[test]
fn no_two_prompts_are_nearly_the_same() {
    for rows in [train(DEMO_SEED).unwrap(), test(DEMO_SEED).unwrap()] {
        alike(&rows);
    }
    alike(&both());
}

fn alike(rows: &[Row]) {
    let shingles: Vec<Shingles> = rows
        .iter()
        .map(|row| Shingles::of(row.question()))
        .collect();
    for (index, one) in shingles.iter().enumerate() {
        for (other, another) in shingles.iter().enumerate().skip(index + 1) {
            let similarity = one.similarity(another);
            assert!(
                similarity <= MOST_ALIKE,
                "{similarity}: {:?} and {:?}",
                rows[index].question(),
                rows[other].question()
            );
        }
    }
}

#[test]
fn every_tool_every_number_and_their_combinations_occur() {
    for (split, least) in [(Split::Train, 400), (Split::Test, 80)] {
        let rows = match split {
            Split::Train => train(DEMO_SEED).unwrap(),
            Split::Test => test(DEMO_SEED).unwrap(),
        };
        assert!(rows.iter().all(|row| row.extra_info.split == Some(split)));
        assert!(rows.iter().all(|row| row.data_source == SOURCE));
        let dataset = Dataset::new(rows, SplitRule::Column).unwrap();
        let summary = dataset.summary(&str::len);
        assert!(summary.rows >= least);
        let share = |count: usize| count as f64 / summary.rows as f64;
        for tool in ToolKind::ALL {
            assert!(share(summary.by_tool[tool.as_str()]) > 0.15, "{summary:?}");
            assert!(
                summary.by_tool_set.contains_key(tool.as_str()),
                "{tool} alone"
            );
        }
        for number in [-1, 0, 1, 2, 3, 4, 99] {
            assert!(share(summary.by_image_num[&number]) > 0.05, "{summary:?}");
        }
        assert!(summary.by_tool_set.len() >= 11, "{summary:?}");
        assert!(share(summary.by_tool_set["none"]) > 0.08);
        assert!(share(summary.with_pictures) > 0.08);
    }
}

#[test]
fn number_and_tools_agree() {
    for row in both() {
        let tools = row.extra_info.tools.len();
        match row.extra_info.image_num {
            ImageNum::NoPicture => assert_eq!(tools, 0, "{}", row.question()),
            ImageNum::Exactly(count) => {
                assert!(
                    (1..=usize::from(count)).contains(&tools),
                    "{}",
                    row.question()
                );
            }
            ImageNum::AtLeastOne => assert!(tools >= 1, "{}", row.question()),
            ImageNum::Free => {}
        }
    }
}

#[test]
fn edits_change_a_picture_that_comes_along_or_the_one_before() {
    let (mut along, mut before) = (0, 0);
    for row in both() {
        let edits = row.extra_info.tools.contains(&ToolKind::Edit);
        match (edits, row.images.len()) {
            (true, 0) => before += 1,
            (true, 1) => along += 1,
            (edits, pictures) => assert!(!edits && pictures == 0, "{}", row.question()),
        }
        // A picture of its own must be there to be changed.
        if edits && row.images.is_empty() {
            let makes = [ToolKind::Search, ToolKind::Diffusion];
            assert!(makes.iter().any(|tool| row.extra_info.tools.contains(tool)));
        }
    }
    assert!(along >= 40 && before >= 40, "{along} and {before}");
}

#[test]
fn input_pictures_are_small_and_differ() {
    let rows = both();
    let pictures: Vec<_> = rows.iter().flat_map(|row| &row.images).collect();
    assert!(
        pictures
            .iter()
            .all(|p| (p.width, p.height) == (96, 96) && p.bytes.len() < 2_000)
    );
    let distinct: BTreeSet<&[u8]> = pictures.iter().map(|p| &p.bytes[..]).collect();
    assert!(
        distinct.len() * 2 > pictures.len(),
        "{} of {}",
        distinct.len(),
        pictures.len()
    );
}

#[test]
fn sentences_are_well_formed() {
    for row in both() {
        let text = row.question();
        assert!(
            text.starts_with(char::is_uppercase) || text.starts_with('1'),
            "{text}"
        );
        assert!(text.ends_with(['.', '?']), "{text}");
        for slip in [
            "  ",
            " ,",
            " .",
            "..",
            "?.",
            "{",
            "}",
            ",,",
            " a a",
            " the the ",
            " a an ",
        ] {
            assert!(!text.contains(slip), "{slip:?} in {text:?}");
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.windows(2) {
            let word = pair[0].chars().all(char::is_alphabetic);
            assert!(
                !word || pair[0] != pair[1],
                "{:?} twice in {text:?}",
                pair[0]
            );
            let vowel = pair[1].starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']);
            let one = pair[1].starts_with("one");
            assert!(pair[0] != "a" || !vowel || one, "{pair:?} in {text:?}");
            assert!(
                pair[0] != "an" || vowel || pair[1].starts_with(['u', 'h']),
                "{pair:?} in {text:?}"
            );
        }
    }
}

#[test]
fn prompts_begin_and_ask_in_many_ways() {
    let rows = train(DEMO_SEED).unwrap();
    let mut openings: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        let words: Vec<&str> = row.question().split_whitespace().take(3).collect();
        *openings.entry(words.join(" ")).or_default() += 1;
    }
    assert!(openings.len() > 60, "{} openings", openings.len());
    let most = openings.values().max().unwrap();
    assert!(most * 12 < rows.len(), "{openings:?}");
}
