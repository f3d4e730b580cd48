//! `illumine llm-server`: a language model behind OpenAI's HTTP interface.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use illumine_agent::policy::burn::load_model;
use illumine_guard::{Allow, Guard};
use illumine_models::engine::{Engine, EngineConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::llm_server::{Server, router};

#[derive(Args)]
#[command(
    after_help = "It answers POST /v1/chat/completions, GET /v1/models, /health and /metrics. \
    The model's name in requests is its folder's name; /v1/models says whether it sees pictures."
)]
pub struct Options {
    /// Hugging Face folder, or `demo`
    #[arg(long)]
    model: String,
    /// flex, libtorch, cuda:0 …
    #[arg(long, default_value = "flex")]
    device: String,
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// 0 takes any free one and prints it
    #[arg(long, default_value_t = 8100)]
    port: u16,
    /// Environment variable that holds the key which callers must send
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// Requests served at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    max_concurrency: u16,
    /// Requests that may wait before the next is refused as busy
    #[arg(long, default_value_t = 256)]
    max_waiting: u16,
    /// Memory of keys and values, such as 512MiB or 4GiB; half of what is free
    /// when left out
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    kv_budget: Option<usize>,
    /// `host:port` from which pictures may be fetched although it is private; may
    /// be given again
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "ILLUMINE_FETCH_ALLOW",
        value_delimiter = ','
    )]
    fetch_allow: Vec<String>,
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let api_key = match &options.api_key_env {
        None => None,
        Some(name) => match std::env::var(name) {
            Ok(key) if !key.is_empty() => Some(key),
            _ => bail!("--api-key-env: the environment variable `{name}` is not set"),
        },
    };
    let allowed: Vec<&String> = options
        .fetch_allow
        .iter()
        .filter(|e| !e.is_empty())
        .collect();
    let allow = Allow::parse(&allowed).map_err(|error| anyhow!("--fetch-allow: {error}"))?;
    let listener = TcpListener::bind((options.host.as_str(), options.port))
        .await
        .with_context(|| format!("cannot listen on {}:{}", options.host, options.port))?;
    let address = listener.local_addr()?;
    if api_key.is_none() && !address.ip().is_loopback() {
        tracing::warn!(%address, "anyone who reaches this address may use the model; see --api-key-env");
    }
    let config = EngineConfig {
        kv_budget_bytes: options.kv_budget,
        max_concurrency: options.max_concurrency.into(),
        max_waiting: options.max_waiting.into(),
        ..EngineConfig::default()
    };
    let (model, device) = (options.model.clone(), options.device);
    let loaded = tokio::task::spawn_blocking(move || load_model(&model, &device)).await??;
    let server = Server::new(
        name(&options.model),
        Engine::start(loaded, &config)?,
        api_key,
        Guard::new(allow),
    );
    announce(&server, address);
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch SIGTERM")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: answers under way are finished first");
    };
    axum::serve(listener, router(server))
        .with_graceful_shutdown(stop)
        .await?;
    Ok(ExitCode::SUCCESS)
}

fn announce(server: &Server, address: SocketAddr) {
    let budget = server.engine.metrics().kv_budget_bytes >> 20;
    let kind = match server.engine.model().sees_pictures() {
        true => "text and pictures",
        false => "text",
    };
    println!(
        "serving `{}` on http://{address}/v1 ({kind}; keys and values: up to {budget} MiB)",
        server.name
    );
}

/// The last part of the folder's path.
fn name(model: &str) -> String {
    let absolute = Path::new(model).canonicalize();
    let path = absolute.as_deref().unwrap_or(Path::new(model));
    path.file_name().map_or_else(
        || model.to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// A number of bytes, with KiB, MiB or GiB behind it or nothing.
fn bytes(text: &str) -> Result<usize, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))
        .unwrap_or((text, 0));
    number
        .trim()
        .parse()
        .ok()
        .and_then(|number: usize| number.checked_mul(1 << shift))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "expected a number of bytes, such as 512MiB or 4GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert_eq!(bytes("1 KiB"), Ok(1024));
        assert_eq!(bytes("77"), Ok(77));
        for bad in ["", "0", "4GB", "-1", "99999999999GiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
