//! Addresses without what must not be shown.

use url::Url;

/// A URL for logs and messages: no user, no password, no query values, no
/// fragment. What is no URL is not shown at all.
#[must_use]
pub fn redact(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "(not a URL)".into(), |url| redact_url(&url))
}

pub(crate) fn redact_url(url: &Url) -> String {
    let mut shown = format!("{}://", url.scheme());
    shown.push_str(url.host_str().unwrap_or_default());
    if let Some(port) = url.port() {
        shown.push_str(&format!(":{port}"));
    }
    shown.extend(url.path().chars().take(200));
    if url.query().is_some() {
        shown.push_str("?…");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_left() {
        let shown =
            redact("https://user:hunter2@host.example:8443/a/b?api_key=s3cr3t&q=cat#s3cr3t");
        assert_eq!(shown, "https://host.example:8443/a/b?…");
        assert_eq!(redact("s3cr3t without scheme"), "(not a URL)");
    }
}
