//! `illumine image-server`: a picture model over HTTP, one process a GPU.

mod launch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use illumine_models::qwen_image::studio::StudioConfig;
use illumine_models::qwen_image::{ImageMode, LoadOptions};
use tokio::net::TcpListener;

use super::{bytes, stop_signal};
use crate::image_models::{self, ModelSpec};
use crate::image_server::{Server, mode_name, router};

#[derive(Args, Clone, Debug)]
#[command(
    after_help = "It answers POST /generate/ or /edit/, GET /health, /info and /metrics, as LLM-I's \
    image server does. With --gpus each GPU has a process of its own on base_port + GPU, which is \
    started again when it dies."
)]
pub struct Options {
    #[arg(long, value_enum)]
    mode: Mode,
    /// Folder of a pipeline in Diffusers' layout
    #[arg(long = "model_path", alias = "model-path", value_name = "DIR")]
    model_path: String,
    /// GPUs to serve on, comma-separated, such as 0,1
    #[arg(long, value_delimiter = ',')]
    gpus: Vec<u16>,
    /// Where a server without --gpus runs: flex, libtorch, cuda:0 …
    #[arg(long, default_value = "flex")]
    device: String,
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port of GPU 0, or of a server without --gpus; there 0 takes any free one and
    /// prints it
    #[arg(long = "base_port", alias = "base-port", default_value_t = 8000)]
    base_port: u16,
    /// Requests of one size that a GPU draws together
    #[arg(long = "workers_per_gpu", alias = "workers-per-gpu", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers_per_gpu: u16,
    /// Requests that may wait before the next is refused as busy
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
    /// Memory that drawing may take beside the weights, such as 4GiB
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory: Option<usize>,
    /// Seconds without a request after which the model is put away
    #[arg(long = "idle_unload", alias = "idle-unload", value_name = "SECONDS")]
    idle_unload: Option<u64>,
    /// LoRA merged into the transformer (a Lightning one, for few steps); repeatable
    #[arg(long, value_name = "FILE")]
    lora: Vec<PathBuf>,
    /// Environment variable that holds the key which callers must send
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// As the original's; taken, and without effect here
    #[arg(long = "startup_delay", alias = "startup-delay", hide = true)]
    startup_delay: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    Generation,
    Edit,
}

impl From<Mode> for ImageMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Generation => Self::Generation,
            Mode::Edit => Self::Edit,
        }
    }
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.gpus.is_empty() {
        true => serve(options).await,
        false => launch::launch(&options).await,
    }
}

async fn serve(options: Options) -> anyhow::Result<ExitCode> {
    let api_key = match &options.api_key_env {
        None => None,
        Some(name) => match std::env::var(name) {
            Ok(key) if !key.is_empty() => Some(key),
            _ => bail!("--api-key-env: the environment variable `{name}` is not set"),
        },
    };
    let (host, port) = (options.host.as_str(), options.base_port);
    let listener = TcpListener::bind((host.trim_matches(['[', ']']), port))
        .await
        .with_context(|| format!("cannot listen on {host}:{port}"))?;
    let address = listener.local_addr()?;
    if api_key.is_none() && !address.ip().is_loopback() {
        tracing::warn!(%address, "anyone who reaches this address may draw; see --api-key-env");
    }
    let spec = ModelSpec::parse(&options.model_path, &options.device);
    let config = StudioConfig {
        queue: options.queue.into(),
        batch: options.workers_per_gpu.into(),
        memory: options.memory.map(|bytes| bytes as u64),
        idle: options.idle_unload.map(Duration::from_secs),
        ..StudioConfig::default()
    };
    let load = LoadOptions {
        loras: options
            .lora
            .iter()
            .map(|lora| (lora.clone(), 1.0))
            .collect(),
        ..LoadOptions::default()
    };
    let mode = options.mode.into();
    let opening =
        tokio::task::spawn_blocking(move || image_models::open(&spec, mode, config, &load));
    let opened = opening.await??;
    let server = Server::new(opened.studio, options.model_path, api_key);
    println!("serving {} on http://{address}", mode_name(mode));
    axum::serve(listener, router(server))
        .with_graceful_shutdown(stop_signal()?)
        .await?;
    Ok(ExitCode::SUCCESS)
}
