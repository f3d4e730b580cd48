//! One command a file.

mod config;
mod generate;
mod library;
mod llm_server;
mod models;
mod rebuild;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use illumine_config::{Loaded, Sources};

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
    /// Models on disk
    #[command(subcommand)]
    Models(models::Command),
    /// Restore Redis from S3: jobs, lists, keys, and what was unfinished
    Rebuild(rebuild::Options),
    /// The configuration
    #[command(subcommand)]
    Config(config::Command),
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Generate(options) => generate::run(options).await,
        Command::Worker(options) => worker::run(options).await,
        Command::Library(command) => library::run(command).await,
        Command::LlmServer(options) => llm_server::run(options).await,
        Command::Models(command) => models::run(command),
        Command::Rebuild(options) => rebuild::run(options).await,
        Command::Config(command) => config::run(&command).await,
    }
}

/// The configuration of this process, with what flags say.
fn configuration(flags: impl FnOnce(Sources) -> Sources) -> anyhow::Result<Loaded> {
    Ok(illumine_config::load(&flags(Sources::from_process()))?)
}
