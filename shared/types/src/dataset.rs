//! Datasets of prompts that people upload: what is kept of them and what is shown.
//!
//! ```text
//! datasets/{id}/files/000.parquet            as uploaded, numbered
//! datasets/{id}/rows/train-000000.jsonl      what is shown of a hundred rows
//! datasets/{id}/dataset.json                 a Dataset, written last
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ToolKind;
use crate::id::{InvalidId, is_ulid};
use crate::training::DEMO_DATASET;

/// The most bytes of an upload, all its files together.
pub const UPLOAD_BYTES: u64 = 256 << 20;
/// The most files of an upload.
pub const UPLOAD_FILES: usize = 16;
/// The most rows of a dataset.
pub const MAX_ROWS: u64 = 200_000;
/// The most characters of a prompt, all its messages together: as many as a person may
/// type.
pub const PROMPT_CHARACTERS: usize = 32_000;
/// The most characters of a name.
pub const NAME_CHARACTERS: usize = 100;
/// Rows in one object of those that are shown.
pub const ROWS_A_CHUNK: usize = 100;
/// Below a dataset's folder, written last: a [`Dataset`].
pub const DATASET_FILE: &str = "dataset.json";

/// What a run's `dataset` names: `demo`, or `dat_` and a ULID. Never a file's path, and
/// never used again for other rows.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct DatasetId(String);

impl DatasetId {
    /// # Errors
    /// [`InvalidId`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let uploaded = text.strip_prefix("dat_").is_some_and(is_ulid);
        if uploaded || text == DEMO_DATASET {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidId {
            text: text.chars().take(64).collect(),
            expected: "`demo`, or `dat_` and 26 characters of a ULID",
        })
    }

    /// A fresh id.
    #[cfg(feature = "generate")]
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("dat_{}", ulid::Ulid::new()))
    }

    /// Of the rows that come with the program.
    #[must_use]
    pub fn demo() -> Self {
        Self(DEMO_DATASET.to_owned())
    }

    #[must_use]
    pub fn is_demo(&self) -> bool {
        self.0 == DEMO_DATASET
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where S3 keeps a file of this dataset; `""` for all of them.
    #[must_use]
    pub fn key(&self, file: &str) -> String {
        format!("datasets/{self}/{file}")
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DatasetId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl From<DatasetId> for String {
    fn from(id: DatasetId) -> Self {
        id.0
    }
}

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DatasetSplit))]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Learnt from.
    Train,
    /// Measured on.
    Test,
}

impl Split {
    pub const ALL: [Self; 2] = [Self::Train, Self::Test];
    /// The words that files use, for errors.
    pub const WORDS: &'static str = "use train, or one of test, val, validation, dev, eval";

    /// The word that we write.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Test => "test",
        }
    }

    /// The split of a file's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "train" => Some(Self::Train),
            "test" | "val" | "validation" | "dev" | "eval" => Some(Self::Test),
            _ => None,
        }
    }

    /// The object of the rows from `chunk` × [`ROWS_A_CHUNK`] on, below the dataset's
    /// folder.
    #[must_use]
    pub fn rows_file(self, chunk: usize) -> String {
        format!("rows/{}-{chunk:06}.jsonl", self.as_str())
    }
}

/// A dataset: where it comes from and what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dataset {
    /// What a run's `dataset` names.
    pub id: DatasetId,
    /// For people; no two datasets have the same.
    pub name: String,
    pub files: Vec<DatasetFile>,
    /// Of all files.
    pub bytes: u64,
    pub summary: Summary,
    /// None for what comes with the program.
    #[serde(default)]
    pub created_at: Option<chrono::DateTime<chrono::Utc>>,
}

/// A file as it was uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatasetFile {
    /// As the uploader called it.
    pub name: String,
    pub bytes: u64,
    pub rows: u64,
}

