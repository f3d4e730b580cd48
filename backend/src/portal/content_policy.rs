//! The content security policy of the portal's page.
//!
//! Scripts and styles come from our own files. A script or style that stands
//! in the page itself (it sets the colour scheme before the first paint) is
//! allowed by the hash of its text, so nothing that is injected later runs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The policy for this page.
#[must_use]
pub fn of(html: &str) -> String {
    let scripts = hashes(html, "script");
    let styles = hashes(html, "style");
    format!(
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'{scripts}; style-src 'self'{styles}; \
         img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    )
}

/// ` 'sha256-…'` of every element of this name that has a text of its own.
fn hashes(html: &str, name: &str) -> String {
    let (opening, closing) = (format!("<{name}"), format!("</{name}>"));
    let mut sources = String::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once(&opening) {
        let Some((element, following)) = after.split_once(&closing) else {
            break;
        };
        rest = following;
        let Some((_, text)) = element.split_once('>') else {
            continue;
        };
        if !text.is_empty() {
            let hash = STANDARD.encode(Sha256::digest(text));
            sources.push_str(&format!(" 'sha256-{hash}'"));
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inline_texts_are_allowed_by_hash_and_files_by_origin() {
        let policy =
            of("<script src=\"/a.js\"></script><script>alert(1)</script><style>b{}</style>");
        let hash = STANDARD.encode(Sha256::digest("alert(1)"));
        assert!(
            policy.contains(&format!("'wasm-unsafe-eval' 'sha256-{hash}';")),
            "{policy}"
        );
        assert_eq!(policy.matches("sha256-").count(), 2);
        assert!(!policy.contains("unsafe-inline"));
    }
}
