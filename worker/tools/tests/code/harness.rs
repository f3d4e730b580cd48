//! A tool on the real interpreter, and pictures looked at.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use illumine_tools::{CodeConfig, CodeTool, ImageTool, ToolContext, ToolError, ToolImage};
use illumine_types::tool::ToolRequest;

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The interpreter that the tests use.
pub fn python() -> PathBuf {
    let path = std::env::var_os("ILLUMINE_PYTHON").map_or_else(
        || workspace().join(".illumine/python/bin/python"),
        PathBuf::from,
    );
    assert!(
        path.exists(),
        "no Python at {}: `cargo xtask test` sets it up, or name one in ILLUMINE_PYTHON",
        path.display()
    );
    path
}

/// Nothing is kept warm: a test draws once or twice.
pub fn config() -> CodeConfig {
    CodeConfig {
        pool: 0,
        ..CodeConfig::new(python())
    }
}

pub async fn tool_with(config: CodeConfig) -> Arc<CodeTool> {
    let tool = CodeTool::start(config).await;
    let capability = tool.capability();
    assert!(
        capability.available,
        "{}: {}",
        capability.reason.unwrap_or_default(),
        capability.remedy.unwrap_or_default()
    );
    Arc::new(tool)
}

pub async fn tool() -> Arc<CodeTool> {
    tool_with(config()).await
}

pub async fn run(tool: &CodeTool, program: &str) -> Result<ToolImage, ToolError> {
    let request = ToolRequest::Code {
        code: program.to_owned(),
    };
    tool.run(&request, &ToolContext::default()).await
}

/// Draws with a tool of its own.
pub async fn draw(program: &str) -> Result<ToolImage, ToolError> {
    run(&*tool().await, program).await
}

/// A program's failure: its stable code and its message.
pub async fn failure(program: &str) -> (&'static str, String) {
    let error = draw(program).await.expect_err("a failure");
    (error.code(), error.to_string())
}

/// Runs Python statements that collect words with `say(…)`, and returns them.
///
/// The words leave by the message of an exception, the one way out that a
/// program has besides its picture.
pub async fn said(statements: &str) -> String {
    let program = format!(
        "words = []\ndef say(*what): words.append(' '.join(map(str, what)))\n{statements}\n\
         raise RuntimeError('|'.join(words))\n"
    );
    let (code, message) = failure(&program).await;
    assert_eq!(code, "python_error", "{message}");
    let (_, words) = message
        .split_once("RuntimeError: ")
        .unwrap_or_else(|| panic!("{message}"));
    words
        .split("\n    raise RuntimeError")
        .next()
        .unwrap()
        .to_owned()
}

/// Decodes a picture and checks that something is on it: several colours,
/// and a share of pixels that are not the background.
pub fn assert_drawn(image: &ToolImage) -> image::RgbImage {
    let picture = &image.picture;
    assert_eq!(picture.mime, "image/png");
    assert_eq!(&picture.bytes[..8], b"\x89PNG\r\n\x1a\n");
    let pixels = image::load_from_memory_with_format(&picture.bytes, image::ImageFormat::Png)
        .unwrap()
        .to_rgb8();
    assert_eq!(pixels.dimensions(), (picture.width, picture.height));
    let background = *pixels.get_pixel(0, 0);
    let drawn = pixels
        .pixels()
        .filter(|pixel| **pixel != background)
        .count();
    let share = drawn as f64 / f64::from(picture.width * picture.height);
    assert!(share > 0.01, "only {share} of the picture is drawn");
    let colours: std::collections::HashSet<_> = pixels.pixels().collect();
    assert!(colours.len() > 8, "{} colours", colours.len());
    pixels
}
