//! Addresses let through although private.

use std::collections::BTreeSet;

use url::Url;

/// Pairs of host and port; a host is written as in a URL (`[::1]` for IPv6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow(BTreeSet<(String, u16)>);

impl Allow {
    /// Reads `host:port` entries, as in `ILLUMINE_FETCH_ALLOW`.
    ///
    /// # Errors
    /// The first entry that is none.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, String> {
        let mut allow = Self::default();
        for entry in entries.iter().map(|entry| entry.as_ref().trim()) {
            let wrong = || format!("`{entry}` is not of the form `host:port`");
            let (_, port) = entry.rsplit_once(':').ok_or_else(wrong)?;
            let port: u16 = port.parse().map_err(|_| wrong())?;
            let url = Url::parse(&format!("http://{entry}/")).map_err(|_| wrong())?;
            let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
            let host = url.host_str().filter(|_| is_bare).ok_or_else(wrong)?;
            allow.0.insert((host.to_owned(), port));
        }
        Ok(allow)
    }

    /// Lets the host and port of a configured service through as well.
    #[must_use]
    pub fn with_service(mut self, url: &str) -> Self {
        let parsed = Url::parse(url).ok();
        let pair = parsed.and_then(|url| {
            let port = url.port_or_known_default()?;
            Some((url.host_str()?.to_owned(), port))
        });
        self.0.extend(pair);
        self
    }

    #[must_use]
    pub fn contains(&self, host: &str, port: u16) -> bool {
        self.0.contains(&(host.to_owned(), port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_host_and_port() {
        let allow = Allow::parse(&["mirror.corp:8080", "[::1]:80", " 10.0.0.7:443 "]).unwrap();
        assert!(allow.contains("mirror.corp", 8080));
        assert!(allow.contains("[::1]", 80));
        assert!(allow.contains("10.0.0.7", 443));
        assert!(!allow.contains("mirror.corp", 80));
    }

    #[test]
    fn mistakes_are_named() {
        for entry in [
            "mirror.corp",
            "http://mirror:80",
            "a:b",
            ":80",
            "u@h:80",
            "h:80/x",
        ] {
            let error = Allow::parse(&[entry]).unwrap_err();
            assert!(error.contains(entry), "{error}");
        }
    }
}
