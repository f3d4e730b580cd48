//! From an address to a file below the portal's folder, and no other.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// Fewest hexadecimal digits that count as a hash.
const HASH: usize = 8;

/// The path below the folder; `None` for anything that could leave it, or
/// that names a hidden file.
#[must_use]
pub fn relative(address: &str) -> Option<PathBuf> {
    let decoded = percent_decode_str(address).decode_utf8().ok()?;
    let mut relative = PathBuf::new();
    for part in decoded.split('/').filter(|part| !part.is_empty()) {
        let is_plain = !part.starts_with('.') && !part.contains(['\\', '\0', ':']);
        if !is_plain {
            return None;
        }
        relative.push(part);
    }
    Some(relative)
}

/// Whether the file's name changes with its content, e.g.
/// `portal-9f86d081884c7d65.js`.
#[must_use]
pub fn has_hash(file: &Path) -> bool {
    let name = file
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    name.split(['-', '_', '.']).any(|part| {
        part.len() >= HASH
            && part.bytes().all(|b| b.is_ascii_hexdigit())
            && part.bytes().any(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_folder() {
        for bad in [
            "/../etc/passwd",
            "/a/..%2f..%2fb",
            "/%2e%2e/x",
            "/.env",
            "/a\\..\\b",
            "/a%00b",
            "/c:/x",
        ] {
            assert_eq!(relative(bad), None, "{bad}");
        }
        assert_eq!(relative("//a//b.js").unwrap(), Path::new("a/b.js"));
        assert_eq!(relative("/").unwrap(), Path::new(""));
    }

    #[test]
    fn hashes_are_told_from_words() {
        for (name, expected) in [
            ("portal-9f86d081884c7d65.js", true),
            ("portal-9f86d081_bg.wasm", true),
            ("assets/style.9f86d081.css", true),
            ("favicon.svg", false),
            ("deadbeef.txt", false),
            ("portal.js", false),
        ] {
            assert_eq!(has_hash(Path::new(name)), expected, "{name}");
        }
    }
}
