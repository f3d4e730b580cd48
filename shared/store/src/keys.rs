//! API keys (`keys/{id}.json`) and browser sessions.
//!
//! A secret is 256 random bits, so its SHA-256 needs no salt and no slow hash.
//! S3 keeps the keys; Redis holds them by hash, and is filled from S3 when it
//! was emptied. A session is a random token, kept by its hash, that points to
//! its key: without the key there is no session.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use chrono::{DateTime, Utc};
use illumine_types::ApiKeyId;
use illumine_types::api::Role;
use serde::{Deserialize, Serialize};

use crate::blobs::sha256_hex;
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

/// All keys by hash, as JSON. The field `loaded` says that S3 was read.
const KEYS: &str = "il:keys";
const LOADED: &str = "loaded";
/// A given secret must have this many characters.
const SHORTEST_SECRET: usize = 32;

#[derive(Serialize, Deserialize)]
struct StoredKey {
    #[serde(flatten)]
    key: ApiKey,
    /// SHA-256 of the secret, hexadecimal.
    hash: String,
}

impl Keys {
    /// Makes a random key of 256 bits.
    ///
    /// # Errors
    /// If a store is away.
    pub async fn create(&self, name: &str, role: Role) -> Result<CreatedKey> {
        let secret = format!("ilm_{}", random_token());
        let key = self.store_key(&secret, name, role).await?;
        Ok(CreatedKey { key, secret })
    }

    /// Makes sure that a given secret is a key with this role.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] if the secret is shorter than 32 characters.
    pub async fn ensure(&self, secret: &str, name: &str, role: Role) -> Result<ApiKey> {
        if secret.chars().count() < SHORTEST_SECRET {
            return Err(StoreError::Invalid {
                field: "secret",
                reason: format!("it must have {SHORTEST_SECRET} characters or more"),
            });
        }
        match self.authenticate(secret).await? {
            Some(key) if key.role == role => Ok(key),
            Some(key) => {
                self.revoke(&key.id).await?;
                self.store_key(secret, name, role).await
            }
            None => self.store_key(secret, name, role).await,
        }
    }

    async fn store_key(&self, secret: &str, name: &str, role: Role) -> Result<ApiKey> {
        let key = ApiKey {
            id: ApiKeyId::generate(),
            name: name.to_owned(),
            role,
            created_at: Utc::now(),
        };
        let stored = StoredKey {
            hash: sha256_hex(secret.as_bytes()),
            key,
        };
        let body = to_json(&stored)?;
        let path = key_path(&stored.key.id)?;
        self.store
            .s3()
            .put(&path, body.as_bytes(), "application/json")
            .await?;
        self.remember(&stored).await?;
        Ok(stored.key)
    }

    async fn remember(&self, stored: &StoredKey) -> Result<()> {
        let mut command = redis::cmd("HSET");
        command
            .arg(KEYS)
            .arg(&stored.hash)
            .arg(to_json(&stored.key)?);
        self.store.redis().command::<()>(&command).await
    }

    /// All keys, oldest first.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn list(&self) -> Result<Vec<ApiKey>> {
        let stored = self.stored().await?;
        Ok(stored.into_iter().map(|stored| stored.key).collect())
    }

    async fn stored(&self) -> Result<Vec<StoredKey>> {
        let mut keys = Vec::new();
        for blob in self.store.blobs().list_all("keys/").await? {
            match self.store.s3().get(&blob.key).await {
                Ok(bytes) => keys.push(
                    serde_json::from_slice(&bytes)
                        .map_err(|e| StoreError::corrupt(&blob.key, e))?,
                ),
                // Revoked meanwhile.
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        keys.sort_by(|a: &StoredKey, b| a.key.id.cmp(&b.key.id));
        Ok(keys)
    }

    /// From now on the key and its sessions are refused.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn revoke(&self, id: &ApiKeyId) -> Result<()> {
        let stored = self.stored_key(id).await?;
        self.store.s3().delete(&key_path(id)?).await?;
        let mut command = redis::cmd("HDEL");
        command.arg(KEYS).arg(&stored.hash);
        self.store.redis().command::<()>(&command).await
    }

    async fn stored_key(&self, id: &ApiKeyId) -> Result<StoredKey> {
        let not_found = || StoreError::NotFound {
            what: "key",
            id: id.to_string(),
        };
        let path = key_path(id).map_err(|_| not_found())?;
        match self.store.s3().get(&path).await {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| StoreError::corrupt(&path, e)),
            Err(StoreError::NotFound { .. }) => Err(not_found()),
            Err(error) => Err(error),
        }
    }

    /// The key that a secret is, if it is one.
    ///
    /// # Errors
    /// If a store is away.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<ApiKey>> {
        self.by_hash(&sha256_hex(secret.as_bytes())).await
    }

    async fn by_hash(&self, hash: &str) -> Result<Option<ApiKey>> {
        let mut command = redis::cmd("HMGET");
        command.arg(KEYS).arg(hash).arg(LOADED);
        let (mut found, loaded): (Option<String>, Option<String>) =
            self.store.redis().command(&command).await?;
        if found.is_none() && loaded.is_none() {
            self.load().await?;
            (found, _) = self
                .store
                .redis()
                .command::<(_, Option<String>)>(&command)
                .await?;
        }
        found
            .map(|json| serde_json::from_str(&json).map_err(|e| StoreError::corrupt(KEYS, e)))
            .transpose()
    }

    /// Fills Redis from S3; answers how many keys there are.
    pub(crate) async fn load(&self) -> Result<u64> {
        let stored = self.stored().await?;
        let mut command = redis::cmd("HSET");
        command.arg(KEYS).arg(LOADED).arg("1");
        for stored in &stored {
            command.arg(&stored.hash).arg(to_json(&stored.key)?);
        }
        self.store.redis().command::<()>(&command).await?;
        Ok(stored.len() as u64)
    }
}

impl Sessions {
    /// Opens a session for a key; answers its random token.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the key was revoked.
    pub async fn open(&self, key: &ApiKey, ttl: Duration) -> Result<String> {
        let hash = self.store.keys().stored_key(&key.id).await?.hash;
        let token = random_token();
        let mut command = redis::cmd("SET");
        command
            .arg(session_key(&token))
            .arg(hash)
            .arg("EX")
            .arg(ttl.as_secs().max(1));
        self.store.redis().command::<()>(&command).await?;
        Ok(token)
    }

    /// The key that a session token stands for, if session and key still hold.
    ///
    /// # Errors
    /// If Redis is away.
    pub async fn check(&self, token: &str) -> Result<Option<ApiKey>> {
        let hash: Option<String> = self
            .store
            .redis()
            .command(redis::cmd("GET").arg(session_key(token)))
            .await?;
        match hash {
            Some(hash) => self.store.keys().by_hash(&hash).await,
            None => Ok(None),
        }
    }

    /// # Errors
    /// If Redis is away.
    pub async fn close(&self, token: &str) -> Result<()> {
        self.store
            .redis()
            .command::<()>(redis::cmd("DEL").arg(session_key(token)))
            .await
    }
}

fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn session_key(token: &str) -> String {
    format!("il:session:{}", sha256_hex(token.as_bytes()))
}

/// An id from outside must not lead out of `keys/`.
fn key_path(id: &ApiKeyId) -> Result<String> {
    let plain = id.0.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain && !id.0.is_empty() && id.0.len() <= 64 {
        return Ok(format!("keys/{id}.json"));
    }
    Err(StoreError::Invalid {
        field: "id",
        reason: "it is not a key's id".into(),
    })
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::corrupt("key", e))
}
