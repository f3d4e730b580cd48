//! `illumine-s3 --listen 127.0.0.1:9479 --root DIR`; keys come from the
//! environment, where other users of the machine cannot read them.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Parser)]
#[command(version, about)]
struct Options {
    #[arg(long, default_value = "127.0.0.1:9479")]
    listen: SocketAddr,
    /// Folder that holds the objects.
    #[arg(long)]
    root: PathBuf,
    #[arg(long, env = "ILLUMINE_S3_ACCESS_KEY", hide_env_values = true)]
    access_key: String,
    #[arg(long, env = "ILLUMINE_S3_SECRET_KEY", hide_env_values = true)]
    secret_key: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let options = Options::parse();
    let server = illumine_s3::Server::bind(
        options.listen,
        &options.root,
        &options.access_key,
        &options.secret_key,
    )
    .await?;
    println!("s3 listens on {}", server.local_addr()?);
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch SIGTERM")?;
    server
        .serve(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        })
        .await;
    Ok(())
}
