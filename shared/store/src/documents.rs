//! Documents: `documents/{id}/document.json`.

use std::time::Duration;

use illumine_types::{Document, JobId, Outcome};
use tokio::time::{Instant, sleep};

use crate::blobs::Blobs;
use crate::{Result, Store, StoreError};

/// Documents.
#[derive(Clone, Debug)]
pub struct Documents {
    pub(crate) store: Store,
}

/// A writer that died holds the lock no longer than this.
const LOCK_MS: u64 = 120_000;
const LOCK_PATIENCE: Duration = Duration::from_secs(150);

pub(crate) fn document_key(id: &JobId) -> String {
    format!("documents/{id}/document.json")
}

impl Documents {
    /// Stores a version. `document.version` must be above the stored one (any,
    /// if none is stored); its pictures are kept as long as the document.
    ///
    /// # Errors
    /// [`StoreError::VersionConflict`].
    pub async fn put(&self, document: &Document) -> Result<()> {
        self.store_version(document, |stored| {
            if stored.is_some_and(|stored| document.version <= stored) {
                return Err(StoreError::VersionConflict {
                    id: document.id.clone(),
                    stored: stored.unwrap_or(0),
                    expected: document.version.saturating_sub(1),
                });
            }
            Ok(document.version)
        })
        .await
        .map(|_| ())
    }

    /// Stores a document as the next version, whatever is stored; answers it.
    ///
    /// # Errors
    /// If a store is away.
    pub async fn save(&self, document: &Document) -> Result<u32> {
        self.store_version(document, |stored| {
            Ok(stored.map_or(document.version.max(1), |stored| stored.saturating_add(1)))
        })
        .await
    }

    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn get(&self, id: &JobId) -> Result<Document> {
        let key = document_key(id);
        let bytes = self
            .store
            .s3()
            .get(&key)
            .await
            .map_err(|error| match error {
                StoreError::NotFound { .. } => StoreError::NotFound {
                    what: "document",
                    id: id.to_string(),
                },
                error => error,
            })?;
        serde_json::from_slice(&bytes).map_err(|e| StoreError::corrupt(key, e))
    }

    async fn store_version(
        &self,
        document: &Document,
        version: impl FnOnce(Option<u32>) -> Result<u32>,
    ) -> Result<u32> {
        let id = &document.id;
        self.store
            .blobs()
            .note_use(id, &picture_keys(document))
            .await?;
        let lock = Lock::take(&self.store, id).await?;
        let result = async {
            let stored = match self.get(id).await {
                Ok(stored) => Some(stored.version),
                Err(StoreError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            let version = version(stored)?;
            let document = Document {
                version,
                ..document.clone()
            };
            let key = document_key(id);
            let body = serde_json::to_vec(&document).map_err(|e| StoreError::corrupt(&key, e))?;
            self.store.s3().put(&key, &body, "application/json").await?;
            Ok(version)
        }
        .await;
        lock.release().await;
        result
    }
}

/// The S3 keys of all pictures that a document shows.
pub(crate) fn picture_keys(document: &Document) -> Vec<String> {
    let inputs = document
        .inputs
        .iter()
        .map(|input| Blobs::input_key(&input.id));
    let drawn = document.images().filter_map(|block| match &block.outcome {
        Outcome::Ready { image, .. } => Some(Blobs::image_key(&image.id)),
        _ => None,
    });
    inputs.chain(drawn).collect()
}

/// Makes "read the version, write the next" one step among all processes.
struct Lock<'a> {
    store: &'a Store,
    key: String,
    nonce: String,
}

impl<'a> Lock<'a> {
    async fn take(store: &'a Store, id: &JobId) -> Result<Self> {
        let key = format!("il:document-lock:{id}");
        let nonce = format!("{:032x}", rand::random::<u128>());
        let until = Instant::now() + LOCK_PATIENCE;
        let mut command = redis::cmd("SET");
        command
            .arg(&key)
            .arg(&nonce)
            .arg("NX")
            // Answers the holder, so that a repeated call knows its own lock.
            .arg("GET")
            .arg("PX")
            .arg(LOCK_MS);
        loop {
            let holder: Option<String> = store.redis().command(&command).await?;
            if holder.is_none_or(|holder| holder == nonce) {
                return Ok(Self { store, key, nonce });
            }
            if Instant::now() >= until {
                return Err(StoreError::RedisUnavailable(format!(
                    "another writer holds document {id}"
                )));
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn release(self) {
        let script = redis::Script::new(
            "if redis.call('GET', ARGV[1]) == ARGV[2] then return redis.call('DEL', ARGV[1]) end",
        );
        let mut call = script.prepare_invoke();
        call.arg(&self.key).arg(&self.nonce);
        if let Err(error) = self.store.redis().script::<redis::Value>(&call).await {
            tracing::warn!(%error, "a document's lock stays until it expires");
        }
    }
}