impl DatasetFile {
    /// Below the dataset's folder, for the file at `index`: numbered, so that no name from
    /// outside becomes a key. None unless the name ends in `.parquet` or `.jsonl`.
    #[must_use]
    pub fn stored_as(name: &str, index: usize) -> Option<String> {
        let (_, extension) = name.rsplit_once('.')?;
        let mut known = ["parquet", "jsonl"].into_iter();
        let extension = known.find(|known| extension.eq_ignore_ascii_case(known))?;
        Some(format!("files/{index:03}.{extension}"))
    }
}

/// Counts over all rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DatasetSummary))]
pub struct Summary {
    /// All rows.
    pub rows: usize,
    /// Rows a split; a split without rows is there with 0.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, usize>))]
    pub by_split: BTreeMap<Split, usize>,
    /// Rows by the whole set of tools: `search+code`, `none`.
    pub by_tool_set: BTreeMap<String, usize>,
    /// Rows that each tool suits; a row counts once for each of its tools.
    pub by_tool: BTreeMap<String, usize>,
    /// Rows by `image_num`.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, usize>))]
    pub by_image_num: BTreeMap<i64, usize>,
    /// Rows with at least one input picture.
    pub with_pictures: usize,
    /// Of the prompts, in the units of who counted; characters for what is stored.
    pub prompt_length: Quantiles,
}

/// Of a list of lengths; each is one of the list (nearest rank). All 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quantiles {
    /// The shortest.
    pub min: usize,
    /// Half are no longer.
    pub p50: usize,
    /// Nine in ten are no longer.
    pub p90: usize,
    /// 99 in a hundred are no longer.
    pub p99: usize,
    /// The longest.
    pub max: usize,
}

impl Quantiles {
    /// Of `lengths`, in any order.
    #[must_use]
    pub fn of(mut lengths: Vec<usize>) -> Self {
        lengths.sort_unstable();
        let percentile = |percent: usize| {
            let rank = (lengths.len() * percent).div_ceil(100).max(1);
            lengths.get(rank - 1).copied().unwrap_or(0)
        };
        Self {
            min: percentile(0),
            p50: percentile(50),
            p90: percentile(90),
            p99: percentile(99),
            max: percentile(100),
        }
    }
}

/// What is shown of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatasetRow {
    /// Its file, as the uploader called it.
    pub file: String,
    /// Counted from 1; in JSON lines the line.
    pub row: u64,
    /// The last user message, or the beginning of it.
    pub prompt: String,
    /// There is more of the prompt than is shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Messages of the chat.
    pub messages: usize,
    pub tools: Vec<ToolKind>,
    /// −1 none, 0 free, 1 to 98 that many, 99 at least one.
    pub image_num: i64,
    /// Those that come with the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<RowPicture>,
    /// `data_source`; empty when the file does not say.
    pub source: String,
}

/// A picture that comes with a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RowPicture {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// A small JPEG as a `data:` address; of a row's first few pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
}

/// `GET /api/v1/datasets/{id}/rows`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DatasetRows {
    pub split: Split,
    /// Rows of the split before the first of these.
    pub offset: usize,
    /// Rows of the split.
    pub total: usize,
    pub items: Vec<DatasetRow>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_no_path_and_no_other_kind() {
        let id = DatasetId::parse("dat_01J9ZD1N7H0000000000000000").unwrap();
        assert_eq!(
            id.key(&Split::Test.rows_file(12)),
            "datasets/dat_01J9ZD1N7H0000000000000000/rows/test-000012.jsonl"
        );
        assert!(!id.is_demo() && DatasetId::parse("demo").unwrap().is_demo());
        for bad in [
            "",
            "dat_",
            "dat_rows.parquet",
            "Demo",
            "dat_../../../../../../../../../",
            "run_01J9ZD1N7H0000000000000000",
        ] {
            assert!(DatasetId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_files_name_never_becomes_a_key() {
        let stored = |name| DatasetFile::stored_as(name, 3);
        assert_eq!(stored("../a b.JSONL").as_deref(), Some("files/003.jsonl"));
        assert_eq!(stored("x.y.parquet").as_deref(), Some("files/003.parquet"));
        for bad in ["rows", "rows.csv", "rows.jsonl.gz", "parquet", ""] {
            assert_eq!(stored(bad), None, "{bad}");
        }
    }
}
