//! A run's figures on an MLflow server, where `MLFLOW_TRACKING_URI` names one.
//!
//! Protocol: MLflow's REST API, version 2.0. What the server does not take is told in the
//! run's log and sent again with the next step's; a run never waits for it.

use std::time::Duration;

use chrono::Utc;
use illumine_config::{MlFlow as Settings, Secret};
use illumine_types::JobId;
use illumine_types::training::TrainingConfig;
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};

const EXPERIMENT: &str = "illumine";
/// Finds the run again from another worker.
const TAG: &str = "illumine.run";
const LIMIT: Duration = Duration::from_secs(10);
/// The most metrics that a call takes.
const BATCH: usize = 1_000;
/// Metrics that wait for a server that is away; older ones are given up.
const WAITING: usize = 50_000;
/// Characters of a parameter's value.
const VALUE: usize = 6_000;

/// Why the server did not take something; holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("the MLflow server at {server}: {reason}")]
pub struct MlFlowError {
    server: String,
    reason: String,
}

type Result<T> = std::result::Result<T, MlFlowError>;

/// A run there.
#[derive(Debug)]
pub struct MlFlow {
    http: Client,
    server: String,
    token: Option<Secret>,
    job: JobId,
    /// Known once the server has answered.
    run: Option<String>,
    waiting: Vec<Value>,
    given_up: usize,
    /// An outage is told once.
    told: bool,
}

impl MlFlow {
    /// Nothing where no server is named.
    pub fn of(settings: &Settings, job: &JobId) -> Option<Self> {
        let server = settings.tracking_uri.as_deref()?.trim_end_matches('/');
        let http = Client::builder().timeout(LIMIT).build();
        let http = http.inspect_err(|error| tracing::error!(%error, "no client for MLflow"));
        Some(Self {
            http: http.ok()?,
            server: server.to_owned(),
            token: settings.tracking_token.clone(),
            job: job.clone(),
            run: None,
            waiting: Vec::new(),
            given_up: 0,
            told: false,
        })
    }

    /// Sends a step's numbers, with those that wait. What to tell in the run's log, if
    /// something is to be told.
    pub async fn log(
        &mut self,
        config: &TrainingConfig,
        values: &Map<String, Value>,
    ) -> Option<String> {
        self.take(values);
        match self.send(config).await {
            Ok(()) => std::mem::take(&mut self.told).then(|| {
                let lost = std::mem::take(&mut self.given_up);
                format!("the MLflow server takes figures again; {lost} were given up")
            }),
            Err(error) => (!std::mem::replace(&mut self.told, true))
                .then(|| format!("{error}; what it misses is sent again with later steps")),
        }
    }

    /// Says how the run ended.
    pub async fn end(&mut self, config: &TrainingConfig, status: Status) -> Result<()> {
        self.send(config).await?;
        let Some(run) = &self.run else { return Ok(()) };
        let body = json!({
            "run_id": run, "status": status.word(), "end_time": Utc::now().timestamp_millis(),
        });
        self.post("runs/update", body).await.map(drop)
    }

    fn take(&mut self, values: &Map<String, Value>) {
        let (now, step) = (Utc::now().timestamp_millis(), &values["step"]);
        for (name, value) in values {
            if let Some(number) = value.as_f64().filter(|_| name != "step") {
                let metric = json!({
                    "key": name, "value": number, "timestamp": now, "step": step,
                });
                self.waiting.push(metric);
            }
        }
        let over = self.waiting.len().saturating_sub(WAITING);
        self.waiting.drain(..over);
        self.given_up += over;
    }

    async fn send(&mut self, config: &TrainingConfig) -> Result<()> {
        let run = match &self.run {
            Some(run) => run.clone(),
            None => {
                let run = self.open(config).await?;
                self.run.insert(run).clone()
            }
        };
        while !self.waiting.is_empty() {
            let count = self.waiting.len().min(BATCH);
            let metrics = &self.waiting[..count];
            let body = json!({ "run_id": run, "metrics": metrics });
            self.post("runs/log-batch", body).await?;
            self.waiting.drain(..count);
        }
        Ok(())
    }

