//! Adapters on the command line: served beside their base, in a policy, verified.
//! The adapter is made here, for the demo policy's weights and shapes change with
//! its training.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// An adapter of the demo policy's output projections.
fn demo_adapter() -> tempfile::TempDir {
    let config = config(&root().join("models/demo-policy"));
    let layers = 0..size(&config, "num_hidden_layers");
    let inner = size(&config, "num_attention_heads") * size(&config, "head_dim");
    let hidden = size(&config, "hidden_size");
    let site = |layer| {
        let name = format!("model.layers.{layer}.self_attn.o_proj");
        (name, inner, hidden)
    };
    adapter(&layers.map(site).collect::<Vec<_>>(), &["o_proj"])
}

fn config(folder: &Path) -> Value {
    let config = std::fs::read(folder.join("config.json")).unwrap();
    serde_json::from_slice(&config).unwrap()
}

fn size(config: &Value, field: &str) -> usize {
    usize::try_from(config[field].as_u64().unwrap()).unwrap()
}

/// An adapter of rank one of the projections `(name, in, out)`, in a folder of its
/// own.
fn adapter(sites: &[(String, usize, usize)], targets: &[&str]) -> tempfile::TempDir {
    let (mut header, mut data) = (Map::new(), Vec::<u8>::new());
    for (at, (name, input, output)) in sites.iter().enumerate() {
        for (factor, shape) in [("A", [1, *input]), ("B", [*output, 1])] {
            let start = data.len();
            for number in 0..shape[0] * shape[1] {
                let value = ((number * 37 + at) % 19) as f32 / 9.0 - 1.0;
                data.extend(value.to_le_bytes());
            }
            let tensor = json!({
                "dtype": "F32",
                "shape": shape,
                "data_offsets": [start, data.len()],
            });
            let tensor_name = format!("base_model.model.{name}.lora_{factor}.weight");
            header.insert(tensor_name, tensor);
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
        "target_modules": targets,
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
    fn start(model: &str, lora: &str) -> Self {
        let arguments = [
            "llm-server",
            "--model",
            model,
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
        self.ask_about(model, json!("Write a report about tides."))
            .await
    }

    async fn ask_about(&self, model: &str, content: Value) -> Value {
        let body = json!({
            "model": model,
            "messages": [{"role": "user", "content": content}],
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
    let server = Server::start("demo", &format!("tuned={}", dir.path().display()));
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

/// An adapter of a Qwen2.5-VL: of the first layer of tower and decoder.
fn looking_adapter(model: &Path) -> tempfile::TempDir {
    let config = config(model);
    let width = size(&config["vision_config"], "hidden_size");
    let text = match &config["text_config"] {
        Value::Null => &config,
        text => text,
    };
    let hidden = size(text, "hidden_size");
    let sites = [
        ("model.visual.blocks.0.attn.proj".to_owned(), width, width),
        (
            "model.language_model.layers.0.self_attn.o_proj".to_owned(),
            hidden,
            hidden,
        ),
        (
            "model.language_model.layers.1.self_attn.o_proj".to_owned(),
            hidden,
            hidden,
        ),
    ];
    adapter(&sites, &["blocks.0.attn.proj", "o_proj"])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_of_tower_and_decoder_is_served_to_pictures() {
    let model = root().join("models/tests/fixtures/qwen25_vl/text_only");
    let adapter = looking_adapter(&model);
    let lora = format!("tuned={}", adapter.path().display());
    let server = Server::start(model.to_str().unwrap(), &lora);
    let picture = std::fs::read(model.join("picture_0.png")).unwrap();
    let url = format!("data:image/png;base64,{}", STANDARD.encode(picture));
    let seen = json!([
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "what?"},
    ]);
    let models = server.get("models").await;
    let base = models["data"][0]["id"].as_str().unwrap().to_owned();
    let text = |answer: &Value| match answer["choices"][0]["message"]["content"].as_str() {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => panic!("{answer}"),
    };
    let plain = text(&server.ask_about(&base, seen.clone()).await);
    let tuned = text(&server.ask_about("tuned", seen.clone()).await);
    assert_ne!(plain, tuned);
    let (again, other) = tokio::join!(
        server.ask_about("tuned", seen.clone()),
        server.ask_about(&base, seen.clone())
    );
    assert_eq!((text(&again), text(&other)), (tuned, plain));
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
