//! One server a GPU, each a process of its own that is started again when it dies.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures::future::join_all;
use tokio::process::Command;
use tokio::sync::watch;

use super::super::stop_signal;
use super::{Mode, Options};

/// Before a server that died is started again; doubles up to [`LONGEST_REST`].
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Who served as long as this had a good start.
const GOOD_START: Duration = Duration::from_secs(60);

pub async fn launch(options: &Options) -> anyhow::Result<ExitCode> {
    let mut ports = Vec::with_capacity(options.gpus.len());
    for &gpu in &options.gpus {
        let port = options.base_port.checked_add(gpu);
        ports.push((
            gpu,
            port.with_context(|| format!("no port is left for GPU {gpu}"))?,
        ));
    }
    let stop = stop_signal()?;
    let (sender, stopping) = watch::channel(false);
    tokio::spawn(async move {
        stop.await;
        let _ = sender.send(true);
    });
    let servers = ports.into_iter().map(|(gpu, port)| {
        println!("GPU {gpu}: http://{}:{port}", options.host);
        supervise(options, gpu, port, stopping.clone())
    });
    for ended in join_all(servers).await {
        ended?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn supervise(
    options: &Options,
    gpu: u16,
    port: u16,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut rest = REST;
    while !*stopping.borrow() {
        let begun = tokio::time::Instant::now();
        let mut child = Command::new(&program)
            .args(arguments(options, port))
            // The process sees its GPU alone, as the first.
            .env("CUDA_VISIBLE_DEVICES", gpu.to_string())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a server")?;
        tokio::select! {
            status = child.wait() => {
                let status = status.context("cannot wait for a server")?;
                if begun.elapsed() >= GOOD_START {
                    rest = REST;
                }
                tracing::warn!(gpu, port, %status, again_in_s = rest.as_secs(), "an image server ended");
            }
            _ = stopping.wait_for(|stop| *stop) => {
                terminate(&mut child).await;
                return Ok(());
            }
        }
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        }
        rest = (2 * rest).min(LONGEST_REST);
    }
    Ok(())
}

/// What a single server is started with.
fn arguments(options: &Options, port: u16) -> Vec<String> {
    let mode = match options.mode {
        Mode::Generation => "generation",
        Mode::Edit => "edit",
    };
    let mut arguments: Vec<String> = [
        "image-server",
        "--mode",
        mode,
        "--model_path",
        &options.model_path,
        "--device",
        match options.device.as_str() {
            "flex" => "cuda:0",
            other => other,
        },
        "--host",
        &options.host,
    ]
    .map(str::to_owned)
    .into();
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    add("--base_port", port.to_string());
    add("--workers_per_gpu", options.workers_per_gpu.to_string());
    add("--queue", options.queue.to_string());
    if let Some(memory) = options.memory {
        add("--memory", memory.to_string());
    }
    if let Some(seconds) = options.idle_unload {
        add("--idle_unload", seconds.to_string());
    }
    if let Some(name) = &options.api_key_env {
        add("--api-key-env", name.clone());
    }
    for lora in &options.lora {
        add("--lora", lora.display().to_string());
    }
    arguments
}

/// Asks a server to finish; kills it when it does not.
async fn terminate(child: &mut tokio::process::Child) {
    if let Some(id) = child.id() {
        let asked = Command::new("kill").arg(id.to_string()).status().await;
        if asked.is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
        }
    }
    let _ = child.kill().await;
}
