//! Identifiers. A job and the document it yields share one id.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::job::JobKind;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id: expected {expected}")]
pub struct InvalidId {
    pub text: String,
    pub expected: &'static str,
}

const ULID_LENGTH: usize = 26;

pub(crate) fn is_ulid(text: &str) -> bool {
    // Crockford base 32: no I, L, O, U.
    text.len() == ULID_LENGTH
        && text
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'H' | b'J' | b'K' | b'M' | b'N' | b'P'..=b'T' | b'V'..=b'Z'))
}

/// Identifier of a job: a kind's prefix and a ULID, e.g. `gen_01J9Z…`.
/// Sorting by it sorts by time of creation.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

impl JobId {
    /// Reads an id from outside.
    ///
    /// # Errors
    /// [`InvalidId`] if the prefix or the ULID is not one of ours.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            text: text.chars().take(64).collect(),
            expected: "a prefix (gen_, drw_, bat_, run_, evl_) and 26 characters of a ULID",
        };
        let (prefix, ulid) = text.split_once('_').ok_or_else(invalid)?;
        if JobKind::from_prefix(prefix).is_none() || !is_ulid(ulid) {
            return Err(invalid());
        }
        Ok(Self(text.to_owned()))
    }

    /// A fresh id for a job of this kind.
    #[cfg(feature = "generate")]
    #[must_use]
    pub fn generate(kind: JobKind) -> Self {
        Self(format!("{}_{}", kind.prefix(), ulid::Ulid::new()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The kind that the prefix names.
    #[must_use]
    pub fn kind(&self) -> JobKind {
        let prefix = self.0.split('_').next().unwrap_or_default();
        JobKind::from_prefix(prefix).unwrap_or(JobKind::Generation)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl std::str::FromStr for JobId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

/// Name of stored bytes by their content: 64 hexadecimal digits of a SHA-256,
/// a dot and an extension, e.g. `9f86….png`. Images and inputs are named so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct BlobKey(String);

impl BlobKey {
    /// # Errors
    /// [`InvalidId`] unless the text is `<64 hex digits>.<1 to 5 letters>`.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId {
            text: text.chars().take(80).collect(),
            expected: "64 hexadecimal digits, a dot and an extension",
        };
        let (hash, extension) = text.split_once('.').ok_or_else(invalid)?;
        let hash_ok = hash.len() == 64
            && hash
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let extension_ok = (1..=5).contains(&extension.len())
            && extension
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if hash_ok && extension_ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(invalid())
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The extension, without its dot.
    #[must_use]
    pub fn extension(&self) -> &str {
        self.0
            .split_once('.')
            .map_or("", |(_, extension)| extension)
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for BlobKey {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl From<BlobKey> for String {
    fn from(key: BlobKey) -> Self {
        key.0
    }
}

/// Identifier of an API key: `key_` and a ULID. Not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ApiKeyId(pub String);

impl ApiKeyId {
    #[cfg(feature = "generate")]
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("key_{}", ulid::Ulid::new()))
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_from_outside_are_checked() {
        assert!(JobId::parse("gen_01J9ZD1N7H0000000000000000").is_ok());
        for bad in [
            "",
            "gen_",
            "gen_01J9ZD1N7H000000000000000",
            "foo_01J9ZD1N7H0000000000000000",
            "gen_01J9ZD1N7H00000000000000/0",
            "gen_../../../../../../../../../",
        ] {
            assert!(JobId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn blob_keys_cannot_leave_their_folder() {
        let hash = "a".repeat(64);
        assert_eq!(
            BlobKey::parse(&format!("{hash}.png")).unwrap().extension(),
            "png"
        );
        for bad in [
            hash.clone(),
            format!("{hash}./x"),
            format!("../{hash}.png"),
            format!("{hash}.PNG"),
        ] {
            assert!(BlobKey::parse(&bad).is_err(), "{bad}");
        }
    }

    #[cfg(feature = "generate")]
    #[test]
    fn generated_ids_parse_and_know_their_kind() {
        let id = JobId::generate(JobKind::Batch);
        assert_eq!(JobId::parse(id.as_str()).unwrap().kind(), JobKind::Batch);
    }
}
