//! The crate's one error type.

use std::path::PathBuf;

use crate::judge::JudgeError;

/// Why no score, or no scorer, came about. A judge's or a tool's failure is not
/// here: it excludes its sample ([`crate::Verdict::Excluded`]).
#[derive(Debug, thiserror::Error)]
pub enum RewardError {
    /// A setting that cannot be used.
    #[error("reward: `{field}`: {reason}")]
    Config {
        /// Its path, e.g. `weights.llm`.
        field: &'static str,
        /// Why it is refused.
        reason: String,
    },
    /// A number that a formula cannot take: NaN, an infinity, or out of range.
    #[error("`{field}` is {value}; expected a number from {low} to {high}")]
    Number {
        /// What the number is, e.g. `llm.text`.
        field: &'static str,
        /// As given.
        value: f64,
        /// Least that is allowed.
        low: f64,
        /// Most that is allowed.
        high: f64,
    },
    /// No such rule for the number of pictures.
    #[error("`image_num` is {0}; expected -1, 0, 99 or the number of pictures")]
    ImageCount(i64),
    /// A sample that is not what the settings need.
    #[error("the sample `{id}` cannot be scored: `{field}`: {reason}")]
    Sample {
        /// The sample's own name.
        id: String,
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// No term with a weight applies to the sample.
    #[error("no term of the reward applies: {0}")]
    NothingToReward(String),
    /// A file of labels could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line of a file of labels is not an example.
    #[error("{}:{line}: `{field}`: {reason}", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// E.g. `labels.text`.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A judge that cannot be set up.
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

impl RewardError {
    /// A stable code for API answers and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "reward_config_invalid",
            Self::Number { .. } => "reward_number_invalid",
            Self::ImageCount(_) => "reward_image_num_invalid",
            Self::Sample { .. } => "reward_sample_invalid",
            Self::NothingToReward(_) => "reward_nothing_applies",
            Self::Io { .. } => "reward_io",
            Self::Label { .. } => "reward_label_invalid",
            Self::Judge(error) => error.code(),
        }
    }

    /// Checks a number; NaN and the infinities are in no range.
    pub(crate) fn check(field: &'static str, value: f64, low: f64, high: f64) -> Result<f64, Self> {
        if (low..=high).contains(&value) {
            return Ok(value);
        }
        Err(Self::Number {
            field,
            value,
            low,
            high,
        })
    }
}

/// This crate's result.
pub type Result<T, E = RewardError> = std::result::Result<T, E>;
