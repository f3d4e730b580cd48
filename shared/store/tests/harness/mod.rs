//! Real servers for one test: a private `redis-server` (AOF on, unix socket) and
//! the embedded S3 server, both in the test's own folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use illumine_store::{Store, StoreConfig, Timings};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const ACCESS_KEY: &str = "test";
pub const SECRET_KEY: &str = "test-secret";

/// Both servers; they end with this value.
pub struct Servers {
    pub redis: RedisServer,
    pub s3: S3Server,
    _folder: TempDir,
}

impl Servers {
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("il").tempdir().unwrap();
        let redis = RedisServer::start(folder.path());
        let s3 = S3Server::start(folder.path());
        Self {
            redis,
            s3,
            _folder: folder,
        }
    }

    pub fn config(&self) -> StoreConfig {
        StoreConfig {
            redis_url: format!("redis+unix://{}", self.redis.socket.display()),
            s3_endpoint: format!("http://127.0.0.1:{}", self.s3.port),
            s3_bucket: "illumine".into(),
            s3_region: "local".into(),
            s3_access_key: ACCESS_KEY.into(),
            s3_secret_key: SECRET_KEY.into(),
        }
    }

    pub async fn store(&self) -> Store {
        Store::connect_with(&self.config(), quick()).await.unwrap()
    }
}

/// Timings that let a test see in seconds what takes minutes in production.
pub fn quick() -> Timings {
    Timings {
        connect: Duration::from_secs(20),
        s3_request: Duration::from_secs(5),
        s3_retry: Duration::from_secs(30),
        redis_retry: Duration::from_secs(20),
        heartbeat: Duration::from_millis(200),
        lease: Duration::from_millis(1500),
        idle_poll: Duration::from_millis(500),
        backoff: Duration::from_millis(100),
        backoff_limit: Duration::from_secs(1),
        cancel_grace: Duration::from_millis(500),
        training_grace: Duration::from_millis(500),
        event_retention: Duration::from_secs(60),
    }
}

pub struct RedisServer {
    folder: PathBuf,
    pub socket: PathBuf,
    child: Child,
}

impl RedisServer {
    fn start(folder: &Path) -> Self {
        let folder = folder.join("redis");
        std::fs::create_dir_all(&folder).unwrap();
        let socket = folder.join("s");
        let child = Self::spawn(&folder, &socket);
        Self {
            folder,
            socket,
            child,
        }
    }

    fn spawn(folder: &Path, socket: &Path) -> Child {
        Command::new("redis-server")
            .args(["--port", "0", "--appendonly", "yes", "--save", ""])
            .arg("--unixsocket")
            .arg(socket)
            .arg("--dir")
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed")
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
        self.child = Self::spawn(&self.folder, &self.socket);
    }

    /// Runs a command by hand.
    pub async fn command(&self, words: &[&str]) -> redis::Value {
        let url = format!("redis+unix://{}", self.socket.display());
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await.unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The S3 server on a runtime of its own, so that stopping it cuts connections
/// as a crash would.
pub struct S3Server {
    root: PathBuf,
    pub port: u16,
    runtime: Option<Runtime>,
}

impl S3Server {
    fn start(folder: &Path) -> Self {
        let mut server = Self {
            root: folder.join("s3"),
            port: 0,
            runtime: None,
        };
        server.start_again();
        server
    }

    pub fn start_again(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (root, port) = (self.root.clone(), self.port);
        let (sender, receiver) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let address = ([127, 0, 0, 1], port).into();
            let server = illumine_s3::Server::bind(address, &root, ACCESS_KEY, SECRET_KEY)
                .await
                .unwrap();
            sender.send(server.local_addr().unwrap().port()).unwrap();
            server.serve(std::future::pending()).await;
        });
        self.port = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        self.runtime = Some(runtime);
    }

    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// Whether the bytes lie in the server's folder.
    pub fn has(&self, key: &str) -> bool {
        self.root.join("illumine").join(key).exists()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}
