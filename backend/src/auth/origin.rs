//! Where a browser's request comes from (against cross-site request forgery).
//!
//! Browsers say it themselves in `Sec-Fetch-Site`, older ones in `Origin`;
//! neither header can be set by a page's script.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap};

use crate::error::{ApiError, Result};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Site {
    Own,
    Other,
    /// Neither header: not a browser, or a very old one.
    Unsaid,
}

fn site(headers: &HeaderMap) -> Site {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(said) = text("sec-fetch-site") {
        return match said {
            "same-origin" | "none" => Site::Own,
            _ => Site::Other,
        };
    }
    let Some(origin) = text(header::ORIGIN.as_str()) else {
        return Site::Unsaid;
    };
    let origin_host = origin.split_once("://").map(|(_, host)| host);
    match (origin_host, text(header::HOST.as_str())) {
        (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host) => Site::Own,
        _ => Site::Other,
    }
}

/// # Errors
/// 403 unless the browser says that our own page asks.
pub fn require_own_site(headers: &HeaderMap) -> Result<()> {
    match site(headers) {
        Site::Own => Ok(()),
        Site::Other => Err(ApiError::CrossOrigin(
            "another site's page made this request",
        )),
        Site::Unsaid => Err(ApiError::CrossOrigin(
            "a session's cookie needs `Sec-Fetch-Site` or `Origin` with what changes something; programs send a key",
        )),
    }
}

/// # Errors
/// 403 if the browser says that another site's page asks.
pub fn refuse_other_sites(headers: &HeaderMap) -> Result<()> {
    match site(headers) {
        Site::Own | Site::Unsaid => Ok(()),
        Site::Other => Err(ApiError::CrossOrigin(
            "another site's page made this request",
        )),
    }
}

/// # Errors
/// 403 unless the `Host` header names this machine itself.
pub fn require_loopback_host(headers: &HeaderMap) -> Result<()> {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    match host {
        Some(host) if is_loopback_name(host) => Ok(()),
        _ => Err(ApiError::UntrustedHost),
    }
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn browsers_say_where_they_come_from() {
        for (pairs, expected) in [
            (&[("sec-fetch-site", "same-origin")][..], Site::Own),
            (
                &[("sec-fetch-site", "cross-site"), ("origin", "http://a")],
                Site::Other,
            ),
            (&[("sec-fetch-site", "same-site")], Site::Other),
            (&[("origin", "http://a:1"), ("host", "a:1")], Site::Own),
            (&[("origin", "http://a:1"), ("host", "a:2")], Site::Other),
            (&[("origin", "null"), ("host", "a")], Site::Other),
            (&[("host", "a")], Site::Unsaid),
        ] {
            assert_eq!(site(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for good in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:80",
            "[::1]:80",
            "127.9.9.9",
        ] {
            assert!(is_loopback_name(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "127.0.0.1.evil.example",
        ] {
            assert!(!is_loopback_name(bad), "{bad}");
        }
    }
}
