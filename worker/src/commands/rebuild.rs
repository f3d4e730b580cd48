//! `illumine rebuild`: after Redis was lost.

use std::process::ExitCode;

use clap::Args;
use illumine_store::rebuild;

#[derive(Args)]
pub struct Options {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let loaded = super::configuration(|sources| sources)?;
    let store = crate::store::connect(&loaded.config).await?;
    let json = options.json;
    let done = rebuild(&store, |progress| {
        if !json && progress.jobs % 100 == 0 {
            eprint!(
                "\r{} jobs read, {} restored, {} queued",
                progress.jobs, progress.restored, progress.queued
            );
        }
    })
    .await?;
    if json {
        println!("{}", serde_json::to_string(&done)?);
    } else {
        eprintln!("\r");
        println!(
            "{} jobs in S3: {} restored ({} of them queued again), {} known already, {} unreadable; {} keys",
            done.jobs, done.restored, done.queued, done.known, done.unreadable, done.keys
        );
    }
    Ok(if done.unreadable == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
