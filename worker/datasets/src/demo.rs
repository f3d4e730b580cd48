//! The prompts of our own that come with the program, as the generator wrote them.

/// File names and bytes: both splits, as Parquet.
pub const FILES: [(&str, &[u8]); 2] = [
    ("train.parquet", include_bytes!("../demo/train.parquet")),
    ("test.parquet", include_bytes!("../demo/test.parquet")),
];

#[cfg(test)]
mod tests {
    use super::FILES;
    use crate::{Dataset, ReadOptions, Split, SplitRule};

    #[test]
    fn they_hold_both_splits() {
        let folder = tempfile::tempdir().unwrap();
        let paths = FILES.map(|(name, bytes)| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        });
        let dataset = Dataset::read(&paths, &ReadOptions::default(), SplitRule::Column).unwrap();
        assert!(dataset.rows_of(Split::Train).count() >= 400);
        assert!(dataset.rows_of(Split::Test).count() >= 80);
    }
}
