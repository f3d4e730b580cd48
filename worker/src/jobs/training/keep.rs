//! What a run makes, between its folder here and S3.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::Utc;
use illumine_store::{Store, StoreError};
use illumine_train::rl::Best;
use illumine_types::JobId;
use illumine_types::training::{
    CHECKPOINT_FILE, Checkpoint, CheckpointFile, METRICS_FILE, RunSummary, checkpoint_folder,
    run_key, samples_file,
};

/// `metrics.jsonl` is written whole; readers of the page hear of steps at once anyway.
const METRICS_EVERY: Duration = Duration::from_secs(5);
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const BYTES: &str = "application/octet-stream";

/// Keeps one run.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    run: JobId,
    /// The run's folder here.
    pub folder: PathBuf,
    kept: BTreeSet<u64>,
    /// Checkpoints that are kept, besides the best.
    most: usize,
    metrics_at: Option<Instant>,
}

/// Why something could not be kept or fetched.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{what}: {reason}")]
    Unreadable { what: String, reason: String },
}

type Result<T> = std::result::Result<T, KeepError>;

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> KeepError {
    let path = path.to_owned();
    move |source| KeepError::Io { path, source }
}

impl Keeper {
    /// Of a run that works in `folder`.
    pub fn new(store: Store, run: JobId, folder: PathBuf, most: usize) -> Self {
        Self {
            store,
            run,
            folder,
            kept: BTreeSet::new(),
            most,
            metrics_at: None,
        }
    }

