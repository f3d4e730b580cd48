//! Restores what Redis held from what S3 holds.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use illumine_types::{Job, JobId, JobState};

use crate::conn::RESTORE;
use crate::documents::picture_keys;
use crate::jobs::status::status_key;
use crate::jobs::{Envelope, IDEMPOTENCY_TTL_S};
use crate::{Result, Store, StoreError};

/// Jobs restored at once.
const PARALLEL: usize = 16;

/// What a rebuild has found and done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RebuildProgress {
    /// Jobs looked at.
    pub jobs: u64,
    /// Of them, finished ones put back into the lists.
    pub restored: u64,
    /// Of them, unfinished ones queued again.
    pub queued: u64,
    /// Of them, known to Redis already.
    pub known: u64,
    /// Of them, unreadable; logged and left alone.
    pub unreadable: u64,
    pub keys: u64,
}

enum Found {
    Restored,
    Queued,
    Known,
}

/// Scans S3 and restores job records, lists, keys and references, and queues
/// what was unfinished. What Redis still knows is left as it is, so a second
/// run changes nothing.
///
/// # Errors
/// If a store stays away; run it again then.
pub async fn rebuild(store: &Store, progress: impl Fn(RebuildProgress)) -> Result<RebuildProgress> {
    let mut total = RebuildProgress {
        keys: store.keys().load().await?,
        ..RebuildProgress::default()
    };
    let mut from = None;
    // Objects of one job are neighbours, but a page may part them.
    let mut open: BTreeMap<JobId, bool> = BTreeMap::new();
    loop {
        let page = store.blobs().list("jobs/", from).await?;
        for blob in &page.items {
            let mut parts = blob.key.split('/').skip(1);
            let Some(Ok(id)) = parts.next().map(JobId::parse) else {
                continue;
            };
            *open.entry(id).or_default() |= parts.next() == Some("request.json");
        }
        let last = match page.next {
            Some(_) => open.pop_last(),
            None => None,
        };
        let ids = std::mem::take(&mut open)
            .into_iter()
            .filter(|(_, request)| *request);
        let mut results = stream::iter(ids)
            .map(|(id, _)| async move { (restore(store, &id).await, id) })
            .buffered(PARALLEL);
        while let Some((result, id)) = results.next().await {
            total.jobs += 1;
            match result {
                Ok(Found::Restored) => total.restored += 1,
                Ok(Found::Queued) => total.queued += 1,
                Ok(Found::Known) => total.known += 1,
                Err(error @ (StoreError::Corrupt { .. } | StoreError::NotFound { .. })) => {
                    tracing::warn!(job = %id, %error, "a job cannot be restored");
                    total.unreadable += 1;
                }
                Err(error) => return Err(error),
            }
            progress(total);
        }
        open.extend(last);
        from = page.next;
        if from.is_none() {
            return Ok(total);
        }
    }
}

async fn restore(store: &Store, id: &JobId) -> Result<Found> {
    let mut exists = redis::cmd("EXISTS");
    exists.arg(format!("il:job:{id}"));
    if store.redis().command::<u32>(&exists).await? == 1 {
        return Ok(Found::Known);
    }
    let envelope = store.jobs().envelope(id).await?;
    let saved = saved_status(store, id).await?;
    let status = match saved.as_ref().map(|job| job.status) {
        Some(status) if status.is_final() => status,
        _ => JobState::Queued,
    };
    let mut used = envelope.input_keys();
    match store.documents().get(id).await {
        Ok(document) => used.extend(picture_keys(&document)),
        Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => {}
        Err(error) => return Err(error),
    }
    let put_back = put_back(store, id, &envelope, saved.as_ref(), status, &used).await?;
    Ok(match (put_back, status.is_final()) {
        (false, _) => Found::Known,
        (true, true) => Found::Restored,
        (true, false) => Found::Queued,
    })
}

async fn saved_status(store: &Store, id: &JobId) -> Result<Option<Job>> {
    let key = status_key(id);
    match store.s3().get(&key).await {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(job) => Ok(Some(job)),
            // Then the job is done again, which is safe.
            Err(error) => {
                tracing::warn!(key, %error, "a status cannot be read");
                Ok(None)
            }
        },
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn put_back(
    store: &Store,
    id: &JobId,
    envelope: &Envelope,
    saved: Option<&Job>,
    status: JobState,
    used: &[String],
) -> Result<bool> {
    let ended = saved.filter(|_| status.is_final());
    let json = |value: Option<String>| value.unwrap_or_default();
    let mut script = RESTORE.prepare_invoke();
    script
        .arg(id.as_str())
        .arg(envelope.kind.as_str())
        .arg(envelope.owner.as_ref().map_or("", |owner| owner.0.as_str()))
        .arg(envelope.priority.as_str())
        .arg(saved.map_or(&envelope.title, |job| &job.title))
        .arg(envelope.created_at.timestamp_millis())
        .arg(status.as_str())
        .arg(saved.map_or(0, |job| job.attempt))
        // The limit on attempts starts afresh.
        .arg(0)
        .arg(saved.map_or(0, |job| job.sequence))
        .arg(ended.map_or(0.0, |job| job.progress))
        .arg(json(
            ended
                .and_then(|job| job.worker.as_ref())
                .map(|v| encode(id, v))
                .transpose()?,
        ))
        .arg(json(
            ended
                .and_then(|job| job.error.as_ref())
                .map(|v| encode(id, v))
                .transpose()?,
        ))
        .arg(
            saved
                .and_then(|job| job.thumbnail.as_deref())
                .unwrap_or_default(),
        )
        .arg(json(
            saved.map(|job| encode(id, &job.tools_used)).transpose()?,
        ))
        .arg(json(
            ended
                .and_then(|job| job.started_at)
                .map(|t| t.timestamp_millis().to_string()),
        ))
        .arg(json(
            ended
                .and_then(|job| job.finished_at)
                .map(|t| t.timestamp_millis().to_string()),
        ))
        .arg(envelope.idempotency.as_deref().unwrap_or_default())
        .arg(&envelope.fingerprint)
        .arg(IDEMPOTENCY_TTL_S);
    for key in used {
        script.arg(key);
    }
    store.redis().script::<bool>(&script).await
}

fn encode(id: &JobId, value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| StoreError::corrupt(status_key(id), e))
}
