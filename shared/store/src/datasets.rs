//! Uploaded datasets in S3 (`datasets/{id}/…`, [`illumine_types::dataset`]).
//!
//! A dataset without its `dataset.json` is being stored or was left half done: nothing
//! here tells of it. What is stored never changes, so nobody trains on other rows than
//! those that were looked at.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use illumine_types::dataset::{
    DATASET_FILE, Dataset, DatasetFile, DatasetId, DatasetRow, ROWS_A_CHUNK, Split,
};
use tokio::io::AsyncWriteExt;

use crate::{Result, Store, StoreError};

/// Objects read, written or removed at once.
const PARALLEL: usize = 16;

/// Uploaded datasets.
#[derive(Clone, Debug)]
pub struct Datasets {
    pub(crate) store: Store,
}

impl Datasets {
    /// All that are whole, newest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]; or S3 is away.
    pub async fn list(&self) -> Result<Vec<Dataset>> {
        let all = self.store.blobs().list_all("datasets/").await?;
        let id_of = |key: &str| {
            let (id, file) = key.strip_prefix("datasets/")?.split_once('/')?;
            let id = DatasetId::parse(id).ok()?;
            (file == DATASET_FILE).then_some(id)
        };
        let mut ids: Vec<DatasetId> = all.iter().filter_map(|blob| id_of(&blob.key)).collect();
        // Ids sort by time.
        ids.sort_unstable_by(|a, b| b.cmp(a));
        stream::iter(ids)
            .map(|id| async move { self.get(&id).await })
            .buffered(PARALLEL)
            // Removed meanwhile.
            .try_filter_map(|dataset| async move { Ok(dataset) })
            .try_collect()
            .await
    }

    /// The dataset of this id; `None` unless it is there and whole.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]; or S3 is away.
    pub async fn get(&self, id: &DatasetId) -> Result<Option<Dataset>> {
        let key = id.key(DATASET_FILE);
        let bytes = match self.store.s3().get(&key).await {
            Ok(bytes) => bytes,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let dataset = serde_json::from_slice(&bytes).map_err(|e| StoreError::corrupt(key, e))?;
        Ok(Some(dataset))
    }

    /// What is shown of the rows `offset..offset + limit` of a split, as far as there are
    /// any.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the dataset was removed; [`StoreError::Corrupt`]; or S3
    /// is away.
    pub async fn rows(
        &self,
        dataset: &Dataset,
        split: Split,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<DatasetRow>> {
        let total = dataset.summary.by_split.get(&split).copied().unwrap_or(0);
        let end = offset.saturating_add(limit).min(total);
        if offset >= end {
            return Ok(Vec::new());
        }
        let first = offset / ROWS_A_CHUNK;
        let chunks = first..end.div_ceil(ROWS_A_CHUNK);
        let rows: Vec<Vec<DatasetRow>> = stream::iter(chunks)
            .map(|chunk| async move {
                let key = dataset.id.key(&split.rows_file(chunk));
                let bytes = self.store.s3().get(&key).await?;
                lines(&bytes).map_err(|error| StoreError::corrupt(key, error))
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        let rows = rows.into_iter().flatten();
        Ok(rows
            .skip(offset - first * ROWS_A_CHUNK)
            .take(end - offset)
            .collect())
    }

    /// Stores a dataset from a folder that holds its `files/` and `rows/` as they will be
    /// in S3. After a failure nothing of it is left, as far as S3 still answers.
    ///
    /// # Errors
    /// [`StoreError::Disk`]; S3 refuses, or stays away.
    pub async fn put(&self, dataset: &Dataset, folder: &Path) -> Result<()> {
        let stored = self.put_all(dataset, folder).await;
        if stored.is_err()
            && let Err(error) = self.delete(&dataset.id).await
        {
            tracing::warn!(dataset = %dataset.id, %error, "half a dataset is left in the object store");
        }
        stored
    }

    async fn put_all(&self, dataset: &Dataset, folder: &Path) -> Result<()> {
        let mut files = Vec::new();
        for part in ["files", "rows"] {
            let path = folder.join(part);
            let mut entries = tokio::fs::read_dir(&path).await.map_err(disk(&path))?;
            while let Some(entry) = entries.next_entry().await.map_err(disk(&path))? {
                let name = entry.file_name().to_string_lossy().into_owned();
                files.push(format!("{part}/{name}"));
            }
        }
        stream::iter(files)
            .map(|file| async move {
                let key = dataset.id.key(&file);
                self.store.s3().put_file(&key, &folder.join(&file)).await
            })
            .buffer_unordered(PARALLEL)
            .try_collect::<()>()
            .await?;
        // Last: without it the dataset is not there.
        let key = dataset.id.key(DATASET_FILE);
        let body = serde_json::to_vec(dataset).map_err(|e| StoreError::corrupt(&key, e))?;
        self.store.s3().put(&key, &body, "application/json").await
    }

    /// Brings a dataset's files into `folder`, in their order, numbered as they are stored.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it was removed, [`StoreError::Corrupt`] if a file is not
    /// as long as it was, [`StoreError::Disk`]; or S3 is away.
    pub async fn fetch(&self, dataset: &Dataset, folder: &Path) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for (index, file) in dataset.files.iter().enumerate() {
            let stored = DatasetFile::stored_as(&file.name, index);
            let stored = stored.ok_or_else(|| {
                StoreError::corrupt(
                    dataset.id.key(DATASET_FILE),
                    format!("`{}` is no file of rows", file.name),
                )
            })?;
            let key = dataset.id.key(&stored);
            // One folder: the number is in the name.
            let path = folder.join(stored.trim_start_matches("files/"));
            let bytes = self.download(&key, &path).await?;
            if bytes != file.bytes {
                let detail = format!("has {bytes} bytes of {}", file.bytes);
                return Err(StoreError::corrupt(key, detail));
            }
            paths.push(path);
        }
        Ok(paths)
    }

    async fn download(&self, key: &str, path: &Path) -> Result<u64> {
        let mut stored = self.store.s3().get_stream(key).await?;
        let mut file = tokio::fs::File::create(path).await.map_err(disk(path))?;
        let mut bytes = 0;
        while let Some(chunk) = stored.body.try_next().await? {
            file.write_all(&chunk).await.map_err(disk(path))?;
            bytes += chunk.len() as u64;
        }
        file.flush().await.map_err(disk(path))?;
        Ok(bytes)
    }

    /// Removes a dataset; that it is missing is no error.
    ///
    /// # Errors
    /// If S3 is away.
    pub async fn delete(&self, id: &DatasetId) -> Result<()> {
        let s3 = self.store.s3();
        // First what says that it is whole.
        s3.delete(&id.key(DATASET_FILE)).await?;
        let all = self.store.blobs().list_all(&id.key("")).await?;
        stream::iter(all)
            .map(|blob| async move { s3.delete(&blob.key).await })
            .buffer_unordered(PARALLEL)
            .try_collect()
            .await
    }
}

fn lines(bytes: &Bytes) -> serde_json::Result<Vec<DatasetRow>> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(serde_json::from_slice).collect()
}

fn disk(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.display().to_string();
    move |error| StoreError::Disk(format!("{path}: {error}"))
}
