//! A private `redis-server` on a unix socket, with its append-only file on.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const START_LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct RedisServer {
    folder: PathBuf,
    child: Option<Child>,
}

impl RedisServer {
    pub async fn start(folder: &Path) -> Result<Self> {
        let mut server = Self {
            folder: folder.to_owned(),
            child: None,
        };
        server.restart().await?;
        Ok(server)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("redis.sock")
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().context("redis-server cannot be ended")?;
            child.wait().context("redis-server cannot be waited for")?;
        }
        Ok(())
    }

    pub async fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let socket = self.socket();
        let child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "everysec", "--loglevel", "warning"])
            .arg("--unixsocket")
            .arg(&socket)
            .arg("--dir")
            .arg(&self.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("redis-server cannot be started: install the package `redis-server`")?;
        self.child = Some(child);
        let client = redis::Client::open(self.url())?;
        let started = Instant::now();
        while started.elapsed() < START_LIMIT {
            if let Ok(mut connection) = client.get_multiplexed_async_connection().await {
                let answer: redis::RedisResult<String> =
                    redis::cmd("PING").query_async(&mut connection).await;
                if answer.is_ok() {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("redis-server did not answer on {}", socket.display())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
