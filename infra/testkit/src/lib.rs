//! Real stores for tests: a private `redis-server` and the embedded S3 server,
//! both in a folder of their own that goes when the value does.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! let servers = illumine_testkit::Servers::start().await?;
//! println!("{} {}", servers.redis_url(), servers.s3_endpoint());
//! # Ok(()) }
//! ```
//!
//! Either server can be stopped and started again ([`Servers::stop_redis`],
//! [`Servers::stop_s3`]) to see what a program does meanwhile.

mod redis_server;
mod s3_server;

use anyhow::Result;
use redis_server::RedisServer;
use s3_server::S3Server;
use tempfile::TempDir;

/// Access key of the S3 server.
pub const S3_ACCESS_KEY: &str = "test-access";
/// Secret key of the S3 server.
pub const S3_SECRET_KEY: &str = "test-secret";
/// Bucket that tests use; whoever connects makes it.
pub const S3_BUCKET: &str = "illumine-test";

/// Two running servers.
#[derive(Debug)]
pub struct Servers {
    redis: RedisServer,
    s3: S3Server,
    folder: TempDir,
}

impl Servers {
    /// Starts both and waits until they answer.
    ///
    /// # Errors
    /// If `redis-server` is not installed or a server does not come up.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("illumine-test-")
            .tempdir()?;
        let redis = RedisServer::start(folder.path()).await?;
        let s3 = S3Server::start(&folder.path().join("s3"))?;
        Ok(Self { redis, s3, folder })
    }

    /// `redis+unix:///…`
    #[must_use]
    pub fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// `http://127.0.0.1:port`
    #[must_use]
    pub fn s3_endpoint(&self) -> String {
        self.s3.endpoint()
    }

    /// A folder that lives as long as the servers do.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Ends the Redis server as `kill -9` does.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn stop_redis(&mut self) -> Result<()> {
        self.redis.stop()
    }

    /// Starts the Redis server again on the same data and address.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn restart_redis(&mut self) -> Result<()> {
        self.redis.restart().await
    }

    /// Closes the S3 server's port and connections.
    pub fn stop_s3(&mut self) {
        self.s3.stop();
    }

    /// Opens the S3 server again on the same data and address.
    ///
    /// # Errors
    /// If the port was taken meanwhile.
    pub fn restart_s3(&mut self) -> Result<()> {
        self.s3.restart()
    }
}
