//! The handle that everything starts from.

use std::sync::Arc;

use crate::blobs::Blobs;
use crate::documents::Documents;
use crate::events::Events;
use crate::jobs::Jobs;
use crate::keys::{Keys, Sessions};
use crate::library::Library;
use crate::queue::Queue;
use crate::{Result, StoreConfig, StoreError, Timings};

/// Both stores. Cloning is cheap; clones share connections.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    timings: Timings,
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
    pub async fn connect_with(_config: &StoreConfig, _timings: Timings) -> Result<Self> {
        Err(StoreError::Config("not built yet".into()))
    }

    /// Asks both servers; never fails, always answers within seconds.
    pub async fn health(&self) -> Health {
        let part = PartHealth {
            ok: false,
            latency_ms: 0.0,
            error: None,
        };
        Health {
            redis: part.clone(),
            s3: part,
        }
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
}
