//! What training runs keep in S3 (`runs/{id}/…`), and the policy in use.
//!
//! ```text
//! runs/{id}/summary.json                          how far it is
//! runs/{id}/metrics.jsonl                         a line a step
//! runs/{id}/samples/step-000010.jsonl             answers of a step
//! runs/{id}/checkpoints/step-000010/…             a policy, checkpoint.json last
//! settings/policy.json                            the policy in use
//! ```
//!
//! A checkpoint without its `checkpoint.json` is being written or was left half
//! done: nothing here tells of it.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use illumine_types::JobId;
use illumine_types::training::{
    CHECKPOINT_FILE, Checkpoint, METRICS_FILE, POLICY_KEY, PolicyChoice, RunSummary, SUMMARY_FILE,
    TrainingSample, checkpoint_folder, run_key, samples_file,
};
use serde::de::DeserializeOwned;

use crate::{Result, Store, StoreError};

/// Objects read or removed at once.
const PARALLEL: usize = 16;

/// Training runs.
#[derive(Clone, Debug)]
pub struct Training {
    pub(crate) store: Store,
}

impl Training {
    /// How far a run is; a run that has told nothing yet is at its beginning.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]; or S3 is away.
    pub async fn summary(&self, run: &JobId) -> Result<RunSummary> {
        let summary = self.json(&run_key(run, SUMMARY_FILE)).await?;
        Ok(summary.unwrap_or_default())
    }

    /// Tells how far a run is.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn put_summary(&self, run: &JobId, summary: &RunSummary) -> Result<()> {
        let key = run_key(run, SUMMARY_FILE);
        let body = serde_json::to_vec(summary).map_err(|e| StoreError::corrupt(&key, e))?;
        let s3 = self.store.s3();
        s3.put(&key, &body, "application/json").await
    }

    /// The file of metrics, one JSON object a line; empty if there is none yet.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn metrics(&self, run: &JobId) -> Result<Bytes> {
        let bytes = self.bytes(&run_key(run, METRICS_FILE)).await?;
        Ok(bytes.unwrap_or_default())
    }

    /// Steps of which there are samples, ascending.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn sample_steps(&self, run: &JobId) -> Result<Vec<u64>> {
        self.steps(run, "samples/", ".jsonl", samples_file).await
    }

    /// Samples of a step; `None` if there are none. Lines that cannot be read
    /// are left out.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn samples(&self, run: &JobId, step: u64) -> Result<Option<Vec<TrainingSample>>> {
        let key = run_key(run, &samples_file(step));
        let Some(bytes) = self.bytes(&key).await? else {
            return Ok(None);
        };
        let lines = bytes.split(|byte| *byte == b'\n');
        let samples = lines.filter(|line| !line.trim_ascii().is_empty());
        let samples = samples.filter_map(|line| match serde_json::from_slice(line) {
            Ok(sample) => Some(sample),
            Err(error) => {
                tracing::warn!(key, %error, "a sample cannot be read");
                None
            }
        });
        Ok(Some(samples.collect()))
    }

    /// Checkpoints that are whole, ascending by step; `best` is the one whose reward is
    /// the highest of them, whichever was when it was written.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]; or S3 is away.
    pub async fn checkpoints(&self, run: &JobId) -> Result<Vec<Checkpoint>> {
        let after = format!("/{CHECKPOINT_FILE}");
        let steps = self
            .steps(run, "checkpoints/", &after, checkpoint_file)
            .await?;
        let mut checkpoints: Vec<Checkpoint> = stream::iter(steps)
            .map(|step| self.checkpoint(run, step))
            .buffered(PARALLEL)
            // Removed meanwhile.
            .try_filter_map(|checkpoint| async move { Ok(checkpoint) })
            .try_collect()
            .await?;
        let highest = checkpoints
            .iter()
            .filter_map(|one| one.reward)
            .reduce(f64::max);
        let best = checkpoints
            .iter()
            .find(|one| one.reward.is_some() && one.reward == highest)
            .map(|one| one.step);
        for checkpoint in &mut checkpoints {
            checkpoint.best = Some(checkpoint.step) == best;
        }
        Ok(checkpoints)
    }

    /// The checkpoint after `step` steps; `None` unless it is there and whole.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]; or S3 is away.
    pub async fn checkpoint(&self, run: &JobId, step: u64) -> Result<Option<Checkpoint>> {
        self.json(&run_key(run, &checkpoint_file(step))).await
    }

    /// The policy that writes documents whose request names none; `None` if
    /// that is the configured one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]; or S3 is away.
    pub async fn choice(&self) -> Result<Option<PolicyChoice>> {
        self.json(POLICY_KEY).await
    }

    /// # Errors
    /// If S3 is away.
    pub async fn set_choice(&self, choice: &PolicyChoice) -> Result<()> {
        let body = serde_json::to_vec(choice).map_err(|e| StoreError::corrupt(POLICY_KEY, e))?;
        let s3 = self.store.s3();
        s3.put(POLICY_KEY, &body, "application/json").await
    }

    /// From now on the configured policy is used; that it was already is no error.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn clear_choice(&self) -> Result<()> {
        self.store.s3().delete(POLICY_KEY).await
    }

    /// Removes everything that a run keeps.
    pub(crate) async fn remove(&self, run: &JobId) -> Result<()> {
        let all = self.store.blobs().list_all(&run_key(run, "")).await?;
        stream::iter(all)
            .map(|blob| async move { self.store.s3().delete(&blob.key).await })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }

    /// The steps whose `file` is there, ascending.
    async fn steps(
        &self,
        run: &JobId,
        folder: &str,
        after: &str,
        file: fn(u64) -> String,
    ) -> Result<Vec<u64>> {
        let start = run_key(run, "");
        let prefix = format!("{start}{folder}");
        let all = self.store.blobs().list_all(&prefix).await?;
        let step_of = |key: &str| {
            let name = key.strip_prefix(&prefix)?;
            let digits = name.strip_prefix("step-")?.strip_suffix(after)?;
            let step = digits.parse().ok()?;
            (key.strip_prefix(&start)? == file(step)).then_some(step)
        };
        let mut steps: Vec<u64> = all.iter().filter_map(|blob| step_of(&blob.key)).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    async fn bytes(&self, key: &str) -> Result<Option<Bytes>> {
        match self.store.s3().get(key).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(bytes) = self.bytes(key).await? else {
            return Ok(None);
        };
        let value = serde_json::from_slice(&bytes).map_err(|e| StoreError::corrupt(key, e))?;
        Ok(Some(value))
    }
}

/// Below the run's folder.
fn checkpoint_file(step: u64) -> String {
    format!("{}/{CHECKPOINT_FILE}", checkpoint_folder(step))
}
