//! The handle that everything starts from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::blobs::{Blobs, S3};
use crate::conn::Redis;
use crate::datasets::Datasets;
use crate::documents::Documents;
use crate::events::Events;
use crate::hub::Hub;
use crate::jobs::Jobs;
use crate::keys::{Keys, Sessions};
use crate::library::Library;
use crate::queue::Queue;
use crate::training::Training;
use crate::{Result, StoreConfig, Timings};

/// Both stores. Cloning is cheap; clones share connections.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    timings: Timings,
    redis: Redis,
    s3: S3,
    hub: Hub,
}

/// How one of the two servers is.
#[derive(Clone, Debug, serde::Serialize)]
pub struct PartHealth {
    pub ok: bool,
    /// Of one small request, milliseconds.
    pub latency_ms: f64,
    /// Why not, when not ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How both servers are.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Health {
    pub redis: PartHealth,
    pub s3: PartHealth,
}

impl Health {
    #[must_use]
    pub fn ok(&self) -> bool {
        self.redis.ok && self.s3.ok
    }
}

impl Store {
    /// Connects to both, waiting a bounded time for servers that start up, and
    /// makes the bucket if it is missing.
    ///
    /// # Errors
    /// If either cannot be reached in time or refuses.
    pub async fn connect(config: &StoreConfig) -> Result<Self> {
        Self::connect_with(config, Timings::default()).await
    }

    /// [`Store::connect`] with other time limits.
    ///
    /// # Errors
    /// As [`Store::connect`].
    pub async fn connect_with(config: &StoreConfig, timings: Timings) -> Result<Self> {
        let (redis, s3) = tokio::try_join!(
            Redis::connect(&config.redis_url, &timings),
            S3::connect(config, &timings)
        )?;
        let hub = Hub::new(redis.client().clone());
        Ok(Self {
            inner: Arc::new(Inner {
                timings,
                redis,
                s3,
                hub,
            }),
        })
    }

    /// Asks both servers; never fails, always answers within seconds.
    pub async fn health(&self) -> Health {
        let ping = redis::cmd("PING");
        let (redis, s3) = tokio::join!(
            part(async { self.redis().once::<String>(&ping).await.map(|_| ()) }),
            part(self.s3().ping())
        );
        Health { redis, s3 }
    }

    pub(crate) fn redis(&self) -> &Redis {
        &self.inner.redis
    }

    pub(crate) fn s3(&self) -> &S3 {
        &self.inner.s3
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    #[must_use]
    pub fn timings(&self) -> &Timings {
        &self.inner.timings
    }

    /// Bytes in S3: images, inputs, anything by key.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        Blobs {
            store: self.clone(),
        }
    }

    /// Submitting, reading, listing, cancelling jobs.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs {
            store: self.clone(),
        }
    }

    #[must_use]
    pub fn documents(&self) -> Documents {
        Documents {
            store: self.clone(),
        }
    }

    #[must_use]
    pub fn events(&self) -> Events {
        Events {
            store: self.clone(),
        }
    }

    /// Lengths, pause, live workers, dead letters.
    #[must_use]
    pub fn queue(&self) -> Queue {
        Queue {
            store: self.clone(),
        }
    }

    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys {
            store: self.clone(),
        }
    }

    /// Signed-in browsers.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions {
            store: self.clone(),
        }
    }

    /// The team's own captioned pictures.
    #[must_use]
    pub fn library(&self) -> Library {
        Library {
            store: self.clone(),
        }
    }

    /// Datasets that people uploaded.
    #[must_use]
    pub fn datasets(&self) -> Datasets {
        Datasets {
            store: self.clone(),
        }
    }

    /// What training runs tell and keep, and the policy in use.
    #[must_use]
    pub fn training(&self) -> Training {
        Training {
            store: self.clone(),
        }
    }
}

const HEALTH_LIMIT: Duration = Duration::from_secs(3);

async fn part(request: impl Future<Output = Result<()>>) -> PartHealth {
    let start = Instant::now();
    let error = match tokio::time::timeout(HEALTH_LIMIT, request).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("no answer in 3 s".into()),
    };
    PartHealth {
        ok: error.is_none(),
        latency_ms: start.elapsed().as_secs_f64() * 1000.0,
        error,
    }
}
