//! A real Ray head on loopback, alone on its ports and in its folder, where a program of
//! ours stands in for verl (`infra/e2e/ray`).

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::system::installed;

const READY_LIMIT: Duration = Duration::from_secs(120);
const END_LIMIT: Duration = Duration::from_secs(20);
/// What marks every process of the head, by its environment.
const MARK: &str = "ILLUMINE_TEST_RAY";

/// A running head; all that it started ends with the value.
pub struct RayHead {
    /// What `RAY_ADDRESS` takes.
    pub address: String,
    child: Child,
    folder: TempDir,
}

impl RayHead {
    /// # Errors
    /// If Ray is not installed or does not come up.
    pub async fn start() -> Result<Self> {
        let python = installed("ILLUMINE_RAY_PYTHON", "ray/bin/python")?;
        let programs = Path::new(&python).parent().context("no folder")?;
        // Paths of sockets have 107 characters at most.
        let folder = tempfile::Builder::new()
            .prefix("ilray-")
            .tempdir_in("/tmp")?;
        let port = free_port()?;
        let address = format!("http://127.0.0.1:{port}");
        let stand_in = concat!(env!("CARGO_MANIFEST_DIR"), "/ray");
        let path = std::env::var("PATH").unwrap_or_default();
        let log = std::fs::File::create(folder.path().join("head.log"))?;
        let child = Command::new(programs.join("ray"))
            .args(["start", "--head", "--block", "--disable-usage-stats"])
            .args(["--node-ip-address", "127.0.0.1"])
            .args(["--port", &free_port()?.to_string()])
            .args(["--dashboard-host", "127.0.0.1"])
            .args(["--dashboard-port", &port.to_string()])
            .args(["--ray-client-server-port", &free_port()?.to_string()])
            .args(["--dashboard-agent-listen-port", "0"])
            .args(["--num-cpus", "1", "--num-gpus", "0"])
            .args(["--object-store-memory", "80000000"])
            .arg("--temp-dir")
            .arg(folder.path().join("t"))
            .env(MARK, folder.path())
            .env("RAY_USAGE_STATS_ENABLED", "0")
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("PYTHONPATH", stand_in)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("ILLUMINE_RUNS_DIR", folder.path().join("runs"))
            .env_remove("RAY_ADDRESS")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} cannot be started", programs.display()))?;
        let mut head = Self {
            address,
            child,
            folder,
        };
        head.wait_until_ready().await?;
        Ok(head)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let started = Instant::now();
        loop {
            let version = client.get(format!("{}/api/version", self.address));
            if version
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("Ray ended with {status}:\n{}", self.log());
            }
            ensure!(
                started.elapsed() < READY_LIMIT,
                "Ray is not up:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("head.log")).unwrap_or_default()
    }

    /// Processes of the head and of its jobs, by their ids.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.folder.path().display());
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|id| {
                let environment = std::fs::read(format!("/proc/{id}/environ"));
                let environment = environment.unwrap_or_default();
                environment
                    .split(|byte| *byte == 0)
                    .any(|pair| pair == mark.as_bytes())
            })
            .collect()
    }

    /// Those of jobs alone: what runs our stand-in.
    #[must_use]
    pub fn trainers(&self) -> usize {
        let is_trainer = |id: &&u32| {
            let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains("verl.trainer.main_ppo")
        };
        self.processes().iter().filter(is_trainer).count()
    }

    /// Ends everything that the head started.
    ///
    /// # Errors
    /// If something goes on.
    pub fn end(&mut self) -> Result<()> {
        signal("TERM", &[self.child.id()]);
        if self.ended_within(END_LIMIT, || {}) {
            return Ok(());
        }
        // Again and again: what is ended may have started another before.
        let kill = || signal("KILL", &self.processes());
        ensure!(
            self.ended_within(END_LIMIT, kill),
            "still there: {:?}",
            self.processes()
        );
        Ok(())
    }

    /// Whether all have ended before `limit` is over; calls `urge` while some have not.
    fn ended_within(&self, limit: Duration, urge: impl Fn()) -> bool {
        let started = Instant::now();
        while started.elapsed() < limit {
            if self.processes().is_empty() {
                return true;
            }
            urge();
            std::thread::sleep(Duration::from_millis(100));
        }
        false
    }
}

impl Drop for RayHead {
    fn drop(&mut self) {
        let _ = self.end();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, ids: &[u32]) {
    if ids.is_empty() {
        return;
    }
    let ids = ids.iter().map(u32::to_string);
    let _ = Command::new("kill")
        .arg(format!("-{name}"))
        .args(ids)
        .stderr(Stdio::null())
        .status();
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}
