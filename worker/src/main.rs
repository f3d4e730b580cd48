//! The `illumine` command line: generate a document, run a worker, look after
//! an installation.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod commands;
mod image_models;
mod image_server;
mod jobs;
mod judges;
mod library;
mod llm_server;
mod logging;
mod pictures;
mod store;
mod tools;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Before the first thread: all others inherit it.
    illumine_models::denormals::flush();
    run()
}

#[tokio::main]
async fn run() -> ExitCode {
    let options = commands::Options::parse();
    logging::start(options.log_json, options.log_level());
    match commands::run(options).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
