//! The programs, started as a person would.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use illumine_testkit::{S3_ACCESS_KEY, S3_BUCKET, S3_SECRET_KEY, Servers};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

/// A backend, its stores, and as many workers as a test starts.
pub struct System {
    pub servers: Servers,
    pub address: String,
    pub key: String,
    environment: Vec<(String, String)>,
    backend: Child,
    client: Client,
}

/// A worker process; killed with the value.
pub struct Worker {
    child: Child,
    pub log: PathBuf,
}

const READY_LIMIT: Duration = Duration::from_secs(60);

impl System {
    /// Starts stores and backend. `settings` are environment variables for all
    /// programs.
    ///
    /// # Errors
    /// If a program is missing or does not come up.
    pub async fn start(settings: &[(&str, &str)]) -> Result<Self> {
        let servers = Servers::start().await?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let address = format!("127.0.0.1:{port}");
        let data = servers.folder().join("data");
        std::fs::create_dir_all(&data)?;
        let mut environment: Vec<(String, String)> = [
            ("ILLUMINE_DATA_DIR", data.display().to_string()),
            ("ILLUMINE_LISTEN", address.clone()),
            ("ILLUMINE_REDIS_URL", servers.redis_url()),
            ("ILLUMINE_S3_ENDPOINT", servers.s3_endpoint()),
            ("ILLUMINE_S3_BUCKET", S3_BUCKET.into()),
            ("ILLUMINE_S3_ACCESS_KEY", S3_ACCESS_KEY.into()),
            ("ILLUMINE_S3_SECRET_KEY", S3_SECRET_KEY.into()),
            (
                "ILLUMINE_PYTHON",
                installed("ILLUMINE_PYTHON", "python/bin/python")?,
            ),
            (
                "ILLUMINE_LIBRARY_DIR",
                installed("ILLUMINE_LIBRARY_DIR", "library")?,
            ),
            ("ILLUMINE_WEB_DIR", installed("ILLUMINE_WEB_DIR", "web")?),
            ("ILLUMINE_CODE_POOL", "1".into()),
            ("RUST_LOG", "info".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        environment.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        let log = std::fs::File::create(servers.folder().join("backend.log"))?;
        let backend = Command::new(program("illumine-backend")?)
            .envs(environment.clone())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let mut system = Self {
            servers,
            address,
            key: String::new(),
            environment,
            backend,
            client: Client::new(),
        };
        system.wait_for_backend(&data.join("admin-key")).await?;
        Ok(system)
    }

    async fn wait_for_backend(&mut self, key: &std::path::Path) -> Result<()> {
        let started = Instant::now();
        loop {
            let healthy = self.client.get(self.url("/healthz")).send().await;
            if healthy.is_ok_and(|answer| answer.status().is_success()) && key.exists() {
                self.key = std::fs::read_to_string(key)?.trim().to_owned();
                return Ok(());
            }
            if let Some(status) = self.backend.try_wait()? {
                bail!("the backend ended with {status}:\n{}", self.log("backend"));
            }
            ensure!(
                started.elapsed() < READY_LIMIT,
                "the backend is not up:\n{}",
                self.log("backend")
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A program's log so far.
    #[must_use]
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.servers.folder().join(format!("{name}.log")))
            .unwrap_or_default()
    }

    /// Starts a worker and waits until the registry shows it.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn worker(&self, name: &str) -> Result<Worker> {
        let before = self.workers().await?;
        let log = self.servers.folder().join(format!("{name}.log"));
        let mut child = self
            .command(&["worker"])?
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .spawn()?;
        let started = Instant::now();
        while self.workers().await? <= before {
            if let Some(status) = child.try_wait()? {
                bail!("the worker ended with {status}:\n{}", self.log(name));
            }
            ensure!(
                started.elapsed() < READY_LIMIT,
                "the worker is not up:\n{}",
                self.log(name)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Worker { child, log })
    }

    async fn workers(&self) -> Result<usize> {
        let workers = self.get("/api/v1/workers").await?;
        let list = workers.get("items").unwrap_or(&workers);
        Ok(list.as_array().map_or(0, Vec::len))
    }

    /// `illumine ARGUMENTS`, ready to run.
    ///
    /// # Errors
    /// If the program is not built.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(program("illumine")?);
        command.args(arguments).envs(self.environment.clone());
        Ok(command)
    }

    /// # Errors
    /// Unless the answer is a success in JSON.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let answer = self
            .client
            .get(self.url(path))
            .bearer_auth(&self.key)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "GET {path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// # Errors
    /// Unless the answer is a success.
    pub async fn get_text(&self, path: &str) -> Result<String> {
        let answer = self
            .client
            .get(self.url(path))
            .bearer_auth(&self.key)
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "GET {path}: {status}: {text}");
        Ok(text)
    }

    /// # Errors
    /// If there is no answer in JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let request = self
            .client
            .post(self.url(path))
            .bearer_auth(&self.key)
            .json(body);
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        Ok((
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        ))
    }

