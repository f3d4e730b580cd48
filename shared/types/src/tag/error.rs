//! Why a tag is not a valid call.

/// A tag's fault. [`TagError::code`] is stable; the message is a sentence for
/// people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    #[error("The tag was never closed with </imgen>.")]
    Unclosed,
    #[error("A string in the tag was never closed.")]
    UnclosedString,
    #[error("The tag is longer than {max_bytes} bytes.")]
    TooLarge { max_bytes: usize },
    #[error("The tag is nested deeper than {max_depth} levels.")]
    TooDeep { max_depth: usize },
    #[error("The tag is not a dictionary literal: expected {expected}.")]
    Malformed { expected: &'static str },
    #[error("The tag has no `{key}`.")]
    MissingKey { key: &'static str },
    #[error("The tag has `{key}`, which does not belong in {place}.")]
    UnknownKey { key: String, place: &'static str },
    #[error("The tag has `{key}` more than once.")]
    DuplicateKey { key: String },
    #[error("`{key}` must be {expected}.")]
    WrongType {
        key: &'static str,
        expected: &'static str,
    },
    #[error("`{source_name}` is no tool; the tools are search, diffusion, code and edit.")]
    UnknownSource { source_name: String },
    #[error("`{key}` is empty.")]
    Empty { key: &'static str },
    #[error("There is no image {index}: {available} came before this tag.")]
    IndexOutOfRange { index: usize, available: usize },
}

impl TagError {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unclosed => "unclosed_tag",
            Self::UnclosedString => "unclosed_string",
            Self::TooLarge { .. } => "tag_too_large",
            Self::TooDeep { .. } => "tag_too_deep",
            Self::Malformed { .. } => "malformed_tag",
            Self::MissingKey { .. } => "missing_key",
            Self::UnknownKey { .. } => "unknown_key",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::WrongType { .. } => "wrong_type",
            Self::UnknownSource { .. } => "unknown_source",
            Self::Empty { .. } => "empty_value",
            Self::IndexOutOfRange { .. } => "index_out_of_range",
        }
    }
}
