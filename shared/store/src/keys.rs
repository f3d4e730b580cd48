//! API keys (`keys/{id}.json`) and browser sessions.

use std::time::Duration;

use chrono::{DateTime, Utc};
use illumine_types::ApiKeyId;
use illumine_types::api::Role;
use serde::{Deserialize, Serialize};

use crate::{Result, Store, StoreError};

/// API keys.
#[derive(Clone, Debug)]
pub struct Keys {
    pub(crate) store: Store,
}

/// Browser sessions.
#[derive(Clone, Debug)]
pub struct Sessions {
    pub(crate) store: Store,
}

/// A key as anyone with the right may see it; the secret is nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    pub role: Role,
    pub created_at: DateTime<Utc>,
}

/// A new key and its secret, told once.
pub struct CreatedKey {
    pub key: ApiKey,
    pub secret: String,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey")
            .field("key", &self.key)
            .field("secret", &"***")
            .finish()
    }
}

fn unbuilt<T>() -> Result<T> {
    Err(StoreError::Config("not built yet".into()))
}

impl Keys {
    /// Makes a random key of 256 bits.
    ///
    /// # Errors
    /// If a store is away.
    pub async fn create(&self, _name: &str, _role: Role) -> Result<CreatedKey> {
        unbuilt()
    }

    /// Makes sure that a given secret is a key with this role.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] if the secret is shorter than 32 characters.
    pub async fn ensure(&self, _secret: &str, _name: &str, _role: Role) -> Result<ApiKey> {
        unbuilt()
    }

    /// All keys, oldest first.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn list(&self) -> Result<Vec<ApiKey>> {
        unbuilt()
    }

    /// From now on the key and its sessions are refused.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn revoke(&self, _id: &ApiKeyId) -> Result<()> {
        unbuilt()
    }

    /// The key that a secret is, if it is one.
    ///
    /// # Errors
    /// If a store is away.
    pub async fn authenticate(&self, _secret: &str) -> Result<Option<ApiKey>> {
        unbuilt()
    }
}

impl Sessions {
    /// Opens a session for a key; answers its random token.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn open(&self, _key: &ApiKey, _ttl: Duration) -> Result<String> {
        unbuilt()
    }

    /// The key that a session token stands for, if session and key still hold.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn check(&self, _token: &str) -> Result<Option<ApiKey>> {
        unbuilt()
    }

    /// # Errors
    /// If Redis is away.
    pub async fn close(&self, _token: &str) -> Result<()> {
        unbuilt()
    }
}
