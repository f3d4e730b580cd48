//! `illumine generate --image`: pictures given on the command line reach a policy
//! that looks, and a blind one says so.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A Qwen2.5-VL of random weights; it writes noise, which depends on what it sees.
const LOOKING: &str = concat!(
    "burn:",
    env!("CARGO_MANIFEST_DIR"),
    "/models/tests/fixtures/qwen25_vl/text_only"
);

fn grey(folder: &Path, name: &str, level: u8) -> String {
    let path = folder.join(name);
    let image = image::RgbImage::from_pixel(12, 8, image::Rgb([level, 255 - level, 90]));
    image.save(&path).unwrap();
    path.display().to_string()
}

fn generate(folder: &Path, policy: &str, pictures: &[&str]) -> (Output, Value) {
    // Its context holds 200 tokens, far fewer than the usual system prompt has.
    std::fs::write(folder.join("system.md"), "Look.").unwrap();
    let output = folder.join("document.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_illumine"));
    command
        .current_dir(folder)
        .env("ILLUMINE_SYSTEM_PROMPT", folder.join("system.md"))
        .env("ILLUMINE_DATA_DIR", folder.join("state"))
        .args(["generate", "--prompt", "the cake?", "--policy", policy])
        .args(["--tools", "edit", "--max-tokens", "40"])
        .args(["--temperature", "1", "--seed", "5"])
        .arg("--output")
        .arg(&output);
    for picture in pictures {
        command.args(["--image", picture]);
    }
    let run = command.output().unwrap();
    let errors = String::from_utf8_lossy(&run.stderr).into_owned();
    // 2: written, and cut off by the limit of tokens.
    assert!([Some(0), Some(2)].contains(&run.status.code()), "{errors}");
    let document = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
    (run, document)
}

#[test]
fn pictures_reach_a_policy_that_looks() {
    let folder = tempfile::tempdir().unwrap();
    let dark = grey(folder.path(), "dark.png", 0);
    let light = grey(folder.path(), "light.png", 255);
    let write = |pictures: &[&str]| {
        let (run, document) = generate(folder.path(), LOOKING, pictures);
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(!said.contains("cannot see"), "{said}");
        assert_eq!(document["inputs"].as_array().unwrap().len(), pictures.len());
        document["blocks"].clone()
    };
    let both = write(&[&dark, &light]);
    assert_eq!(write(&[&dark, &light]), both);
    assert_ne!(write(&[&light, &dark]), both);
}

#[test]
fn a_blind_policy_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let dark = grey(folder.path(), "dark.png", 0);
    let (run, document) = generate(folder.path(), "burn:demo", &[&dark]);
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(said.contains("burn:demo cannot see the picture"), "{said}");
    assert_eq!(document["inputs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_file_that_is_no_picture_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.png");
    std::fs::write(&path, "no picture").unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_illumine"))
        .current_dir(folder.path())
        .args([
            "generate", "--prompt", "x", "--output", "out.html", "--image",
        ])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(
        said.contains("notes.png") && said.contains("not a PNG"),
        "{said}"
    );
}
