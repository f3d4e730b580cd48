//! What a run starts from: the policy's folder and the prompts.

use std::path::{Path, PathBuf};

use illumine_agent::policy::demo;
use illumine_datasets::{Dataset, ReadOptions, SplitRule};
use illumine_store::queue::JobFailure;
use illumine_store::{Store, StoreError};
use illumine_types::Problem;
use illumine_types::dataset::DatasetId;
use illumine_types::training::{DEMO_MODEL, PolicyChoice, TrainingConfig};
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

/// The rows of everything that the run names.
pub async fn dataset(store: &Store, config: &TrainingConfig) -> Result<Dataset, JobFailure> {
    let refuse = |reason: String| refused("dataset", reason);
    let here = tempfile::Builder::new().prefix("illumine-rows-").tempdir();
    let here = here.map_err(|error| refuse(error.to_string()))?;
    let mut files = Vec::new();
    for name in &config.dataset {
        // One folder each: their files are numbered alike.
        let folder = here.path().join(files.len().to_string());
        files.extend(named(store, name, &folder).await?);
    }
    let read = tokio::task::spawn_blocking(move || read(&files));
    match read.await {
        Ok(Ok(dataset)) => Ok(dataset),
        Ok(Err(reason)) => Err(refuse(reason)),
        Err(error) => Err(refuse(error.to_string())),
    }
}

/// A file of rows, and what people call it.
struct RowFile {
    path: PathBuf,
    name: String,
}

/// The files of `name`: `demo`, an uploaded dataset, or a file on this worker. What has
/// to be fetched is put into `folder`.
async fn named(store: &Store, name: &str, folder: &Path) -> Result<Vec<RowFile>, JobFailure> {
    let refuse = |reason: String| refused("dataset", reason);
    let Ok(id) = DatasetId::parse(name) else {
        return Ok(vec![RowFile {
            path: PathBuf::from(name),
            name: name.to_owned(),
        }]);
    };
    let made = tokio::fs::create_dir(folder).await;
    made.map_err(|error| refuse(error.to_string()))?;
    if id.is_demo() {
        let paths = illumine_datasets::demo::unpack(folder);
        let paths = paths.map_err(|error| refuse(error.to_string()))?;
        let of = |path: PathBuf| RowFile {
            name: name.to_owned(),
            path,
        };
        return Ok(paths.into_iter().map(of).collect());
    }
    let gone = || refuse(format!("the dataset `{id}` is not there any more"));
    let datasets = store.datasets();
    let dataset = datasets.get(&id).await?.ok_or_else(gone)?;
    let paths = match datasets.fetch(&dataset, folder).await {
        Err(StoreError::NotFound { .. }) => return Err(gone()),
        paths => paths?,
    };
    let files = paths.into_iter().zip(&dataset.files);
    let files = files.map(|(path, file)| RowFile {
        path,
        name: format!("{}, {}", dataset.name, file.name),
    });
    Ok(files.collect())
}

fn read(files: &[RowFile]) -> Result<Dataset, String> {
    let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    Dataset::read(&paths, &ReadOptions::default(), SplitRule::Column).map_err(|error| {
        let words = error.to_string();
        files.iter().fold(words, |words, file| {
            words.replace(&file.path.display().to_string(), &file.name)
        })
    })
}

/// A field of the request that turned out not to be usable here.
pub fn refused(field: &str, reason: impl Into<String>) -> JobFailure {
    let title = "The run cannot start";
    JobFailure::permanent(Problem::new("invalid_value", title, reason).with_field(field))
}

#[cfg(test)]
mod tests {
    use illumine_datasets::Split;
    use illumine_store::StoreConfig;
    use illumine_testkit::{S3_ACCESS_KEY, S3_BUCKET, S3_SECRET_KEY, Servers};
    use illumine_types::dataset::{self as stored, DatasetFile, Summary};

    use super::*;

    const LINE: &str =
        r#"{"prompt": "p", "extra_info": {"split": "train", "image_num": 0, "tools": []}}"#;

    async fn store() -> (Servers, Store) {
        let servers = Servers::start().await.unwrap();
        let config = StoreConfig {
            redis_url: servers.redis_url(),
            s3_endpoint: servers.s3_endpoint(),
            s3_bucket: S3_BUCKET.into(),
            s3_region: "local".into(),
            s3_access_key: S3_ACCESS_KEY.into(),
            s3_secret_key: S3_SECRET_KEY.into(),
        };
        let store = Store::connect(&config).await.unwrap();
        (servers, store)
    }

    fn of(names: &[&str]) -> TrainingConfig {
        TrainingConfig {
            dataset: names.iter().map(|name| (*name).to_owned()).collect(),
            ..TrainingConfig::default()
        }
    }

    /// An uploaded dataset of one file.
    async fn upload(store: &Store, content: &str) -> DatasetId {
        let folder = tempfile::tempdir().unwrap();
        for part in ["files", "rows"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        std::fs::write(folder.path().join("files/000.jsonl"), content).unwrap();
        let file = DatasetFile {
            name: "rows.jsonl".into(),
            bytes: content.len() as u64,
            rows: 1,
        };
        let dataset = stored::Dataset {
            id: DatasetId::generate(),
            name: "Owls".into(),
            bytes: file.bytes,
            files: vec![file],
            summary: Summary::default(),
            created_at: None,
        };
        store.datasets().put(&dataset, folder.path()).await.unwrap();
        dataset.id
    }

    #[tokio::test]
    async fn the_demo_data_is_read_and_a_missing_file_is_told() {
        let (_servers, store) = store().await;
        let rows = dataset(&store, &TrainingConfig::default()).await.unwrap();
        assert!(rows.rows_of(Split::Train).count() >= 400);
        let config = of(&["/nowhere/rows.parquet"]);
        let failure = dataset(&store, &config).await.unwrap_err();
        assert_eq!(failure.problem.field.as_deref(), Some("dataset"));
        assert!(failure.problem.detail.contains("/nowhere/rows.parquet"));
    }

    #[tokio::test]
    async fn uploaded_rows_are_fetched_and_those_that_are_gone_are_told() {
        let (_servers, store) = store().await;
        let first = upload(&store, &format!("{LINE}\n{LINE}\n")).await;
        let second = upload(&store, &LINE.replace("train", "test")).await;
        let here = tempfile::tempdir().unwrap();
        let file = here.path().join("here.jsonl");
        std::fs::write(&file, LINE).unwrap();
        let file = file.to_str().unwrap();
        let all = of(&[first.as_str(), file, second.as_str()]);
        let rows = dataset(&store, &all).await.unwrap();
        assert_eq!(rows.splits.train, [0, 1, 2]);
        assert_eq!(rows.splits.test, [3]);

        store.datasets().delete(&second).await.unwrap();
        let failure = dataset(&store, &all).await.unwrap_err();
        assert_eq!(failure.problem.field.as_deref(), Some("dataset"));
        assert!(failure.problem.detail.contains(second.as_str()));

        // As another version might have taken it.
        let odd = upload(&store, &LINE.replace("tools", "tolls")).await;
        let failure = dataset(&store, &of(&[odd.as_str()])).await.unwrap_err();
        assert_eq!(failure.problem.field.as_deref(), Some("dataset"));
        let words = failure.problem.detail;
        assert!(words.starts_with("Owls, rows.jsonl: row 1: "), "{words}");
        assert!(words.contains("extra_info.tolls"), "{words}");
    }
}
