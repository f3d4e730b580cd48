//! `illumine llm-server`: a language model behind OpenAI's HTTP interface.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use illumine_agent::policy::burn::load_model;
use illumine_guard::{Allow, Guard};
use illumine_models::engine::{Engine, EngineConfig};
use illumine_models::sampling::SamplingParams;
use tokio::net::TcpListener;

use super::{bytes, stop_signal};
use crate::llm_server::{Server, openai_sampling, router};

#[derive(Args)]
#[command(
    after_help = "It answers POST /v1/chat/completions, GET /v1/models, /health and /metrics. \
    The model's name in requests is its folder's name, an adapter's the one given with --lora; \
    /v1/models lists them and says whether pictures are seen."
)]
pub struct Options {
    /// Hugging Face folder, or `demo`
    #[arg(long)]
    model: String,
    /// A LoRA adapter in peft's layout that requests may ask for by NAME in place
    /// of the model's; repeatable
    #[arg(long, value_name = "NAME=DIR", value_parser = named_folder)]
    lora: Vec<(String, PathBuf)>,
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
    /// What requests leave open of sampling is as OpenAI has it, whatever the model's
    /// generation_config.json says
    #[arg(long)]
    ignore_generation_config: bool,
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
    let name = name(&options.model);
    check_names(&name, &options.lora)?;
    let loading = move || {
        let loaded = load_model(&model, &device)?;
        for (name, folder) in &options.lora {
            loaded
                .add_adapter(name, folder)
                .with_context(|| format!("--lora {name}: the adapter cannot be loaded"))?;
        }
        anyhow::Ok(loaded)
    };
    let loaded = tokio::task::spawn_blocking(loading).await??;
    let mut server = Server::new(
        name,
        Engine::start(loaded, &config)?,
        api_key,
        Guard::new(allow),
    );
    if options.ignore_generation_config {
        server.sampling = openai_sampling();
    }
    announce(&server, address);
    axum::serve(listener, router(server))
        .with_graceful_shutdown(stop_signal()?)
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
    if server.sampling != openai_sampling() {
        let SamplingParams {
            temperature,
            top_p,
            top_k,
            min_p,
            repetition_penalty,
            ..
        } = server.sampling;
        println!(
            "where a request says nothing, by the model's generation_config.json: temperature \
             {temperature}, top_p {top_p}, top_k {top_k}, min_p {min_p}, repetition_penalty \
             {repetition_penalty}"
        );
    }
}

/// `NAME=DIR`.
fn named_folder(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.trim().is_empty() && !folder.is_empty() => {
            Ok((name.trim().to_owned(), folder.into()))
        }
        _ => Err("expected a name and a folder, such as tuned=/models/adapter".to_owned()),
    }
}

/// A name must tell which model is meant.
fn check_names(model: &str, adapters: &[(String, PathBuf)]) -> anyhow::Result<()> {
    let mut names = std::collections::HashSet::from([model]);
    match adapters.iter().find(|(name, _)| !names.insert(name)) {
        Some((name, _)) => bail!("--lora: two models would be called `{name}`"),
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adapters_have_names_of_their_own() {
        assert_eq!(named_folder("a=/x=y"), Ok(("a".into(), "/x=y".into())));
        for bad in ["", "a", "=x", "a=", " =x"] {
            assert!(named_folder(bad).is_err(), "{bad}");
        }
        let adapters = |names: &[&str]| -> Vec<_> {
            let named = |name: &&str| ((*name).to_owned(), PathBuf::new());
            names.iter().map(named).collect()
        };
        assert!(check_names("m", &adapters(&["a", "b"])).is_ok());
        assert!(check_names("m", &adapters(&["a", "a"])).is_err());
        assert!(check_names("m", &adapters(&["m"])).is_err());
    }
}
