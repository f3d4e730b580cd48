//! What jobs share in one worker: policy, tools, settings.

use std::sync::Arc;

use anyhow::Context;
use chrono::Utc;
use illumine_agent::policy::{self, Policy};
use illumine_agent::{Agent, AgentSettings};
use illumine_config::Config;
use illumine_store::Store;
use illumine_store::queue::JobFailure;
use illumine_tools::Toolbox;
use illumine_types::Problem;
use illumine_types::capability::{PolicyCapability, WorkerInfo};
use illumine_types::job::WorkerRef;

use crate::{library, tools};

pub struct Workshop {
    policy: Arc<dyn Policy>,
    tools: Toolbox,
    agent: Agent,
    device: String,
}

impl Workshop {
    /// Loads the policy and starts the tools.
    pub async fn open(config: &Config, store: &Store) -> anyhow::Result<Self> {
        if let Err(error) = library::fill_if_empty(store, &config.tools.library_dir).await {
            // Documents can be written without it; the search tool tells.
            tracing::warn!(%error, "picture library not filled");
        }
        let tools = tools::for_store(config, store).await;
        let settings = AgentSettings::from_config(config)?;
        let policy = open_policy(config).await?;
        let agent = Agent::new(Arc::clone(&policy), tools.tools().to_vec(), settings);
        Ok(Self {
            policy,
            tools,
            agent,
            device: config.worker.device.clone(),
        })
    }

    /// The agent that writes with the policy asked for.
    pub fn agent(&self, policy: Option<&str>) -> Result<&Agent, JobFailure> {
        match policy {
            None => Ok(&self.agent),
            Some(name) if name == self.policy.name() => Ok(&self.agent),
            Some(name) => Err(JobFailure::permanent(
                Problem::new(
                    "unknown_policy",
                    "No such policy here",
                    format!(
                        "`{name}` is not served by this worker, which serves `{}`",
                        self.policy.name()
                    ),
                )
                .with_field("options.policy"),
            )),
        }
    }

    /// What the registry shows; the queue fills in what it knows itself.
    pub fn info(&self) -> WorkerInfo {
        let now = Utc::now();
        WorkerInfo {
            worker: WorkerRef {
                id: String::new(),
                host: String::new(),
                pid: std::process::id(),
            },
            version: env!("CARGO_PKG_VERSION").into(),
            device: self.device.clone(),
            queues: Vec::new(),
            concurrency: 0,
            running: Vec::new(),
            tools: self.tools.capabilities(),
            policies: vec![PolicyCapability {
                name: self.policy.name().to_owned(),
                summary: self.policy.summary(),
                vision: self.policy.vision(),
                default: true,
            }],
            started_at: now,
            seen_at: now,
        }
    }
}

/// Opens the configured policy off the event loop: a model takes a while.
pub async fn open_policy(config: &Config) -> anyhow::Result<Arc<dyn Policy>> {
    let (settings, device) = (config.policy.clone(), config.worker.device.clone());
    tokio::task::spawn_blocking(move || policy::open(&settings.spec, &settings, &device))
        .await
        .context("loading the policy")?
        .map_err(anyhow::Error::from)
}
