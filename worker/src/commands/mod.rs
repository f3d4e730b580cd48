//! One command a file.

mod config;
mod generate;
mod image_client;
mod image_server;
mod library;
mod llm_server;
mod models;
mod rebuild;
mod train;
mod worker;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use illumine_config::{Loaded, Sources};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(
    name = "illumine",
    version,
    about = "Illustrated documents, written by a language model with tools"
)]
pub struct Options {
    /// Write logs as JSON
    #[arg(long, global = true)]
    pub log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write one document to a file, without any server
    Generate(generate::Options),
    /// Take jobs from the queue until told to stop
    Worker(worker::Options),
    /// The picture library that the search tool reads
    #[command(subcommand)]
    Library(library::Command),
    /// Serve a language model over OpenAI's HTTP interface
    LlmServer(llm_server::Options),
    /// Serve a Qwen-Image or Qwen-Image-Edit model over HTTP
    ImageServer(image_server::Options),
    /// Ask such a server
    ImageClient(image_client::Options),
    /// Models on disk
    #[command(subcommand)]
    Models(models::Command),
    /// Train a policy by reinforcement learning, without any server
    Train(train::Options),
    /// Restore Redis from S3: jobs, lists, keys, and what was unfinished
    Rebuild(rebuild::Options),
    /// The configuration
    #[command(subcommand)]
    Config(config::Command),
}

impl Options {
    /// How much is logged.
    pub fn log_level(&self) -> &str {
        match &self.command {
            Command::ImageServer(options) => options.log_level(),
            // Every search that finds nothing is the policy's affair, and in the samples.
            Command::Train(_) => "warn",
            _ => "info",
        }
    }
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Generate(options) => generate::run(options).await,
        Command::Worker(options) => worker::run(options).await,
        Command::Library(command) => library::run(command).await,
        Command::LlmServer(options) => llm_server::run(options).await,
        Command::ImageServer(options) => image_server::run(options).await,
        Command::ImageClient(options) => image_client::run(options).await,
        Command::Models(command) => models::run(command),
        Command::Rebuild(options) => rebuild::run(options).await,
        Command::Train(options) => train::run(options).await,
        Command::Config(command) => config::run(&command).await,
    }
}

/// The configuration of this process, with what flags say.
fn configuration(flags: impl FnOnce(Sources) -> Sources) -> anyhow::Result<Loaded> {
    Ok(illumine_config::load(&flags(Sources::from_process()))?)
}

/// Ends when this process is asked to stop.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping: what is under way is finished first");
    })
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
