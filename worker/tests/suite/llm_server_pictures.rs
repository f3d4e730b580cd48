//! Pictures in `illumine llm-server`, as an MLLM judge sends them: a Qwen2.5-VL
//! of random weights behind OpenAI's own client.

use crate::support;

use std::ffi::OsStr;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use illumine_models::device::Device;
use illumine_models::generate::{CancelFlag, GenerationRequest, VisionLanguageModel};
use illumine_models::qwen25_vl::{Part, Picture, VisionMessage};
use illumine_models::tokenizer::Role;
use image::{DynamicImage, ImageFormat};
use reqwest::StatusCode;
use serde_json::{Value, json};

use self::support::{Server, run_client};

const ANSWER: usize = 60;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tests/fixtures/qwen25_vl/text_only")
}

fn bytes(number: usize) -> Vec<u8> {
    std::fs::read(folder().join(format!("picture_{number}.png"))).unwrap()
}

/// A loopback server of one picture; its address.
async fn serve_picture() -> std::net::SocketAddr {
    let picture = get(|| async { ([(CONTENT_TYPE, "image/png")], bytes(2)) });
    let app = Router::new().route("/picture.png", picture);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// What the model answers greedily to the chat that the client sends, without
/// any server.
fn direct_answer() -> (String, usize) {
    let model = VisionLanguageModel::load(&folder(), &Device::flex()).unwrap();
    let picture = |number| Part::Picture(Picture::decode("it", &bytes(number)).unwrap());
    let text = |text: &str| Part::Text(text.to_owned());
    let user = |content| VisionMessage {
        role: Role::User,
        content,
    };
    let messages = [
        VisionMessage::text(Role::System, "You look."),
        user(vec![text("first "), picture(0), text(" then "), picture(1)]),
        VisionMessage::text(Role::Assistant, "cake"),
        user(vec![text("and"), picture(2)]),
    ];
    let prompt = model.prompt(&messages).unwrap();
    let request = GenerationRequest {
        max_new_tokens: ANSWER,
        ..GenerationRequest::new(prompt.ids)
    };
    let output = model.generate(&request, &prompt.patches, &CancelFlag::default(), |_| {
        ControlFlow::Continue(())
    });
    let output = output.unwrap();
    (output.text, output.prompt_tokens)
}

fn inline(mime: &str, bytes: &[u8]) -> Value {
    let url = format!("data:{mime};base64,{}", STANDARD.encode(bytes));
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn grey(width: u32, height: u32) -> Vec<u8> {
    encode(image::GrayImage::new(width, height), ImageFormat::Png)
}

/// Pictures that must be refused, what for, and a word of the reason.
fn refused(elsewhere: &str) -> Value {
    let good = inline("image/png", &bytes(0));
    let gif = encode(image::RgbImage::new(8, 8), ImageFormat::Gif);
    let mut broken = grey(40, 40);
    broken.truncate(broken.len() / 2);
    let address = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let mut cases: Vec<Value> = [
        (inline("image/png", &broken), "broken"),
        (inline("image/png", b"<html>"), "not a PNG"),
        (inline("image/png", &grey(30_000, 10)), "crop"),
        (inline("image/png", &grey(1, 1)), "single pixel"),
        (inline("image/png", &grey(60_000, 1_000)), "60000 × 1000"),
        (inline("image/png", &gif), "is image/gif"),
        (address("data:image/png;base64,*"), "base64"),
        (address("file:///etc/passwd"), "http"),
        (address(elsewhere), "inside this network"),
        (address("http://user:pass@example.com/x.png"), "user name"),
    ]
    .into_iter()
    .map(|(part, reason)| {
        // Behind a good one, so that the index tells which it was.
        json!({
            "content": [{"type": "text", "text": "see"}, good, part],
            "param": "messages[1].content[2].image_url.url",
            "reason": reason,
        })
    })
    .collect();
    cases.push(json!({
        "content": vec![good; 17],
        "param": "messages[1].content[16].image_url.url",
        "reason": "16 pictures",
    }));
    cases.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_client_shows_pictures_to_a_judge() {
    let address = serve_picture().await;
    let elsewhere = format!("http://{}/picture.png", serve_picture().await);
    let model = folder().display().to_string();
    let server = Server::start_model(&model, &["--fetch-allow", &address.to_string()]);
    let (text, prompt_tokens) = direct_answer();
    let case = json!({
        "folder": folder(),
        "url": format!("http://{address}/picture.png"),
        "text": text,
        "max_tokens": ANSWER,
        "prompt_tokens": prompt_tokens,
        "refused": refused(&elsewhere),
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), case.to_string()).unwrap();
    let (base, path) = (server.base.clone(), file.path().to_owned());
    let client = tokio::task::spawn_blocking(move || {
        run_client("openai_pictures.py", &[OsStr::new(&base), path.as_os_str()]);
    });
    client.await.unwrap();
    let metrics = server.get("/metrics").await.text().await.unwrap();
    assert!(
        !metrics.contains("illumine_llm_requests_total 0\n"),
        "{metrics}"
    );
}

/// Where each picture of 80×80 pixels takes 100 tokens of the context of 200.
#[tokio::test(flavor = "multi_thread")]
async fn the_picture_that_fills_the_context_is_named() {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let processor = copy.path().join("preprocessor_config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&processor).unwrap()).unwrap();
    config["max_pixels"] = 1600.into();
    std::fs::write(&processor, config.to_string()).unwrap();
    let server = Server::start_model(&copy.path().display().to_string(), &[]);
    let models: Value = server.get("/v1/models").await.json().await.unwrap();
    let ask = |pictures: usize| {
        let content = vec![inline("image/png", &grey(80, 80)); pictures];
        json!({
            "model": models["data"][0]["id"],
            "messages": [{"role": "user", "content": content}],
            "max_tokens": 5,
        })
    };
    let one = server.ask(&ask(1)).await;
    let prompt = one["usage"]["prompt_tokens"].as_u64().unwrap();
    assert!((100..200).contains(&prompt), "{one}");
    let response = server.post(&ask(3)).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let error: Value = response.json().await.unwrap();
    let error = &error["error"];
    assert_eq!(error["param"], "messages[0].content[1].image_url.url");
    assert_eq!(error["code"], "context_length_exceeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_of_a_looking_model_is_busy() {
    let model = folder().display().to_string();
    let server = Server::start_model(&model, &["--max-concurrency", "1", "--max-waiting", "1"]);
    let name = folder().file_name().unwrap().to_string_lossy().into_owned();
    let body = |choices: usize| {
        json!({
            "model": name,
            "messages": [{"role": "user", "content": [inline("image/png", &bytes(0))]}],
            "max_tokens": 100,
            "n": choices,
        })
    };
    let busy = server.post(&body(16)).await;
    assert_eq!(busy.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(busy.headers().contains_key("retry-after"));
    // Those of its choices that were taken in make room.
    let freed = async {
        while server.post(&body(1)).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), freed)
        .await
        .unwrap();
}
