//! The team's own pictures, in a folder.

use std::path::Path;

use illumine_tools::search::library::Index;
use illumine_tools::{FolderLibrary, LibraryEntry, LibrarySource};
use illumine_types::ToolKind;
use image::ImageFormat;
use serde_json::json;
use tempfile::TempDir;

use crate::world::{encoded, run, search_for, seeded, settings, tool};

fn put(folder: &Path, id: &str, width: u32, words: &serde_json::Value) {
    std::fs::write(
        folder.join(format!("{id}.png")),
        encoded(width, 100, ImageFormat::Png),
    )
    .unwrap();
    std::fs::write(folder.join(format!("{id}.json")), words.to_string()).unwrap();
}

fn library() -> TempDir {
    let folder = TempDir::new().unwrap();
    put(
        folder.path(),
        "cat",
        101,
        &json!({
            "title": "Chelsea the cat", "caption": "A ginger tabby cat with green eyes.",
            "tags": ["animal", "pet"], "author": "Stéfan van der Walt", "licence": "CC0",
            "source": "https://example.org/chelsea"
        }),
    );
    put(
        folder.path(),
        "kitten",
        102,
        &json!({"title": "A kitten", "caption": "A young tabby cat.", "tags": ["animal"]}),
    );
    put(
        folder.path(),
        "moon",
        103,
        &json!({"title": "The Moon", "caption": "Craters of the Moon."}),
    );
    folder
}

fn settings_of(folder: &TempDir) -> illumine_config::ToolSettings {
    let mut settings = settings();
    settings.library_dir = folder.path().to_owned();
    settings
}

#[tokio::test]
async fn pictures_are_found_by_their_words() {
    let folder = library();
    let tool = tool(&settings_of(&folder), ToolKind::Search);
    assert_eq!(tool.capability().backends, ["library"]);
    let found = run(&tool, &search_for("photo of a ginger cat"))
        .await
        .unwrap();
    assert_eq!(found.picture.width, 101);
    let source = found.provenance.source.unwrap();
    assert_eq!(source.author.as_deref(), Some("Stéfan van der Walt"));
    assert_eq!(source.license.as_deref(), Some("CC0"));
    assert_eq!(
        source.page_url.as_deref(),
        Some("https://example.org/chelsea")
    );
    assert_eq!(found.provenance.parameters["library_id"], "cat.png");
}

#[tokio::test]
async fn nothing_found_says_what_there_is_and_what_helps() {
    let folder = library();
    let tool = tool(&settings_of(&folder), ToolKind::Search);
    let error = run(&tool, &search_for("harbour of Lisbon"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), "nothing_found");
    let text = error.to_string();
    for part in [
        "harbour of Lisbon",
        "3 pictures",
        "Chelsea the cat",
        "SERP_API_KEY",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn new_pictures_are_found_and_broken_ones_passed_over() {
    let folder = library();
    std::fs::write(folder.path().join("broken.json"), "{").unwrap();
    std::fs::write(
        folder.path().join("alone.json"),
        r#"{"title": "No picture of a comet"}"#,
    )
    .unwrap();
    put(
        folder.path(),
        "comet",
        104,
        &json!({"title": "Comet comet comet"}),
    );
    std::fs::write(folder.path().join("comet.png"), "not a picture").unwrap();
    let tool = tool(&settings_of(&folder), ToolKind::Search);
    let error = run(&tool, &search_for("comet")).await.unwrap_err();
    assert_eq!(error.code(), "nothing_found");
    put(folder.path(), "comet2", 105, &json!({"title": "A comet"}));
    assert_eq!(
        run(&tool, &search_for("comet"))
            .await
            .unwrap()
            .picture
            .width,
        105
    );
}

#[tokio::test]
async fn a_seed_chooses_among_pictures_that_fit_alike() {
    let folder = library();
    for (id, width) in [("fox1", 111), ("fox2", 112)] {
        put(
            folder.path(),
            id,
            width,
            &json!({"title": "A fox", "caption": "A fox in snow."}),
        );
    }
    let tool = tool(&settings_of(&folder), ToolKind::Search);
    for (seed, width) in [(0, 111), (1, 112), (4, 111)] {
        let found = tool.run(&search_for("fox"), &seeded(seed)).await.unwrap();
        assert_eq!(found.picture.width, width, "seed {seed}");
    }
    let found = tool
        .run(&search_for("moon craters"), &seeded(1))
        .await
        .unwrap();
    assert_eq!(found.picture.width, 103, "there is one that fits");
}

#[tokio::test]
async fn nothing_outside_the_folder_is_read() {
    let folder = library();
    let library = FolderLibrary::new(folder.path());
    for id in ["../cat.png", "/etc/passwd", "..", "", "a/../cat.png"] {
        assert!(library.get(id).await.is_err(), "{id}");
    }
    assert!(library.get("cat.png").await.is_ok());
}

/// The pictures that every installation has, by the words that people use.
#[test]
fn the_embedded_pictures_are_found_by_likely_queries() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/library/manifest.json");
    let text = std::fs::read_to_string(manifest).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let entries: Vec<LibraryEntry> = serde_json::from_value(manifest["pictures"].clone()).unwrap();
    for entry in &entries {
        let told = [&entry.license, &entry.author, &entry.source];
        assert!(told.iter().all(|one| one.is_some()), "{}", entry.id);
    }
    let index = Index::new(entries);
    for (query, id) in [
        ("a tabby cat with green eyes", "cat"),
        ("photo of a cat", "cat"),
        ("cup of coffee on a table", "coffee"),
        ("espresso", "coffee"),
        ("real photograph of a rocket launch", "rocket-launch"),
        ("SpaceX Falcon 9 lifting off", "rocket-launch"),
        ("NASA astronaut in orange space suit", "astronaut"),
        ("Grace Hopper portrait", "grace-hopper"),
        (
            "distant galaxies seen by the Hubble telescope",
            "hubble-deep-field",
        ),
        ("world map", "world-map"),
        ("hurricane seen from a satellite", "hurricane"),
        ("the planet Earth from space", "blue-marble"),
        ("raccoon", "raccoon"),
        ("horses", "horse"),
        ("brick wall texture", "brick-wall"),
        ("human eye retina", "retina"),
        ("photographer with a tripod", "photographer"),
        ("people climbing stairs", "stairs"),
    ] {
        let best = index
            .search(query)
            .first()
            .map(|found| found.entry.id.clone());
        assert_eq!(best.as_deref(), Some(id), "{query}");
    }
    for query in [
        "harbour of Lisbon",
        "a plate of sushi",
        "the Eiffel Tower in Paris at night",
        "red fox in the snow",
    ] {
        let found: Vec<_> = index
            .search(query)
            .iter()
            .map(|one| one.entry.id.clone())
            .collect();
        assert!(found.is_empty(), "{query}: {found:?}");
    }
}
