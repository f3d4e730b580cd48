//! Adapters on the command line: served beside their base, in a policy, verified.
//! The adapter is made here, for the demo policy's weights and shapes change with
//! its training.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Map, Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// An adapter of the demo policy's output projections, in a folder of its own.
fn demo_adapter() -> tempfile::TempDir {
    let config = std::fs::read(root().join("models/demo-policy/config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let size = |field: &str| usize::try_from(config[field].as_u64().unwrap()).unwrap();
    let inner = size("num_attention_heads") * size("head_dim");
    let (mut header, mut data) = (Map::new(), Vec::<u8>::new());
    for layer in 0..size("num_hidden_layers") {
        let at = format!("base_model.model.model.layers.{layer}.self_attn.o_proj");
        for (factor, shape) in [("A", [1, inner]), ("B", [size("hidden_size"), 1])] {
            let start = data.len();
            for number in 0..shape[0] * shape[1] {
                let value = ((number * 37 + layer) % 19) as f32 / 9.0 - 1.0;
                data.extend(value.to_le_bytes());
            }
            let tensor = json!({
                "dtype": "F32",
                "shape": shape,
                "data_offsets": [start, data.len()],
            });
            header.insert(format!("{at}.lora_{factor}.weight"), tensor);
        }
    }
    let header = serde_json::to_vec(&header).unwrap();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.extend(data);
    let fields = json!({
        "peft_type": "LORA",
        "r": 1,
        "lora_alpha": 1,
        "target_modules": ["o_proj"],
    });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("adapter_model.safetensors"), file).unwrap();
    std::fs::write(dir.path().join("adapter_config.json"), fields.to_string()).unwrap();
    dir
}

fn illumine(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_illumine"))
        .args(arguments)
        .output()
        .unwrap()
}

struct Server {
    child: Child,
    base: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(lora: &str) -> Self {
        let arguments = [
            "llm-server",
            "--model",
            "demo",
            "--port",
            "0",
            "--lora",
            lora,
        ];
        let mut child = Command::new(env!("CARGO_BIN_EXE_illumine"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let base = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let base = base.unwrap_or_else(|| panic!("no address in {line:?}"));
        Self {
            base: base.to_owned(),
            child,
        }
    }

    async fn ask(&self, model: &str) -> Value {
        let body = json!({
            "model": model,
            "messages": [{"role": "user", "content": "Write a report about tides."}],
            "max_tokens": 30,
            "temperature": 0,
        });
        let client = reqwest::Client::new();
        let url = format!("{}/chat/completions", self.base);
        let answer = client.post(url).json(&body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let answer = reqwest::get(format!("{}/{path}", self.base)).await.unwrap();
        answer.json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_chooses_the_adapter_by_the_models_name() {
    let dir = demo_adapter();
    let server = Server::start(&format!("tuned={}", dir.path().display()));
    let models = server.get("models").await;
    let named = |index: usize| {
        let model = &models["data"][index];
        (model["id"].clone(), model["parent"].clone())
    };
    assert_eq!(named(0), (json!("demo"), Value::Null));
    assert_eq!(named(1), (json!("tuned"), json!("demo")));
    assert_eq!(server.get("models/tuned").await["parent"], "demo");

    let text = |answer: &Value| answer["choices"][0]["message"]["content"].clone();
    let base = server.ask("demo").await;
    let tuned = server.ask("tuned").await;
    assert_eq!(
        (&base["model"], &tuned["model"]),
        (&json!("demo"), &json!("tuned"))
    );
    assert_ne!(text(&base), text(&tuned));
    let (again, other) = tokio::join!(server.ask("tuned"), server.ask("demo"));
    assert_eq!(text(&again), text(&tuned));
    assert_eq!(text(&other), text(&base));
    let unknown = server.ask("untuned").await;
    assert_eq!(unknown["error"]["code"], "model_not_found");
    let message = unknown["error"]["message"].as_str().unwrap();
    assert!(message.contains("`demo`, `tuned`"), "{message}");
}

#[test]
fn an_adapter_that_cannot_be_loaded_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let lora = format!("tuned={}", dir.path().display());
    let run = illumine(&[
        "llm-server",
        "--model",
        "demo",
        "--port",
        "0",
        "--lora",
        &lora,
    ]);
    assert!(!run.status.success());
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(errors.contains("adapter_config.json"), "{errors}");
    let run = illumine(&["llm-server", "--model", "demo", "--lora", "tuned"]);
    assert!(String::from_utf8_lossy(&run.stderr).contains("a name and a folder"));
}

#[test]
fn a_policy_writes_with_its_adapter() {
    let dir = demo_adapter();
    let written = |policy: &str| -> Value {
        let path = dir.path().join("document.json");
        let run = illumine(&[
            "generate",
            "--prompt",
            "Write a report about tides.",
            "--policy",
            policy,
            "--max-tokens",
            "30",
            "--temperature",
            "0",
            "--output",
            path.to_str().unwrap(),
        ]);
        // 2: broken off by the limit.
        let errors = String::from_utf8_lossy(&run.stderr);
        assert!(matches!(run.status.code(), Some(0 | 2)), "{errors}");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let spec = format!("burn:demo+lora={}@flex", dir.path().display());
    let (base, tuned) = (written("burn:demo"), written(&spec));
    assert_eq!(tuned["policy"], spec.trim_end_matches("@flex"));
    assert_eq!(base["blocks"], written("burn:demo")["blocks"]);
    assert_ne!(base["blocks"], tuned["blocks"]);
}

#[test]
fn models_verify_takes_an_adapter() {
    let fixtures = root().join("models/tests/fixtures");
    let path = |name: &str| fixtures.join(name).display().to_string();
    let verify = |extra: &[&str]| {
        let (model, reference) = (
            path("qwen3/grouped_tied"),
            path("lora/names/reference.safetensors"),
        );
        let mut arguments = vec!["models", "verify", "--model", &model];
        arguments.extend(["--reference", &reference, "--json"]);
        arguments.extend(extra);
        illumine(&arguments)
    };
    let run = verify(&["--lora", &path("lora/names")]);
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert!(run.status.success() && report["passed"] == true, "{report}");
    assert_eq!(verify(&[]).status.code(), Some(1));
}
