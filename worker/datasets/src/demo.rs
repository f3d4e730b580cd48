//! The prompts of our own that come with the program, as the generator wrote them.

use std::path::{Path, PathBuf};

use crate::error::{DatasetError, Result};

/// File names and bytes: both splits, as Parquet.
pub const FILES: [(&str, &[u8]); 2] = [
    ("train.parquet", include_bytes!("../demo/train.parquet")),
    ("test.parquet", include_bytes!("../demo/test.parquet")),
];

/// Writes them into `folder`.
///
/// # Errors
/// [`DatasetError::Io`].
pub fn unpack(folder: &Path) -> Result<Vec<PathBuf>> {
    let write = |(name, bytes): (&str, &[u8])| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).map_err(|error| DatasetError::io(&path, error))?;
        Ok(path)
    };
    FILES.into_iter().map(write).collect()
}

#[cfg(test)]
mod tests {
    use super::unpack;
    use crate::{Dataset, ReadOptions, Split, SplitRule};

    #[test]
    fn they_hold_both_splits() {
        let folder = tempfile::tempdir().unwrap();
        let paths = unpack(folder.path()).unwrap();
        let dataset = Dataset::read(&paths, &ReadOptions::default(), SplitRule::Column).unwrap();
        assert!(dataset.rows_of(Split::Train).count() >= 400);
        assert!(dataset.rows_of(Split::Test).count() >= 80);
    }
}
