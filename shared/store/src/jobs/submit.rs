//! Submitting: first S3, then one script in Redis.

use chrono::{DateTime, SubsecRound, Utc};
use illumine_types::{ApiKeyId, BlobKey, Job, JobId, JobKind, JobState, Priority};
use serde::{Deserialize, Serialize};

use super::{Jobs, NewJob, Submitted};
use crate::blobs::{Blobs, sha256_hex};
use crate::conn::SUBMIT;
use crate::{Result, StoreError};

/// How long an idempotency key is remembered.
pub(crate) const IDEMPOTENCY_TTL_S: u64 = 7 * 24 * 3600;
/// Requests up to this size wait in Redis too, so that a worker need not ask S3.
const INLINE_REQUEST: usize = 16 * 1024;
/// Characters of a title that are kept.
const TITLE: usize = 200;

/// `jobs/{id}/request.json`: the request, and what restores its job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub kind: JobKind,
    pub owner: Option<ApiKeyId>,
    pub priority: Priority,
    pub title: String,
    pub created_at: DateTime<Utc>,
    /// Of owner and key; the key itself is not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<String>,
    /// Of the request; tells a repeated request from another.
    pub fingerprint: String,
    #[serde(default)]
    pub inputs: Vec<BlobKey>,
    pub request: serde_json::Value,
}

impl Envelope {
    pub(crate) fn input_keys(&self) -> Vec<String> {
        self.inputs.iter().map(Blobs::input_key).collect()
    }
}

pub(crate) fn request_key(id: &JobId) -> String {
    format!("jobs/{id}/request.json")
}

/// The Redis key that remembers an idempotency key.
pub(crate) fn idempotency_key(owner: Option<&ApiKeyId>, key: &str) -> String {
    let owner = owner.map_or("", |owner| owner.0.as_str());
    format!(
        "il:idempotency:{}",
        sha256_hex(format!("{owner}\0{key}").as_bytes())
    )
}

impl Jobs {
    /// Stores the request in S3, then queues the job.
    ///
    /// # Errors
    /// [`StoreError::IdempotencyConflict`]; or a store is away: then the job may
    /// or may not be queued, and asking again with the same idempotency key is
    /// safe.
    pub async fn submit(&self, new: NewJob) -> Result<Submitted> {
        let id = JobId::generate(new.kind);
        let envelope = Envelope {
            kind: new.kind,
            idempotency: new
                .idempotency_key
                .as_deref()
                .map(|key| idempotency_key(new.owner.as_ref(), key)),
            owner: new.owner,
            priority: new.priority,
            title: new.title.chars().take(TITLE).collect(),
            created_at: Utc::now().trunc_subsecs(3),
            fingerprint: fingerprint(new.kind, &new.request),
            inputs: new.inputs,
            request: new.request,
        };
        if let Some(key) = &envelope.idempotency {
            let earlier: Option<String> = self
                .store
                .redis()
                .command(redis::cmd("GET").arg(key))
                .await?;
            if let Some(earlier) = earlier {
                return self.earlier(&earlier, &envelope).await;
            }
        }
        let body = serde_json::to_vec(&envelope).map_err(|e| StoreError::Invalid {
            field: "request",
            reason: e.to_string(),
        })?;
        self.store
            .s3()
            .put(&request_key(&id), &body, "application/json")
            .await?;
        self.enqueue(id, envelope).await
    }

    async fn enqueue(&self, id: JobId, envelope: Envelope) -> Result<Submitted> {
        let request = envelope.request.to_string();
        let mut script = SUBMIT.prepare_invoke();
        script
            .arg(id.as_str())
            .arg(envelope.kind.as_str())
            .arg(envelope.owner.as_ref().map_or("", |owner| owner.0.as_str()))
            .arg(envelope.priority.as_str())
            .arg(&envelope.title)
            .arg(envelope.created_at.timestamp_millis())
            .arg(if request.len() <= INLINE_REQUEST {
                request.as_str()
            } else {
                ""
            })
            .arg(envelope.idempotency.as_deref().unwrap_or_default())
            .arg(&envelope.fingerprint)
            .arg(IDEMPOTENCY_TTL_S);
        for key in envelope.input_keys() {
            script.arg(key);
        }
        let (what, first, eta): (String, String, String) =
            self.store.redis().script(&script).await?;
        if what == "earlier" {
            // Lost a race against the same key: this request was never answered.
            self.store.s3().delete(&request_key(&id)).await?;
            return self.earlier(&first, &envelope).await;
        }
        Ok(Submitted {
            created: true,
            job: Job {
                id,
                kind: envelope.kind,
                status: JobState::Queued,
                sequence: 1,
                title: envelope.title,
                owner: envelope.owner,
                priority: envelope.priority,
                attempt: 0,
                position: first.parse().ok(),
                eta_s: eta.parse().ok(),
                worker: None,
                progress: 0.0,
                error: None,
                thumbnail: None,
                tools_used: Vec::new(),
                created_at: envelope.created_at,
                started_at: None,
                finished_at: None,
            },
        })
    }

    /// The job that used the idempotency key before: `id fingerprint`.
    async fn earlier(&self, stored: &str, envelope: &Envelope) -> Result<Submitted> {
        let corrupt = || StoreError::corrupt("idempotency key", "not an id and a fingerprint");
        let (id, fingerprint) = stored.split_once(' ').ok_or_else(corrupt)?;
        let id = JobId::parse(id).map_err(|_| corrupt())?;
        if fingerprint != envelope.fingerprint {
            return Err(StoreError::IdempotencyConflict { existing: id });
        }
        Ok(Submitted {
            job: self.job(&id).await?,
            created: false,
        })
    }

    pub(crate) async fn envelope(&self, id: &JobId) -> Result<Envelope> {
        let key = request_key(id);
        let bytes = match self.store.s3().get(&key).await {
            Err(StoreError::NotFound { .. }) => return Err(super::no_job(id)),
            other => other?,
        };
        serde_json::from_slice(&bytes).map_err(|e| StoreError::corrupt(key, e))
    }
}

/// The same for the same request, whatever the order of its keys.
fn fingerprint(kind: JobKind, request: &serde_json::Value) -> String {
    fn write(value: &serde_json::Value, out: &mut String) {
        match value {
            serde_json::Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| key.as_str());
                out.push('{');
                for (key, value) in entries {
                    out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                    out.push(':');
                    write(value, out);
                    out.push(',');
                }
                out.push('}');
            }
            serde_json::Value::Array(items) => {
                out.push('[');
                for item in items {
                    write(item, out);
                    out.push(',');
                }
                out.push(']');
            }
            plain => out.push_str(&plain.to_string()),
        }
    }
    let mut text = format!("{} ", kind.as_str());
    write(request, &mut text);
    sha256_hex(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fingerprints_tell_requests_apart() {
        let of = |request| fingerprint(JobKind::Generation, &request);
        let nested: serde_json::Value =
            serde_json::from_str(r#"{"b":[{"y":1,"x":2}],"a":"t"}"#).unwrap();
        assert_eq!(of(json!({"a":"t","b":[{"x":2,"y":1}]})), of(nested));
        assert_ne!(of(json!({"a":"t"})), of(json!({"a":"u"})));
        assert_ne!(of(json!({"a":["b","c"]})), of(json!({"a":["b,c"]})));
        assert_ne!(
            fingerprint(JobKind::Batch, &json!({})),
            fingerprint(JobKind::Generation, &json!({}))
        );
    }
}
