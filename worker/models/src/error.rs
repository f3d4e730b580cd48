//! The crate's one error type.

use std::path::PathBuf;

/// What can go wrong between a model folder and its text.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file exists but its content is not what its name promises.
    #[error("{}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the field where there is one.
        reason: String,
    },
    /// `architectures` or `model_type` names a family this crate does not have.
    #[error("{}: unknown architecture `{found}`; known: {known}", path.display())]
    UnknownArchitecture {
        /// The config file.
        path: PathBuf,
        /// The name found there.
        found: String,
        /// The names this crate knows, comma-separated.
        known: String,
    },
    /// The configuration's fields contradict each other.
    #[error("config: `{field}`: {reason}")]
    Config {
        /// The field of config.json.
        field: &'static str,
        /// Why its value cannot be used.
        reason: String,
    },
    /// A weight that the configuration asks for is in none of the files.
    #[error("{}: tensor `{name}` is missing", path.display())]
    MissingTensor {
        /// The file or folder that was searched.
        path: PathBuf,
        /// The tensor's name as in Hugging Face.
        name: String,
    },
    /// A weight has another shape than the configuration says.
    #[error("{}: tensor `{name}` has shape {found:?}, expected {expected:?}", path.display())]
    WrongShape {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        name: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A device name that means nothing, or whose support was not compiled in.
    #[error("device `{name}`: {reason}")]
    Device {
        /// The name as given.
        name: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A picture that the model cannot be shown.
    #[error("picture `{name}`: {reason}")]
    Picture {
        /// The name its giver knows it by.
        name: String,
        /// What is wrong, and what helps.
        reason: String,
    },
    /// Text could not be tokenised, or ids not decoded.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// The chat template failed.
    #[error("chat template: {0}")]
    ChatTemplate(String),
    /// As many requests wait as may: ask again later.
    #[error("busy: {pending} requests are being served or wait, and {limit} may")]
    Busy {
        /// Requests that have not ended.
        pending: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The pictures of those that wait fill their memory: ask again later.
    #[error("busy: the pictures of other requests take {bytes} bytes, and {limit} may be taken")]
    PicturesBusy {
        /// Bytes of requests that have not ended.
        bytes: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The engine that serves a model failed.
    #[error("engine: {0}")]
    Engine(String),
    /// A request that cannot be served: an empty prompt, one longer than the
    /// context, a sampling parameter out of range.
    #[error("`{field}`: {reason}")]
    Request {
        /// The parameter.
        field: &'static str,
        /// Why it is refused.
        reason: String,
    },
}

impl ModelError {
    /// A stable code for API answers and logs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "model_io",
            Self::Malformed { .. } => "model_file_malformed",
            Self::UnknownArchitecture { .. } => "model_architecture_unknown",
            Self::Config { .. } => "model_config_invalid",
            Self::MissingTensor { .. } => "model_tensor_missing",
            Self::WrongShape { .. } => "model_tensor_shape",
            Self::Device { .. } => "model_device_unavailable",
            Self::Picture { .. } => "model_picture",
            Self::Tokenizer(_) => "model_tokenizer",
            Self::ChatTemplate(_) => "model_chat_template",
            Self::Busy { .. } | Self::PicturesBusy { .. } => "model_busy",
            Self::Engine(_) => "model_engine",
            Self::Request { .. } => "model_request_invalid",
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }

    pub(crate) fn malformed(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// This crate's result.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;
