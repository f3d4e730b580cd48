//! One server a GPU, each a process of its own that is started again when it dies.

use std::process::{ExitCode, Stdio};
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
/// For a process to finish what it draws.
const LONGEST_END: Duration = Duration::from_secs(60);
/// Who served as long as this had a good start.
const GOOD_START: Duration = Duration::from_secs(60);

pub async fn launch(options: &Options) -> anyhow::Result<ExitCode> {
    let mut ports = Vec::with_capacity(options.gpus().len());
    for &gpu in options.gpus() {
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
    let servers = ports.into_iter().enumerate().map(|(index, (gpu, port))| {
        println!("GPU {gpu}: http://{}:{port}", options.host);
        let delay = Duration::from_secs_f64(options.startup_delay * index as f64);
        supervise(options, gpu, port, delay, stopping.clone())
    });
    for ended in join_all(servers).await {
        ended?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Keeps the server of `gpu` alive from `delay` on, with longer and longer rests.
async fn supervise(
    options: &Options,
    gpu: u16,
    port: u16,
    delay: Duration,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let arguments = arguments(options, port)?;
    let mut wait = delay;
    let mut rest = REST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stopping.wait_for(|stop| *stop) => return Ok(()),
        }
        let begun = tokio::time::Instant::now();
        let mut child = Command::new(&program)
            .args(&arguments)
            // The process sees its GPU alone, as the first.
            .env("CUDA_VISIBLE_DEVICES", gpu.to_string())
            // It ends when this does: when told to, and when this process is gone,
            // however it went.
            .stdin(Stdio::piped())
            // Ctrl-C is for this process, which tells its children.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a server")?;
        // Waiting would close it.
        let input = child.stdin.take();
        tokio::select! {
            status = child.wait() => {
                let status = status.context("cannot wait for a server")?;
                if begun.elapsed() >= GOOD_START {
                    rest = REST;
                }
                tracing::warn!(gpu, port, %status, again_in_s = rest.as_secs(), "an image server ended");
            }
            _ = stopping.wait_for(|stop| *stop) => {
                drop(input);
                // Pictures under way are finished.
                if tokio::time::timeout(LONGEST_END, child.wait()).await.is_err() {
                    let _ = child.kill().await;
                }
                return Ok(());
            }
        }
        wait = rest;
        rest = (2 * rest).min(LONGEST_REST);
    }
}

/// What a single server is started with.
///
/// # Errors
/// When this program knows no GPU.
pub(super) fn arguments(options: &Options, port: u16) -> anyhow::Result<Vec<String>> {
    let mode = match options.mode {
        Mode::Generation => "generation",
        Mode::Edit => "edit",
    };
    let mut arguments = vec!["image-server".to_owned(), "--supervised".to_owned()];
    let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    add("--mode", mode.to_owned());
    add("--model_path", options.model_path.clone());
    add("--device", options.device()?.to_owned());
    add("--host", options.host.clone());
    add("--log_level", options.log_level.clone());
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
    Ok(arguments)
}
