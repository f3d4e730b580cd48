//! Which of a file's compressed forms to send (RFC 9110, section 12.5.3).

use std::path::{Path, PathBuf};

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{self, HeaderMap};

/// How a file's bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Brotli,
    Gzip,
    Identity,
}

impl Encoding {
    /// The smallest existing form that the client takes.
    #[must_use]
    pub fn best(headers: &HeaderMap, existing: &[Self]) -> Self {
        let accepted = headers
            .get(header::ACCEPT_ENCODING)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        [Self::Brotli, Self::Gzip]
            .into_iter()
            .find(|encoding| existing.contains(encoding) && is_accepted(accepted, encoding.token()))
            .unwrap_or(Self::Identity)
    }

    const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
            Self::Identity => "identity",
        }
    }

    /// What the file's name ends in, beyond its own name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
            Self::Identity => "",
        }
    }

    /// The file that holds this form.
    #[must_use]
    pub fn file(self, file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(self.suffix());
        PathBuf::from(name)
    }

    /// Sets `Content-Encoding`.
    pub fn announce(self, response: &mut HttpResponseBuilder) {
        if self != Self::Identity {
            response.insert_header((header::CONTENT_ENCODING, self.token()));
        }
    }
}

fn is_accepted(accepted: &str, token: &str) -> bool {
    let quality = |wanted: &str| {
        accepted.split(',').find_map(|part| {
            let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
            if !name.trim().eq_ignore_ascii_case(wanted) {
                return None;
            }
            let quality = parameters.trim().strip_prefix("q=").unwrap_or("1");
            Some(quality.trim().parse::<f32>().unwrap_or(0.0))
        })
    };
    quality(token).or_else(|| quality("*")).unwrap_or(0.0) > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_and_wildcards_count() {
        for (accepted, token, expected) in [
            ("gzip, deflate, br", "br", true),
            ("gzip;q=0.5", "gzip", true),
            ("br;q=0, gzip", "br", false),
            ("", "br", false),
            ("*", "br", true),
            ("*, br;q=0", "br", false),
            ("brotli", "br", false),
        ] {
            assert_eq!(is_accepted(accepted, token), expected, "{accepted} {token}");
        }
    }
}
