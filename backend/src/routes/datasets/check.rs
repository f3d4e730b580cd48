//! An upload, checked before anything of it is stored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use illumine_datasets::DatasetError;
use illumine_datasets::error::Result as Checked;
use illumine_datasets::survey::{Survey, survey};
use illumine_types::dataset::{DatasetRow, ROWS_A_CHUNK, Split};

use super::form::Upload;
use crate::error::{ApiError, Result};

/// Reads every row, and writes what is shown of them below `rows/` of the upload's folder.
///
/// # Errors
/// `invalid_dataset`, in words that name file, row and column.
pub async fn whole(upload: &Upload) -> Result<Survey> {
    let folder = upload.folder.path().to_owned();
    let named = |file: &super::form::Uploaded| (file.path.clone(), file.name.clone());
    let files: Vec<(PathBuf, String)> = upload.files.iter().map(named).collect();
    let look = move || {
        let mut shelf = Shelf::default();
        let found = survey(&files, |split, row| shelf.put(&folder, split, &row))?;
        shelf.close(&folder)?;
        Ok(found)
    };
    let looked = tokio::task::spawn_blocking(look).await;
    looked.map_err(ApiError::internal)?.map_err(told)
}

fn told(error: DatasetError) -> ApiError {
    match error {
        DatasetError::Io { .. } => ApiError::internal(error),
        error => ApiError::InvalidDataset(words(&error)),
    }
}

/// What is wrong and what to do about it in an upload, which has no switches.
fn words(error: &DatasetError) -> String {
    let DatasetError::UnknownColumn {
        path,
        row,
        column,
        known,
    } = error
    else {
        return error.to_string();
    };
    let row = row.map(|row| format!("row {row}: ")).unwrap_or_default();
    let path = path.display();
    format!(
        "{path}: {row}unknown column `{column}`; the known ones are {known}; remove or rename it"
    )
}

/// The files of rows that are shown, [`ROWS_A_CHUNK`] a file.
#[derive(Default)]
struct Shelf {
    splits: BTreeMap<Split, Chunks>,
}

#[derive(Default)]
struct Chunks {
    rows: usize,
    open: Option<BufWriter<File>>,
}

impl Shelf {
    fn put(&mut self, folder: &Path, split: Split, row: &DatasetRow) -> Checked<()> {
        let chunks = self.splits.entry(split).or_default();
        chunks.put(folder, split, row).map_err(io(folder))
    }

    fn close(mut self, folder: &Path) -> Checked<()> {
        let mut open = self
            .splits
            .values_mut()
            .filter_map(|chunks| chunks.open.take());
        open.try_for_each(|mut file| file.flush())
            .map_err(io(folder))
    }
}

impl Chunks {
    fn put(&mut self, folder: &Path, split: Split, row: &DatasetRow) -> std::io::Result<()> {
        if self.rows.is_multiple_of(ROWS_A_CHUNK) {
            if let Some(mut full) = self.open.take() {
                full.flush()?;
            }
            self.open = None;
        }
        let file = match &mut self.open {
            Some(file) => file,
            none => {
                let path = folder.join(split.rows_file(self.rows / ROWS_A_CHUNK));
                none.insert(BufWriter::new(File::create(path)?))
            }
        };
        serde_json::to_writer(&mut *file, row)?;
        file.write_all(b"\n")?;
        self.rows += 1;
        Ok(())
    }
}

fn io(folder: &Path) -> impl FnOnce(std::io::Error) -> DatasetError {
    let path = folder.to_owned();
    move |source| DatasetError::Io { path, source }
}
