//! A Qwen-Image of random weights, the one of the models' parity tests, and servers
//! of it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/qwen_image/pipeline")
}

/// A pipeline's folder: `generation`, `edit` or `edit_plus`.
pub fn folder(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for part in std::fs::read_dir(fixtures()).unwrap() {
        let part = part.unwrap();
        if !part.path().is_dir() {
            continue;
        }
        let to = dir.path().join(part.file_name());
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(part.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    let index = fixtures().join(format!("{name}.json"));
    std::fs::copy(index, dir.path().join("model_index.json")).unwrap();
    dir
}

/// `illumine image-server` as a process.
pub struct ImageServer {
    child: Child,
    pub base: String,
    _folder: tempfile::TempDir,
}

impl Drop for ImageServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl ImageServer {
    pub fn start(mode: &str, pipeline: &str, arguments: &[&str]) -> Self {
        let folder = folder(pipeline);
        let mut child = Command::new(env!("CARGO_BIN_EXE_illumine"))
            .args(["image-server", "--mode", mode, "--base_port", "0"])
            .arg("--model_path")
            .arg(folder.path())
            .args(arguments)
            .env("TEST_IMAGE_KEY", "secret")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let base = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let base = base
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .to_owned();
        Self {
            child,
            base,
            _folder: folder,
        }
    }

    pub fn port(&self) -> &str {
        self.base.rsplit(':').next().unwrap()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
