//! What every handler may use.

use std::path::PathBuf;
use std::sync::Arc;

use illumine_config::Config;
use illumine_config::ray::RayUnset;
use illumine_store::Store;
use illumine_store::jobs::{NewJob, Submitted};
use illumine_types::capability::Limits;
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::auth::attempts::Attempts;
use crate::error::{ApiError, Result};
use crate::metrics::Metrics;
use crate::pictures::Pictures;
use crate::routes::datasets::Demo;

/// Shared by all of the server's threads; cloning is cheap.
#[derive(Clone, Debug)]
pub struct State {
    pub store: Store,
    pub limits: Limits,
    /// Whether a key is asked for.
    pub auth: bool,
    pub policy_spec: Arc<str>,
    pub web_dir: Arc<PathBuf>,
    /// Why no run can be trained on Ray; `None` if one can.
    pub ray_unset: Option<RayUnset>,
    pub pictures: Pictures,
    pub metrics: Metrics,
    pub attempts: Arc<Attempts>,
    /// Submissions stored at a time: beyond it they wait here, in order, rather
    /// than as ever more connections to the object store.
    submitting: Arc<Semaphore>,
    /// Uploaded datasets checked and stored at a time.
    pub uploading: Arc<Semaphore>,
    /// The rows that come with the program, once somebody asked.
    pub demo: Arc<OnceCell<Demo>>,
    /// Documents turned into HTML or archives at a time.
    pub rendering: Arc<Semaphore>,
    /// Fires when the server stops: live streams end.
    pub stopping: CancellationToken,
}

impl State {
    /// # Errors
    /// If the metrics or the URL guard cannot be set up.
    pub fn new(config: &Config, store: Store) -> anyhow::Result<Self> {
        let limits = Limits::default();
        Ok(Self {
            store,
            limits,
            auth: config.auth,
            policy_spec: config.policy.spec.as_str().into(),
            web_dir: Arc::new(config.web_dir.clone()),
            ray_unset: config.ray().err(),
            pictures: Pictures::new(config, limits)?,
            metrics: Metrics::new()?,
            attempts: Arc::default(),
            submitting: Arc::new(Semaphore::new(64)),
            uploading: Arc::new(Semaphore::new(1)),
            demo: Arc::default(),
            rendering: Arc::new(Semaphore::new(4)),
            stopping: CancellationToken::new(),
        })
    }

    /// Stores and queues a job, in its turn.
    ///
    /// # Errors
    /// `idempotency_conflict`; or a store is away.
    pub async fn submit(&self, new: NewJob) -> Result<Submitted> {
        let _permit = self
            .submitting
            .acquire()
            .await
            .map_err(ApiError::internal)?;
        Ok(self.store.jobs().submit(new).await?)
    }
}
