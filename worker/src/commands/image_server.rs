//! `illumine image-server`: a picture model over HTTP, one process a GPU.

mod launch;
mod listen;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use futures::future::try_join_all;
use illumine_models::qwen_image::studio::StudioConfig;
use illumine_models::qwen_image::{ImageMode, LoadOptions};
use tokio_util::sync::CancellationToken;

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
    /// GPUs to serve on, comma-separated, such as 0,1; `cpu` is as without
    #[arg(long, value_parser = gpus)]
    gpus: Option<std::vec::Vec<u16>>,
    /// flex, libtorch, cuda:0 …; with --gpus that of each process, which sees its GPU
    /// alone
    #[arg(long)]
    device: Option<String>,
    /// `::` for every address
    #[arg(long, default_value = "localhost")]
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
    /// Seconds between the starts of two processes
    #[arg(
        long = "startup_delay",
        alias = "startup-delay",
        default_value_t = 1.0,
        value_parser = seconds
    )]
    startup_delay: f64,
    /// How much is logged where RUST_LOG does not say
    #[arg(
        long = "log_level",
        alias = "log-level",
        default_value = "info",
        value_parser = ["debug", "info", "warning", "error"]
    )]
    log_level: String,
    /// Stop when standard input ends
    #[arg(long, hide = true)]
    supervised: bool,
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

impl Options {
    /// As filters of logs call it.
    pub fn log_level(&self) -> &str {
        match self.log_level.as_str() {
            "warning" => "warn",
            level => level,
        }
    }

    /// Where a process draws.
    fn device(&self) -> anyhow::Result<&str> {
        match &self.device {
            Some(device) => Ok(device),
            None if self.gpus().is_empty() => Ok("flex"),
            None if cfg!(feature = "cuda") => Ok("cuda:0"),
            None if cfg!(feature = "tch") => Ok("libtorch:cuda:0"),
            None => bail!(
                "--gpus: this program was built without GPUs; build with `--features cuda`, or leave --gpus out"
            ),
        }
    }

    fn gpus(&self) -> &[u16] {
        self.gpus.as_deref().unwrap_or_default()
    }
}

/// Numbers with commas between them, as the original takes them; `cpu` is none.
fn gpus(text: &str) -> Result<Vec<u16>, String> {
    if text.trim().eq_ignore_ascii_case("cpu") {
        return Ok(Vec::new());
    }
    let wrong = |part: &str| format!("`{part}` is no number of a GPU; give some such as 0,1");
    let mut found = Vec::new();
    let parts = text.split(',').map(str::trim);
    for part in parts.filter(|part| !part.is_empty()) {
        let gpu = part.parse().map_err(|_| wrong(part))?;
        if found.contains(&gpu) {
            return Err(format!("GPU {gpu} is named twice"));
        }
        found.push(gpu);
    }
    match found.is_empty() {
        true => Err(wrong(text)),
        false => Ok(found),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    let seconds = seconds.filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "expected seconds, 0 to 3600".to_owned())
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let spec = ModelSpec::parse(&options.model_path, options.device()?);
    // Said once, not by each process again and again.
    spec.check(options.mode.into())?;
    match options.gpus().is_empty() {
        true => serve(options, spec).await,
        false => launch::launch(&options).await,
    }
}

async fn serve(options: Options, spec: ModelSpec) -> anyhow::Result<ExitCode> {
    let api_key = match &options.api_key_env {
        None => None,
        Some(name) => match std::env::var(name) {
            Ok(key) if !key.is_empty() => Some(key),
            _ => bail!("--api-key-env: the environment variable `{name}` is not set"),
        },
    };
    let listeners = listen::listen(&options.host, options.base_port).await?;
    let address = listeners[0].local_addr()?;
    if api_key.is_none() && !address.ip().is_loopback() {
        tracing::warn!(%address, "anyone who reaches this address may draw; see --api-key-env");
    }
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
    let queue = options.queue.into();
    let server = Server::new(opened.studio, queue, options.model_path, api_key);
    println!("serving {} on http://{address}", mode_name(mode));
    let (router, stop) = (router(server), stopped(options.supervised)?);
    let served = listeners.into_iter().map(|listener| {
        let stop = stop.clone();
        axum::serve(listener, router.clone())
            .with_graceful_shutdown(async move { stop.cancelled().await })
            .into_future()
    });
    try_join_all(served).await?;
    Ok(ExitCode::SUCCESS)
}

/// Set when this process is to stop: by a signal or, where it is `supervised`, by the
/// end of its standard input.
fn stopped(supervised: bool) -> anyhow::Result<CancellationToken> {
    let (signal, stop) = (stop_signal()?, CancellationToken::new());
    let token = stop.clone();
    tokio::spawn(async move {
        let left_alone = async {
            match supervised {
                // Nothing is sent: it only ends.
                true => {
                    drop(tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await)
                }
                false => std::future::pending().await,
            }
        };
        tokio::select! {
            () = signal => {}
            () = left_alone => {}
        }
        token.cancel();
    });
    Ok(stop)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn read(line: &str) -> Options {
        Line::parse_from(line.split_whitespace()).options
    }

    #[test]
    fn the_original_launchers_lines_are_understood() {
        let options = read(
            "x --mode generation --model_path /m/q --gpus 0,1,2 --host 0.0.0.0 --base_port 9000 \
             --workers_per_gpu 2 --startup_delay 0.5 --log_level warning",
        );
        assert_eq!(options.gpus(), [0, 1, 2]);
        assert_eq!((options.base_port, options.workers_per_gpu), (9000, 2));
        assert_eq!(options.log_level(), "warn");
        let other = read("x --mode edit --model-path /m/q --gpus cpu");
        assert!(other.gpus().is_empty());
        assert_eq!(other.device().unwrap(), "flex");
    }

    #[test]
    fn gpus_are_numbers() {
        assert_eq!(gpus(" 3 , 1,"), Ok(vec![3, 1]));
        for bad in ["", ",", "0,0", "a", "-1", "0,cpu"] {
            assert!(gpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_process_has_its_parents_settings_and_a_port_of_its_own() {
        let options = read(
            "x --mode edit --model_path /m/q --gpus 0,1 --device flex --queue 7 --memory 1GiB \
             --idle_unload 60 --lora /l --log_level debug --api-key-env KEY",
        );
        let own = launch::arguments(&options, 8001).unwrap();
        let child = read(&format!("x {}", own[1..].join(" ")));
        assert!(child.supervised && child.gpus().is_empty());
        assert_eq!((child.base_port, child.queue), (8001, 7));
        assert_eq!((child.memory, child.idle_unload), (Some(1 << 30), Some(60)));
        assert_eq!(child.device().unwrap(), "flex");
        assert_eq!(child.log_level(), "debug");
        assert_eq!(
            (child.lora, child.api_key_env),
            (options.lora, options.api_key_env)
        );
    }
}
