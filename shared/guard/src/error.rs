//! Why something from outside was not taken.

use std::time::Duration;

use crate::address::Inside;

/// Why a URL was not fetched. Messages hold no secret: URLs are redacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error("the address is not a URL")]
    NotAUrl,
    #[error("addresses of the kind `{0}:` are not fetched; use http or https")]
    Scheme(String),
    #[error("an address with a user name or password is not fetched")]
    Credentials,
    #[error("{host} is inside this network ({}), and pictures are fetched from public addresses only; ILLUMINE_FETCH_ALLOW lists exceptions", .why.as_str())]
    Inside { host: String, why: Inside },
    #[error("{0} is a name inside this network; ILLUMINE_FETCH_ALLOW lists exceptions")]
    InsideName(String),
    #[error("{0} has no address")]
    Unresolved(String),
    #[error("more than {0} redirects")]
    Redirects(usize),
    #[error("a redirect without a usable address")]
    BadRedirect,
    #[error("{host} answered {status}")]
    Status {
        host: String,
        status: u16,
        retry_after: Option<Duration>,
    },
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    #[error("{0} took too long")]
    Timeout(String),
    #[error("the connection to {0} failed")]
    Connection(String),
}

impl FetchError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAUrl => "url_invalid",
            Self::Scheme(_) => "url_scheme",
            Self::Credentials => "url_credentials",
            Self::Inside { .. } | Self::InsideName(_) => "url_private",
            Self::Unresolved(_) => "url_unresolved",
            Self::Redirects(_) | Self::BadRedirect => "url_redirect",
            Self::Status { .. } => "url_status",
            Self::TooLarge(_) => "url_too_large",
            Self::Timeout(_) => "url_timeout",
            Self::Connection(_) => "url_unreachable",
        }
    }

    /// Whether it was refused for safety, whatever the server would have said.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Scheme(_) | Self::Credentials | Self::Inside { .. } | Self::InsideName(_)
        )
    }

    /// Whether another try may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Timeout(_) | Self::Connection(_) => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// Why bytes were not taken as a picture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error("the file is empty")]
    Empty,
    #[error("the file is {bytes} bytes, more than {limit}")]
    TooManyBytes { bytes: usize, limit: usize },
    #[error("the file is not a PNG, JPEG, WebP or GIF picture")]
    Unsupported,
    #[error("the picture is {width} × {height} pixels, more than {limit} in all")]
    TooManyPixels { width: u32, height: u32, limit: u64 },
    #[error("the animation has more frames than may be decoded")]
    TooManyFrames,
    #[error("the picture is broken: {0}")]
    Broken(String),
}

impl PictureError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "picture_empty",
            Self::TooManyBytes { .. } => "picture_too_large",
            Self::Unsupported => "picture_unsupported",
            Self::TooManyPixels { .. } | Self::TooManyFrames => "picture_too_many_pixels",
            Self::Broken(_) => "picture_broken",
        }
    }
}
