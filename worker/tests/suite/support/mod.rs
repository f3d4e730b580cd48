//! `illumine llm-server` as a process.
#![allow(dead_code)]

pub mod pipeline;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

pub struct Server {
    child: Child,
    pub base: String,
    pub client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_model("demo", arguments)
    }

    pub fn start_model(model: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_illumine"))
            .args(["llm-server", "--model", model, "--port", "0"])
            .args(arguments)
            .env("TEST_LLM_KEY", "secret")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let base = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let base = base
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .to_owned();
        Self {
            child,
            base,
            client: Client::new(),
        }
    }

    pub async fn post(&self, body: &Value) -> Response {
        let url = format!("{}/chat/completions", self.base);
        self.client.post(url).json(body).send().await.unwrap()
    }

    pub async fn ask(&self, body: &Value) -> Value {
        let response = self.post(body).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// The data of each server-sent event.
    pub async fn stream(&self, body: &Value) -> Vec<String> {
        let response = self.post(body).await;
        assert_eq!(response.status(), StatusCode::OK);
        let text = response.text().await.unwrap();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(str::to_owned).collect()
    }

    /// A path beside `/v1`.
    pub async fn get(&self, path: &str) -> Response {
        let root = self.base.trim_end_matches("/v1");
        self.client
            .get(format!("{root}{path}"))
            .send()
            .await
            .unwrap()
    }
}

/// Runs a script of `infra/parity` with the Python that has OpenAI's own client.
pub fn run_client(script: &str, arguments: &[impl AsRef<OsStr>]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var_os("ILLUMINE_OPENAI_PYTHON").map_or_else(
        || root.join(".illumine/openai-client/bin/python"),
        PathBuf::from,
    );
    assert!(
        python.exists(),
        "no Python at {}: `cargo xtask test` sets it up, or name one that has `openai` in ILLUMINE_OPENAI_PYTHON",
        python.display()
    );
    let run = Command::new(python)
        .arg(root.join("infra/parity").join(script))
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{errors}");
}
