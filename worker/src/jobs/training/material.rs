//! What a run starts from: the policy's folder and the prompts.

use std::path::{Path, PathBuf};

use illumine_agent::policy::demo;
use illumine_datasets::{Dataset, ReadOptions, SplitRule};
use illumine_store::Store;
use illumine_store::queue::JobFailure;
use illumine_types::Problem;
use illumine_types::training::{DEMO_DATASET, DEMO_MODEL, PolicyChoice, TrainingConfig};
use tempfile::TempDir;

use super::keep::fetch_checkpoint;

/// A policy's folder, temporary or not.
#[derive(Debug)]
pub enum Model {
    Named(PathBuf),
    Unpacked(TempDir),
}

impl Model {
    pub fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::Unpacked(folder) => folder.path(),
        }
    }
}

/// The policy that `name` names: `demo`, a folder, or a run's checkpoint.
pub async fn model(store: &Store, name: &str) -> Result<Model, JobFailure> {
    let refuse = |reason: String| refused("model", reason);
    if name == DEMO_MODEL {
        let unpacked = demo::unpack().map_err(|error| refuse(error.to_string()))?;
        return Ok(Model::Unpacked(unpacked));
    }
    let Some(choice) = PolicyChoice::parse(name) else {
        let path = PathBuf::from(name);
        return match path.join("config.json").is_file() {
            true => Ok(Model::Named(path)),
            false => Err(refuse(format!(
                "`{name}` is no model folder on this worker: it has no config.json"
            ))),
        };
    };
    checkpoint(store, &choice).await.map(Model::Unpacked)
}

/// A run's checkpoint, in a temporary folder.
pub async fn checkpoint(store: &Store, choice: &PolicyChoice) -> Result<TempDir, JobFailure> {
    let refuse = |reason: String| refused("model", reason);
    let found = store
        .training()
        .checkpoint(&choice.run, choice.step)
        .await?;
    let Some(found) = found else {
        return Err(refuse(format!(
            "`{}` is no whole checkpoint of a run here",
            choice.name()
        )));
    };
    let folder = tempfile::Builder::new()
        .prefix("illumine-policy-")
        .tempdir();
    let folder = folder.map_err(|error| refuse(error.to_string()))?;
    fetch_checkpoint(store, &choice.run, &found, folder.path())
        .await
        .map_err(super::kept)?;
    Ok(folder)
}

/// The rows of all files.
pub async fn dataset(config: &TrainingConfig) -> Result<Dataset, JobFailure> {
    let names = config.dataset.clone();
    let read = tokio::task::spawn_blocking(move || read(&names)).await;
    match read {
        Ok(Ok(dataset)) => Ok(dataset),
        Ok(Err(reason)) => Err(refused("dataset", reason)),
        Err(error) => Err(refused("dataset", error.to_string())),
    }
}

fn read(names: &[String]) -> Result<Dataset, String> {
    let unpacked = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut paths = Vec::new();
    for name in names {
        if name != DEMO_DATASET {
            paths.push(PathBuf::from(name));
            continue;
        }
        for (file, bytes) in illumine_datasets::demo::FILES {
            let path = unpacked.path().join(file);
            std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
            paths.push(path);
        }
    }
    Dataset::read(&paths, &ReadOptions::default(), SplitRule::Column)
        .map_err(|error| error.to_string())
}

/// A field of the request that turned out not to be usable here.
pub fn refused(field: &str, reason: impl Into<String>) -> JobFailure {
    let title = "The run cannot start";
    JobFailure::permanent(Problem::new("invalid_value", title, reason).with_field(field))
}

#[cfg(test)]
mod tests {
    use illumine_datasets::Split;

    use super::*;

    #[tokio::test]
    async fn the_demo_data_is_read_and_a_missing_file_is_told() {
        let config = TrainingConfig::default();
        let rows = dataset(&config).await.unwrap();
        assert!(rows.rows_of(Split::Train).count() >= 400);
        let config = TrainingConfig {
            dataset: vec!["/nowhere/rows.parquet".into()],
            ..config
        };
        let failure = dataset(&config).await.unwrap_err();
        assert_eq!(failure.problem.field.as_deref(), Some("dataset"));
        assert!(failure.problem.detail.contains("/nowhere/rows.parquet"));
    }
}
