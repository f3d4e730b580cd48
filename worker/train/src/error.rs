//! The crate's one error type.

use std::path::PathBuf;

use illumine_models::ModelError;

/// What can go wrong in a training run.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line of a dataset is not an example.
    #[error("{}:{line}: `{field}`: {reason}", path.display())]
    Dataset {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The column.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A dataset without a usable example.
    #[error("{}: no example", path.display())]
    EmptyDataset {
        /// The file.
        path: PathBuf,
    },
    /// A hyper-parameter that cannot be used.
    #[error("config: `{field}`: {reason}")]
    Config {
        /// Its name.
        field: &'static str,
        /// Why it is refused.
        reason: String,
    },
    /// A checkpoint's file is not what its name promises.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The loss is no longer a number.
    #[error("the loss became {loss} at step {step}; lower the learning rate")]
    Diverged {
        /// The step.
        step: u64,
        /// NaN or an infinity.
        loss: f64,
    },
    /// Too many answers of a step have no reward: a judge or a tool is out of order.
    #[error(
        "step {step}: {excluded} of {answers} answers have no reward ({reason}); nothing was learnt"
    )]
    Outage {
        /// The step.
        step: u64,
        /// Answers without a reward.
        excluded: usize,
        /// All of them.
        answers: usize,
        /// Of the first.
        reason: String,
    },
    /// A process that works on the same run is gone, or does not do its part.
    #[error("process {rank} of the run: {reason}")]
    Peer {
        /// Its number, from 0.
        rank: usize,
        /// What became of it.
        reason: String,
    },
    /// The device failed.
    #[error("device: {0}")]
    Device(String),
    /// Training the tokenizer, or using it.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The model crate's error.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl TrainError {
    /// A stable code for API answers and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "train_io",
            Self::Dataset { .. } => "train_dataset_line",
            Self::EmptyDataset { .. } => "train_dataset_empty",
            Self::Config { .. } => "train_config_invalid",
            Self::Checkpoint { .. } => "train_checkpoint_invalid",
            Self::Diverged { .. } => "train_diverged",
            Self::Outage { .. } => "train_outage",
            Self::Peer { .. } => "train_peer",
            Self::Device(_) => "train_device",
            Self::Tokenizer(_) => "train_tokenizer",
            Self::Model(error) => error.code(),
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }

    pub(crate) fn peer(rank: usize, reason: impl ToString) -> Self {
        Self::Peer {
            rank,
            reason: reason.to_string(),
        }
    }

    pub(crate) fn checkpoint(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::Checkpoint {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}

/// This crate's result.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;