    /// The run that stands for the job, made if it is not there.
    async fn open(&self, config: &TrainingConfig) -> Result<String> {
        let experiment = self.experiment().await?;
        let query = json!({
            "experiment_ids": [experiment], "max_results": 1,
            "filter": format!("tags.`{TAG}` = '{}'", self.job),
        });
        let found = self.post("runs/search", query).await?;
        if let Some(run) = found["runs"][0]["info"]["run_id"].as_str() {
            let body = json!({ "run_id": run, "status": "RUNNING" });
            self.post("runs/update", body).await?;
            return Ok(run.to_owned());
        }
        let body = json!({
            "experiment_id": experiment, "run_name": config.name,
            "start_time": Utc::now().timestamp_millis(),
            "tags": [{ "key": TAG, "value": self.job }],
        });
        let made = self.post("runs/create", body).await?;
        let run = made["run"]["info"]["run_id"].as_str();
        let run = run.ok_or_else(|| self.error("its answer names no run"))?;
        let body = json!({ "run_id": run, "params": parameters(config) });
        self.post("runs/log-batch", body).await?;
        Ok(run.to_owned())
    }

    async fn experiment(&self) -> Result<String> {
        let path = format!("experiments/get-by-name?experiment_name={EXPERIMENT}");
        let (status, found) = self.call(Method::GET, &path, None).await?;
        if let Some(id) = found["experiment"]["experiment_id"].as_str() {
            return Ok(id.to_owned());
        }
        if status != 404 {
            return Err(self.refused(status, &found));
        }
        let made = self.post("experiments/create", json!({ "name": EXPERIMENT }));
        let made = made.await?;
        let id = made["experiment_id"].as_str().map(str::to_owned);
        id.ok_or_else(|| self.error("its answer names no experiment"))
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        match self.call(Method::POST, path, Some(body)).await? {
            (200, answer) => Ok(answer),
            (status, answer) => Err(self.refused(status, &answer)),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
        let url = format!("{}/api/2.0/mlflow/{path}", self.server);
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let away = |error: reqwest::Error| self.error(error.without_url());
        let response = request.send().await.map_err(away)?;
        let status = response.status().as_u16();
        let answer = response.json().await.unwrap_or(Value::Null);
        Ok((status, answer))
    }

    fn refused(&self, status: u16, answer: &Value) -> MlFlowError {
        let words: String = answer["message"]
            .as_str()
            .unwrap_or_default()
            .chars()
            .take(300)
            .collect();
        self.error(format!("it answered {status} {words}"))
    }

    fn error(&self, reason: impl std::fmt::Display) -> MlFlowError {
        // An address may hold a password.
        let server = reqwest::Url::parse(&self.server).map_or_else(
            |_| "MLFLOW_TRACKING_URI".to_owned(),
            |url| url.origin().ascii_serialization(),
        );
        MlFlowError {
            server,
            reason: reason.to_string(),
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Finished,
    Failed,
    Stopped,
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Stopped => "KILLED",
        }
    }
}

/// Every setting by its path.
fn parameters(config: &TrainingConfig) -> Vec<Value> {
    let mut found = Vec::new();
    let whole = serde_json::to_value(config).unwrap_or(Value::Null);
    flatten("", &whole, &mut found);
    found
}

fn flatten(path: &str, value: &Value, into: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                flatten(&path, value, into);
            }
        }
        Value::Null => {}
        other => {
            let text = other
                .as_str()
                .map_or_else(|| other.to_string(), str::to_owned);
            let text: String = text.chars().take(VALUE).collect();
            into.push(json!({ "key": path, "value": text }));
        }
    }
}

#[cfg(test)]
mod tests;
