//! The rows that come with the program, shown as uploaded ones are.

use std::collections::BTreeMap;

use illumine_datasets::survey::survey;
use illumine_types::dataset::{Dataset, DatasetFile, DatasetId, DatasetRow, Split};

use crate::error::{ApiError, Result};
use crate::state::State;

/// The rows that come with the program, looked through once.
#[derive(Debug)]
pub struct Demo {
    pub dataset: Dataset,
    pub rows: BTreeMap<Split, Vec<DatasetRow>>,
}

/// # Errors
/// `internal`, if this machine has no place for a temporary file.
pub async fn of(state: &State) -> Result<&Demo> {
    let look = || async {
        tokio::task::spawn_blocking(look)
            .await
            .map_err(ApiError::internal)?
    };
    state.demo.get_or_try_init(look).await
}

fn look() -> Result<Demo> {
    let folder = tempfile::tempdir().map_err(ApiError::internal)?;
    let paths = illumine_datasets::demo::unpack(folder.path()).map_err(ApiError::internal)?;
    let files = illumine_datasets::demo::FILES;
    let names = files.iter().map(|(name, _)| (*name).to_owned());
    let named: Vec<_> = paths.into_iter().zip(names).collect();
    let mut rows: BTreeMap<Split, Vec<DatasetRow>> = BTreeMap::new();
    let found = survey(&named, |split, row| {
        rows.entry(split).or_default().push(row);
        Ok(())
    })
    .map_err(ApiError::internal)?;
    let files: Vec<DatasetFile> = files
        .iter()
        .zip(found.rows)
        .map(|((name, bytes), rows)| DatasetFile {
            name: (*name).to_owned(),
            bytes: bytes.len() as u64,
            rows,
        })
        .collect();
    let dataset = Dataset {
        id: DatasetId::demo(),
        name: "Demo prompts".to_owned(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        summary: found.summary,
        created_at: None,
    };
    Ok(Demo { dataset, rows })
}
