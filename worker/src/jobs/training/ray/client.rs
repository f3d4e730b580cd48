//! Ray's Jobs REST API (ray 2.60, `dashboard/modules/job/job_head.py`).

use std::time::Duration;

use illumine_config::ray::RayTarget;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::log::without_keys;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The head waits up to 10 s for its agent before it answers.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A log comes whole each time.
const LARGEST_ANSWER: usize = 256 << 20;
/// Characters of what Ray says about an error; of a traceback the end tells.
const REASON: usize = 600;

/// What went wrong. Every message names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RayFault {
    #[error("Ray at {address} (RAY_ADDRESS) does not answer: {reason}")]
    Unreachable { address: String, reason: String },
    #[error(
        "{address} (RAY_ADDRESS) is no Jobs API of Ray: {reason}; give the address of the \
         head's dashboard, `http://host:8265`"
    )]
    NotRay { address: String, reason: String },
    #[error("Ray at {address} (RAY_ADDRESS) refused {what}: HTTP {status}: {reason}")]
    Refused {
        address: String,
        what: &'static str,
        status: u16,
        reason: String,
    },
}

impl RayFault {
    /// Whether the same may work later.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::NotRay { .. } => false,
            Self::Refused { status, .. } => *status >= 500 || matches!(*status, 408 | 429),
        }
    }
}

type Result<T> = std::result::Result<T, RayFault>;

/// Where a job stands, as Ray says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Pending,
    Running,
    Stopped,
    Succeeded,
    Failed,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    pub const fn is_final(self) -> bool {
        matches!(self, Self::Stopped | Self::Succeeded | Self::Failed)
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct JobInfo {
    pub status: Status,
    /// Ray's words about it.
    #[serde(default)]
    pub message: Option<String>,
}

/// What is submitted.
pub struct Submission<'a> {
    /// A second job of the same id is refused.
    pub id: &'a str,
    pub entrypoint: &'a str,
    /// `gcs://…`, uploaded before.
    pub working_dir: &'a str,
    /// Name and value, for the entrypoint and every worker of the job. Ray keeps
    /// and shows them.
    pub environment: &'a [(&'static str, String)],
    /// Ray shows it beside the job.
    pub run: &'a str,
}

/// A cluster.
#[derive(Clone, Debug)]
pub struct RayClient {
    http: Client,
    target: RayTarget,
}

impl RayClient {
    /// # Errors
    /// [`RayFault::Unreachable`] if there is no TLS here.
    pub fn new(target: RayTarget) -> Result<Self> {
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .user_agent(concat!("illumine/", env!("CARGO_PKG_VERSION")));
        let host = target.address.host_str().unwrap_or_default();
        if host == "localhost" || host.starts_with("127.") || host == "[::1]" {
            builder = builder.no_proxy();
        }
        match builder.build() {
            Ok(http) => Ok(Self { http, target }),
            Err(error) => Err(RayFault::Unreachable {
                address: target.shown,
                reason: error.to_string(),
            }),
        }
    }

    /// Ray's version: that there is a Jobs API at all.
    ///
    /// # Errors
    /// [`RayFault`].
    pub async fn version(&self) -> Result<String> {
        let answer = self.send(self.request(Method::GET, "/api/version")).await?;
        let status = answer.status();
        let not_ray = |reason: String| RayFault::NotRay {
            address: self.target.shown.clone(),
            reason,
        };
        if status.is_server_error() {
            return Err(self.refused("its version", answer).await);
        }
        if !status.is_success() {
            return Err(not_ray(format!(
                "GET /api/version answers HTTP {}",
                status.as_u16()
            )));
        }
        let body = self.read(answer).await?;
        let version: Option<Value> = serde_json::from_slice(&body).ok();
        version
            .and_then(|version| version["ray_version"].as_str().map(str::to_owned))
            .ok_or_else(|| not_ray("GET /api/version answers something else".into()))
    }

    /// Uploads an archive, unless the cluster has one of that name, and answers its
    /// URI. A name stands for its contents: machines keep what they have unpacked.
    ///
    /// # Errors
    /// [`RayFault`].
    pub async fn upload(&self, name: &str, archive: Vec<u8>) -> Result<String> {
        let path = format!("/api/packages/gcs/{name}");
        let known = self.send(self.request(Method::GET, &path)).await?;
        match known.status() {
            status if status.is_success() => {}
            StatusCode::NOT_FOUND => {
                let put = self.request(Method::PUT, &path).body(archive);
                let answer = self.send(put).await?;
                if !answer.status().is_success() {
                    return Err(self.refused("the run's files", answer).await);
                }
            }
            _ => return Err(self.refused("to look for the run's files", known).await),
        }
        Ok(format!("gcs://{name}"))
    }