    /// # Errors
    /// Unless it was accepted.
    pub async fn delete(&self, path: &str) -> Result<()> {
        let request = self.client.delete(self.url(path)).bearer_auth(&self.key);
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status.is_success(), "DELETE {path}: {status}: {text}");
        Ok(())
    }

    /// Asks for a document; its id.
    ///
    /// # Errors
    /// Unless it was accepted.
    pub async fn submit(&self, prompt: &str) -> Result<String> {
        let (status, answer) = self
            .post("/api/v1/generations", &json!({"prompt": prompt}))
            .await?;
        ensure!(status == StatusCode::ACCEPTED, "{status}: {answer}");
        Ok(answer["id"].as_str().context("no id")?.to_owned())
    }

    /// Waits until the job is in one of these states; the job.
    ///
    /// # Errors
    /// If it is not within the limit; the error tells its last state.
    pub async fn wait(&self, id: &str, states: &[&str], limit: Duration) -> Result<Value> {
        let started = Instant::now();
        loop {
            let job = self.get(&format!("/api/v1/generations/{id}")).await;
            if let Ok(job) = &job
                && job["status"]
                    .as_str()
                    .is_some_and(|status| states.contains(&status))
            {
                return Ok(job.clone());
            }
            ensure!(
                started.elapsed() < limit,
                "{id} is not {states:?} after {limit:?}: {job:?}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// All events of a finished job as (name, data).
    ///
    /// # Errors
    /// If the stream does not end.
    pub async fn events(&self, id: &str) -> Result<Vec<(String, Value)>> {
        let text = self
            .get_text(&format!("/api/v1/generations/{id}/events"))
            .await?;
        let mut events = Vec::new();
        for block in text.split("\n\n") {
            let field = |name: &str| {
                block
                    .lines()
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::trim)
            };
            if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                events.push((name.to_owned(), serde_json::from_str(data)?));
            }
        }
        Ok(events)
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.backend.kill();
        let _ = self.backend.wait();
    }
}

impl Worker {
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// If it cannot be ended.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A program of this workspace, beside the test's own.
///
/// # Errors
/// If it is not built.
pub fn program(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("the test has no folder")?;
    let program = folder.join(name);
    ensure!(
        program.exists(),
        "{} is not built; run the tests with `cargo xtask test`",
        program.display()
    );
    Ok(program)
}

/// What `cargo xtask setup` made: named by a variable, else in `.illumine`.
pub(crate) fn installed(variable: &str, part: &str) -> Result<String> {
    let named = std::env::var(variable)
        .ok()
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("no root")?;
    let path = named.unwrap_or_else(|| root.join(".illumine").join(part));
    ensure!(
        path.exists(),
        "{} is missing; run the tests with `cargo xtask test`",
        path.display()
    );
    Ok(path.display().to_string())
}