    /// Brings the newest whole checkpoint and the metrics here, and tells its step.
    pub async fn fetch(&mut self) -> Result<Option<u64>> {
        tokio::fs::create_dir_all(&self.folder)
            .await
            .map_err(io(&self.folder))?;
        match self.store.blobs().get(&self.key(METRICS_FILE)).await {
            Ok(bytes) => self.write(METRICS_FILE, &bytes).await?,
            Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let checkpoints = self.store.training().checkpoints(&self.run).await?;
        self.kept = checkpoints.iter().map(|one| one.step).collect();
        let Some(newest) = checkpoints.last() else {
            return Ok(None);
        };
        let target = self.folder.join(checkpoint_folder(newest.step));
        fetch_checkpoint(&self.store, &self.run, newest, &target).await?;
        Ok(Some(newest.step))
    }

    /// Takes away what later steps of an earlier attempt left: they will be made again.
    pub async fn forget_after(&mut self, step: u64) -> Result<()> {
        for later in self.kept.split_off(&(step + 1)) {
            self.remove_checkpoint(later).await?;
        }
        Ok(())
    }

    /// Where the run stands.
    pub async fn summary(&self, summary: &RunSummary) -> Result<()> {
        Ok(self
            .store
            .training()
            .put_summary(&self.run, summary)
            .await?)
    }

    /// Samples and checkpoints of step `step`, and the metrics when their time has come,
    /// `all` is asked for, or there is a checkpoint to go on from without them.
    /// Tells whether there is a new checkpoint.
    pub async fn step(&mut self, step: u64, best: &Best, all: bool) -> Result<bool> {
        let here = local_steps(&self.folder).await?;
        let new: Vec<u64> = here.difference(&self.kept).copied().collect();
        let is_due = self
            .metrics_at
            .is_none_or(|at| at.elapsed() >= METRICS_EVERY);
        if all || is_due || !new.is_empty() {
            self.put(METRICS_FILE, LINES).await?;
            self.metrics_at = Some(Instant::now());
        }
        let samples = samples_file(step);
        if self.folder.join(&samples).is_file() {
            self.put(&samples, LINES).await?;
        }
        let is_new = !new.is_empty();
        self.checkpoints(new, best).await?;
        Ok(is_new)
    }

    async fn checkpoints(&mut self, new: Vec<u64>, best: &Best) -> Result<()> {
        for step in new {
            self.put_checkpoint(step, best).await?;
            self.kept.insert(step);
        }
        let old = outdated(&self.kept, self.most, best.best.map(|best| best.step));
        if old.is_empty() {
            return Ok(());
        }
        let chosen = self.store.training().choice().await?;
        for step in old {
            // Documents are written by it.
            let in_use = chosen
                .as_ref()
                .is_some_and(|choice| choice.run == self.run && choice.step == step);
            if !in_use {
                self.remove_checkpoint(step).await?;
            }
            self.kept.remove(&step);
        }
        Ok(())
    }

    async fn put_checkpoint(&self, step: u64, best: &Best) -> Result<()> {
        let folder = checkpoint_folder(step);
        let path = self.folder.join(&folder);
        let mut files = Vec::new();
        for name in files_of(&path).await? {
            let bytes = self.put(&format!("{folder}/{name}"), BYTES).await?;
            files.push(CheckpointFile { name, bytes });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let of_this = |validation: &illumine_train::rl::Validation| validation.step == step;
        let checkpoint = Checkpoint {
            step,
            reward: best.last.filter(of_this).map(|last| last.reward),
            best: best.best.as_ref().is_some_and(of_this),
            in_use: false,
            files,
            created_at: Utc::now(),
        };
        // Last: a folder without it is not whole.
        let body =
            serde_json::to_vec(&checkpoint).map_err(|error| unreadable(CHECKPOINT_FILE, &error))?;
        let key = self.key(&format!("{folder}/{CHECKPOINT_FILE}"));
        Ok(self.store.blobs().put(&key, &body, JSON).await?)
    }

    async fn remove_checkpoint(&self, step: u64) -> Result<()> {
        let blobs = self.store.blobs();
        let folder = checkpoint_folder(step);
        // First what says that it is whole.
        blobs
            .delete(&self.key(&format!("{folder}/{CHECKPOINT_FILE}")))
            .await?;
        for blob in blobs.list_all(&self.key(&format!("{folder}/"))).await? {
            blobs.delete(&blob.key).await?;
        }
        Ok(())
    }

    fn key(&self, file: &str) -> String {
        run_key(&self.run, file)
    }

    /// Uploads a file of the run's folder, whose length it tells.
    async fn put(&self, file: &str, mime: &str) -> Result<u64> {
        let path = self.folder.join(file);
        let bytes = tokio::fs::read(&path).await.map_err(io(&path))?;
        self.store
            .blobs()
            .put(&self.key(file), &bytes, mime)
            .await?;
        Ok(bytes.len() as u64)
    }

    async fn write(&self, file: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(file);
        tokio::fs::write(&path, bytes).await.map_err(io(&path))
    }
}

/// Brings a whole checkpoint of a run into the folder `target`.
pub async fn fetch_checkpoint(
    store: &Store,
    run: &JobId,
    checkpoint: &Checkpoint,
    target: &Path,
) -> Result<()> {
    tokio::fs::create_dir_all(target)
        .await
        .map_err(io(target))?;
    for file in &checkpoint.files {
        if !is_below(&file.name) {
            return Err(unreadable(&file.name, &"is no file's name"));
        }
        let folder = checkpoint_folder(checkpoint.step);
        let key = run_key(run, &format!("{folder}/{}", file.name));
        let bytes = store.blobs().get(&key).await?;
        if bytes.len() as u64 != file.bytes {
            let reason = format!("has {} bytes of {}", bytes.len(), file.bytes);
            return Err(unreadable(&key, &reason));
        }
        let path = target.join(&file.name);
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(io(folder))?;
        }
        tokio::fs::write(&path, &bytes).await.map_err(io(&path))?;
    }
    Ok(())
}

/// Whether a name stays inside the folder that it is joined to.
fn is_below(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    !name.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Names of the files in `folder` and in its folders: `adapter/adapter_config.json`.
async fn files_of(folder: &Path) -> Result<Vec<String>> {
    let (mut files, mut folders) = (Vec::new(), vec![String::new()]);
    while let Some(prefix) = folders.pop() {
        let path = folder.join(&prefix);
        let mut entries = tokio::fs::read_dir(&path).await.map_err(io(&path))?;
        while let Some(entry) = entries.next_entry().await.map_err(io(&path))? {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            match entry.file_type().await.map_err(io(&path))?.is_dir() {
                true => folders.push(format!("{name}/")),
                false => files.push(name),
            }
        }
    }
    Ok(files)
}

fn unreadable(what: &str, reason: &dyn std::fmt::Display) -> KeepError {
    KeepError::Unreadable {
        what: what.to_owned(),
        reason: reason.to_string(),
    }
}

/// All but the newest `most` and the best. A worker that took a run over has but one of
/// them in its folder.
fn outdated(kept: &BTreeSet<u64>, most: usize, best: Option<u64>) -> Vec<u64> {
    let older = kept.iter().rev().skip(most);
    older.copied().filter(|step| Some(*step) != best).collect()
}

/// Steps of the checkpoints in the run's folder.
async fn local_steps(run: &Path) -> Result<BTreeSet<u64>> {
    let path = run.join("checkpoints");
    let mut steps = BTreeSet::new();
    let mut entries = match tokio::fs::read_dir(&path).await {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(steps),
        Err(error) => return Err(io(&path)(error)),
    };
    while let Some(entry) = entries.next_entry().await.map_err(io(&path))? {
        let name = entry.file_name().to_string_lossy().into_owned();
        steps.extend(
            name.strip_prefix("step-")
                .and_then(|step| step.parse::<u64>().ok()),
        );
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_and_the_best_are_kept() {
        let kept = BTreeSet::from([2, 4, 6, 8]);
        assert_eq!(outdated(&kept, 2, Some(2)), [4]);
        assert_eq!(outdated(&kept, 1, None), [6, 4, 2]);
        assert!(outdated(&kept, 4, None).is_empty());
    }

    #[tokio::test]
    async fn files_of_folders_are_named_and_none_leaves_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("adapter")).unwrap();
        for name in ["config.json", "adapter/adapter_config.json"] {
            std::fs::write(folder.path().join(name), "{}").unwrap();
        }
        let mut files = files_of(folder.path()).await.unwrap();
        files.sort();
        assert_eq!(files, ["adapter/adapter_config.json", "config.json"]);
        assert!(files.iter().all(|name| is_below(name)));
        for name in ["", "../a", "a/../../b", "/etc/passwd", "./a"] {
            assert!(!is_below(name), "{name}");
        }
    }
}