    /// # Errors
    /// [`RayFault`], also if there is a job of that id.
    pub async fn submit(&self, job: &Submission<'_>) -> Result<()> {
        let environment: serde_json::Map<String, Value> = job
            .environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let body = json!({
            "submission_id": job.id,
            "entrypoint": job.entrypoint,
            "runtime_env": {"working_dir": job.working_dir, "env_vars": environment},
            "metadata": {"illumine_run": job.run},
        });
        let post = self.request(Method::POST, "/api/jobs/").json(&body);
        let answer = self.send(post).await?;
        match answer.status().is_success() {
            true => Ok(()),
            false => Err(self.refused("the job", answer).await),
        }
    }

    /// Where the job stands; `None` if Ray knows none of that id.
    ///
    /// # Errors
    /// [`RayFault`].
    pub async fn job(&self, id: &str) -> Result<Option<JobInfo>> {
        self.known(id, "", "the job's state").await
    }

    /// All that the job has printed; empty until it starts.
    ///
    /// # Errors
    /// [`RayFault`].
    pub async fn log(&self, id: &str) -> Result<String> {
        #[derive(Deserialize)]
        struct Logs {
            #[serde(default)]
            logs: Option<String>,
        }
        let logs: Option<Logs> = self.known(id, "/logs", "the job's log").await?;
        Ok(logs.and_then(|logs| logs.logs).unwrap_or_default())
    }

    /// Asks the job to end; Ray ends it by force a few seconds later. That it has
    /// ended, or is not there, is no error.
    ///
    /// # Errors
    /// [`RayFault`].
    pub async fn stop(&self, id: &str) -> Result<()> {
        let path = format!("/api/jobs/{id}/stop");
        let answer = self.send(self.request(Method::POST, &path)).await?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Ok(()),
            _ => Err(self.refused("to stop the job", answer).await),
        }
    }

    /// Something of a job in JSON.
    async fn known<T: DeserializeOwned>(
        &self,
        id: &str,
        below: &str,
        what: &'static str,
    ) -> Result<Option<T>> {
        let path = format!("/api/jobs/{id}{below}");
        let answer = self.send(self.request(Method::GET, &path)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            // Other servers say 404 too, and a job that is gone ends its run.
            self.version().await?;
            return Ok(None);
        }
        if !answer.status().is_success() {
            return Err(self.refused(what, answer).await);
        }
        let body = self.read(answer).await?;
        serde_json::from_slice(&body)
            .map(Some)
            .map_err(|error| RayFault::NotRay {
                address: self.target.shown.clone(),
                reason: format!("{what} cannot be read: {error}"),
            })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.target.address.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        self.http.request(method, url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let answer = request.send().await;
        answer.map_err(|error| self.unreachable(error))
    }

    async fn read(&self, mut answer: Response) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(piece) = answer
            .chunk()
            .await
            .map_err(|error| self.unreachable(error))?
        {
            if body.len() + piece.len() > LARGEST_ANSWER {
                return Err(RayFault::NotRay {
                    address: self.target.shown.clone(),
                    reason: format!("an answer has more than {} MiB", LARGEST_ANSWER >> 20),
                });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn unreachable(&self, error: reqwest::Error) -> RayFault {
        // The address may hold a password; the causes say what happened.
        let error = error.without_url();
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            reason = error.to_string();
            cause = error.source();
        }
        RayFault::Unreachable {
            address: self.target.shown.clone(),
            reason,
        }
    }

    async fn refused(&self, what: &'static str, answer: Response) -> RayFault {
        let status = answer.status().as_u16();
        let body = match self.read(answer).await {
            // Ray answers tracebacks, which may repeat what was sent: first without keys,
            // as half of one would not be known for what it is.
            Ok(body) => without_keys(String::from_utf8_lossy(&body).trim()),
            Err(fault) => return fault,
        };
        let skipped = body.chars().count().saturating_sub(REASON);
        let reason: String = body.chars().skip(skipped).collect();
        RayFault::Refused {
            address: self.target.shown.clone(),
            what,
            status,
            reason,
        }
    }
}

#[cfg(test)]
mod tests;
