//! What jobs share in one worker: policy, tools, settings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use chrono::Utc;
use illumine_agent::policy::{self, Policy};
use illumine_agent::{Agent, AgentSettings};
use illumine_config::Config;
use illumine_rewards::{JudgeSettings, Scorer};
use illumine_store::Store;
use illumine_store::queue::JobFailure;
use illumine_tools::{ImageTool, Toolbox};
use illumine_types::Problem;
use illumine_types::capability::{PolicyCapability, WorkerInfo};
use illumine_types::job::WorkerRef;
use illumine_types::training::{PolicyChoice, RewardFactors};

use super::trained::TrainedPolicies;
use super::training;
use crate::{judges, library, tools};

/// Scorers that are kept: callers mix few factors.
const SCORERS: usize = 8;

pub struct Workshop {
    policy: Arc<dyn Policy>,
    tools: Toolbox,
    settings: AgentSettings,
    agent: Agent,
    trained: TrainedPolicies,
    /// By the factors that they add up with: a judge's cache and limits are a scorer's own.
    scorers: Mutex<HashMap<String, Arc<Scorer>>>,
    config: Config,
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
        let agent = Agent::new(
            Arc::clone(&policy),
            tools.tools().to_vec(),
            settings.clone(),
        );
        Ok(Self {
            policy,
            tools,
            settings,
            agent,
            trained: TrainedPolicies::default(),
            scorers: Mutex::default(),
            config: config.clone(),
        })
    }

    /// What this worker was told.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// How agents work here.
    pub const fn settings(&self) -> &AgentSettings {
        &self.settings
    }

    /// Those that draw.
    pub fn tools(&self) -> Vec<Arc<dyn ImageTool>> {
        self.tools.tools().to_vec()
    }

    /// The agent that writes with the policy asked for; with none asked for, that of the
    /// checkpoint that was chosen, or else the configured one.
    pub async fn agent(&self, store: &Store, policy: Option<&str>) -> Result<Agent, JobFailure> {
        let chosen = match policy {
            None => chosen(store).await?,
            Some(name) => PolicyChoice::parse(name),
        };
        if let Some(choice) = chosen {
            let device = &self.config.worker.device;
            let policy = self.trained.open(store, &choice, device).await?;
            return Ok(Agent::new(policy, self.tools(), self.settings.clone()));
        }
        match policy {
            None => Ok(self.agent.clone()),
            Some(name) if name == self.policy.name() => Ok(self.agent.clone()),
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

    /// What scores answers with these factors, by the judges that are configured.
    ///
    /// # Errors
    /// Factors or judges that cannot be used.
    pub fn scorer(&self, factors: &RewardFactors) -> anyhow::Result<Arc<Scorer>> {
        let name = serde_json::to_string(factors)?;
        let mut scorers = self.scorers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scorer) = scorers.get(&name) {
            return Ok(Arc::clone(scorer));
        }
        if scorers.len() >= SCORERS {
            scorers.clear();
        }
        let rewards = training::settings::rewards(factors);
        let scorer = judges::scorer(&self.config, rewards, &JudgeSettings::default())?;
        let scorer = Arc::new(scorer);
        scorers.insert(name, Arc::clone(&scorer));
        Ok(scorer)
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
            device: self.config.worker.device.clone(),
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

/// The checkpoint that was chosen for all documents, while it is there.
async fn chosen(store: &Store) -> Result<Option<PolicyChoice>, JobFailure> {
    let Some(choice) = store.training().choice().await? else {
        return Ok(None);
    };
    let found = store
        .training()
        .checkpoint(&choice.run, choice.step)
        .await?;
    if found.is_none() {
        // Better the configured policy than no document at all.
        tracing::error!(policy = choice.name(), "the policy in use is gone");
    }
    Ok(found.map(|_| choice))
}

/// Opens the configured policy off the event loop: a model takes a while.
pub async fn open_policy(config: &Config) -> anyhow::Result<Arc<dyn Policy>> {
    let (settings, device) = (config.policy.clone(), config.worker.device.clone());
    tokio::task::spawn_blocking(move || policy::open(&settings.spec, &settings, &device))
        .await
        .context("loading the policy")?
        .map_err(anyhow::Error::from)
}
