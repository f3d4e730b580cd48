//! The embedded S3 server on a thread and a runtime of its own, so that a
//! test's runtime neither drives nor outlives it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use illumine_s3::Server;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::{S3_ACCESS_KEY, S3_SECRET_KEY};

#[derive(Debug)]
pub struct S3Server {
    root: PathBuf,
    address: SocketAddr,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl S3Server {
    pub fn start(root: &Path) -> Result<Self> {
        let (address, running) = serve(SocketAddr::from(([127, 0, 0, 1], 0)), root)?;
        Ok(Self {
            root: root.to_owned(),
            address,
            running: Some(running),
        })
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.stop.send(());
            let _ = running.thread.join();
        }
    }

    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        let (_, running) = serve(self.address, &self.root)?;
        self.running = Some(running);
        Ok(())
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(address: SocketAddr, root: &Path) -> Result<(SocketAddr, Running)> {
    let (stop, stopped) = oneshot::channel();
    let (started, listening) = mpsc::channel();
    let root = root.to_owned();
    let thread = std::thread::spawn(move || match start(address, &root) {
        Ok((runtime, server, address)) => {
            let _ = started.send(Ok(address));
            let serving = runtime.spawn(server.serve(std::future::pending()));
            let _ = runtime.block_on(stopped);
            // Connections are cut, as when the machine behind them is gone.
            serving.abort();
            runtime.shutdown_background();
        }
        Err(error) => {
            let _ = started.send(Err(error));
        }
    });
    let address = listening.recv().context("the S3 server's thread ended")??;
    Ok((address, Running { stop, thread }))
}

fn start(address: SocketAddr, root: &Path) -> Result<(Runtime, Server, SocketAddr)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let server = runtime
        .block_on(Server::bind(address, root, S3_ACCESS_KEY, S3_SECRET_KEY))
        .context("the S3 server cannot start")?;
    let address = server.local_addr()?;
    Ok((runtime, server, address))
}
