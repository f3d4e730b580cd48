//! An S3 server in a folder, for installations that name no other.
//!
//! `s3s` speaks the protocol and `s3s-fs` keeps the objects; this crate only
//! listens. Keys are required: the port is local, but not private.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    #[error("the folder {0} cannot be used: {1}")]
    Folder(String, String),
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
}

impl S3Error {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Folder(..) => "s3_folder",
            Self::Listen(..) => "s3_listen",
        }
    }
}

/// A server that listens but does not answer yet.
pub struct Server {
    listener: TcpListener,
    service: S3Service,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    /// Opens the folder and the port (0 lets the system choose).
    ///
    /// # Errors
    /// [`S3Error`] naming the folder or the address.
    pub async fn bind(
        address: SocketAddr,
        root: &Path,
        access_key: &str,
        secret_key: &str,
    ) -> Result<Self, S3Error> {
        let folder = |error: String| S3Error::Folder(root.display().to_string(), error);
        std::fs::create_dir_all(root).map_err(|error| folder(error.to_string()))?;
        let files = FileSystem::new(root).map_err(|error| folder(format!("{error:?}")))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| S3Error::Listen(address, error))?;
        Ok(Self {
            listener,
            service: builder.build(),
        })
    }

    /// # Errors
    /// As the socket's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` resolves, then finishes what is in flight (10 s at
    /// most).
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let http = Builder::new(TokioExecutor::new());
        let connections = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.as_mut() => break,
            };
            let socket = match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    // Out of file descriptors: wait for some to be closed.
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let _ = socket.set_nodelay(true);
            let connection = http.serve_connection(TokioIo::new(socket), self.service.clone());
            let connection = connections.watch(connection.into_owned());
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended");
                }
            });
        }
        let _ = tokio::time::timeout(Duration::from_secs(10), connections.shutdown()).await;
    }
}
