//! `illumine image-client`: asks an image server, ours or the original's.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use reqwest::{Client, Response};
use serde_json::{Map, Value, json};

#[derive(Args, Debug)]
#[command(
    after_help = "The options are those of LLM-I's client; the server's port is --port + --gpu_id."
)]
pub struct Options {
    #[arg(long, value_enum)]
    mode: Mode,
    #[arg(long, default_value = "localhost")]
    host: String,
    /// The server's base port
    #[arg(long, alias = "base_port", alias = "base-port", default_value_t = 8000)]
    port: u16,
    #[arg(long = "gpu_id", alias = "gpu-id", default_value_t = 0)]
    gpu_id: u16,
    /// What to draw, or to change
    #[arg(long)]
    prompt: Option<String>,
    /// The picture to change; may be given again where the model takes several
    #[arg(long = "image_path", alias = "image-path", value_name = "FILE")]
    image_path: Vec<PathBuf>,
    #[arg(long = "negative_prompt", alias = "negative-prompt")]
    negative_prompt: Option<String>,
    #[arg(long)]
    height: Option<u32>,
    #[arg(long)]
    width: Option<u32>,
    #[arg(
        long = "num_inference_steps",
        alias = "num-inference-steps",
        alias = "steps"
    )]
    num_inference_steps: Option<u32>,
    #[arg(
        long = "guidance_scale",
        alias = "guidance-scale",
        alias = "true_cfg_scale"
    )]
    guidance_scale: Option<f32>,
    /// Pictures to draw
    #[arg(long = "num_images_per_prompt", alias = "count")]
    count: Option<u32>,
    #[arg(long)]
    seed: Option<u64>,
    #[arg(
        long = "output_dir",
        alias = "output-dir",
        default_value = "generated_images"
    )]
    output_dir: PathBuf,
    /// Made from the time when left out
    #[arg(long = "output_filename", alias = "output-filename")]
    output_filename: Option<String>,
    /// Seconds
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Environment variable that holds the server's key
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// Print what the server says as JSON, pictures as the files they went to
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Health,
    Info,
    Generation,
    Edit,
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let key = match &options.api_key_env {
        None => None,
        Some(name) => Some(
            std::env::var(name).with_context(|| format!("--api-key-env: `{name}` is not set"))?,
        ),
    };
    let port = options.port.checked_add(options.gpu_id);
    let port = port.context("--port and --gpu_id: their sum is no port")?;
    let base = format!("http://{}:{port}", options.host);
    let client = Client::builder()
        .timeout(Duration::from_secs(options.timeout.max(1)))
        .build()?;
    let authorised = |request: reqwest::RequestBuilder| match &key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    let path = match options.mode {
        Mode::Health => "/health",
        Mode::Info => "/info",
        Mode::Generation => "/generate/",
        Mode::Edit => "/edit/",
    };
    let url = format!("{base}{path}");
    let reach = || format!("cannot reach {url}");
    if matches!(options.mode, Mode::Health | Mode::Info) {
        let response = authorised(client.get(&url))
            .send()
            .await
            .with_context(reach)?;
        println!(
            "{}",
            serde_json::to_string_pretty(&answer(response).await?)?
        );
        return Ok(ExitCode::SUCCESS);
    }
    let body = body(&options)?;
    let begun = Instant::now();
    let response = authorised(client.post(&url).json(&body)).send().await;
    let answer = answer(response.with_context(reach)?).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let images = answer["images"]
        .as_array()
        .filter(|images| !images.is_empty());
    let images = images.with_context(|| format!("{url} answered without a picture"))?;
    let files = write(&options, images)?;
    if options.json {
        let mut told = answer.clone();
        told["images"] = json!(files);
        told["seconds"] = json!(seconds);
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(ExitCode::SUCCESS);
    }
    for note in answer["notes"].as_array().into_iter().flatten() {
        println!("note: {}", note.as_str().unwrap_or_default());
    }
    for file in files {
        println!("{} ({seconds:.1} s)", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn body(options: &Options) -> anyhow::Result<Value> {
    let prompt = options.prompt.as_deref().unwrap_or_default();
    ensure!(!prompt.is_empty(), "--prompt is needed to draw");
    let mut body = Map::from_iter([("prompt".to_owned(), json!(prompt))]);
    let optional = [
        (
            "negative_prompt",
            options.negative_prompt.as_ref().map(|words| json!(words)),
        ),
        ("height", options.height.map(|side| json!(side))),
        ("width", options.width.map(|side| json!(side))),
        (
            "num_inference_steps",
            options.num_inference_steps.map(|steps| json!(steps)),
        ),
        (
            "guidance_scale",
            options.guidance_scale.map(|scale| json!(scale)),
        ),
        (
            "num_images_per_prompt",
            options.count.map(|count| json!(count)),
        ),
        ("seed", options.seed.map(|seed| json!(seed))),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    }
    if options.mode == Mode::Edit {
        ensure!(
            !options.image_path.is_empty(),
            "--image_path is needed to edit"
        );
        let read = |path: &PathBuf| {
            let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
            anyhow::Ok(json!(STANDARD.encode(bytes)))
        };
        let mut pictures: Vec<Value> = options
            .image_path
            .iter()
            .map(read)
            .collect::<anyhow::Result<_>>()?;
        let pictures = match pictures.len() {
            1 => pictures.remove(0),
            _ => Value::Array(pictures),
        };
        body.insert("image_b64".to_owned(), pictures);
    }
    Ok(Value::Object(body))
}

/// The JSON of an answer.
///
/// # Errors
/// What the server says is wrong.
async fn answer(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let text = response.text().await.context("the answer broke off")?;
    let value: Value =
        serde_json::from_str(&text).with_context(|| format!("{status}: the answer is not JSON"))?;
    if status.is_success() {
        return Ok(value);
    }
    let detail = &value["detail"];
    match detail.as_str() {
        Some(words) => bail!("{status}: {words}"),
        None => bail!("{status}: {detail}"),
    }
}

fn write(options: &Options, images: &[Value]) -> anyhow::Result<Vec<PathBuf>> {
    let dir = &options.output_dir;
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let verb = match options.mode {
        Mode::Edit => "edited",
        _ => "generated",
    };
    let name = options
        .output_filename
        .clone()
        .unwrap_or_else(|| format!("{verb}_{}", chrono::Utc::now().timestamp_millis()));
    let stem = name.strip_suffix(".png").unwrap_or(&name);
    let plain = Path::new(stem).file_name().is_some_and(|file| file == stem);
    ensure!(
        plain,
        "--output_filename: `{name}` is not a plain file name"
    );
    let mut files = Vec::with_capacity(images.len());
    for (number, image) in images.iter().enumerate() {
        let bytes = STANDARD
            .decode(image.as_str().unwrap_or_default())
            .context("a picture of the answer is not base64")?;
        let file = match images.len() {
            1 => dir.join(format!("{stem}.png")),
            _ => dir.join(format!("{stem}_{}.png", number + 1)),
        };
        std::fs::write(&file, bytes).with_context(|| file.display().to_string())?;
        files.push(file);
    }
    Ok(files)
}
