//! A URL that may be fetched, as far as its text can tell.

use std::net::IpAddr;

use url::{Host, Url};

use crate::address::inside;
use crate::{Allow, FetchError};

/// Names that never mean a public host (RFC 6761, RFC 6762, RFC 8375, ICANN's
/// `internal`, clouds' metadata names).
const INSIDE_SUFFIXES: &[&str] = &[
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "lan",
    "home.arpa",
    "test",
    "invalid",
];

/// One hop of a fetch.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub url: Url,
    /// As in the URL, without a trailing dot; `[…]` around IPv6.
    pub host: String,
    pub port: u16,
    /// Whether the allow list names it: its addresses are not judged.
    pub allowed: bool,
    /// When the host is an address itself.
    pub literal: Option<IpAddr>,
}

impl Target {
    /// The URL standard's parser turns decimal, octal, hexadecimal and short
    /// IPv4 notations, full-width digits and percent-escapes into one address,
    /// so what is judged here is what would be connected to.
    pub(crate) fn check(mut url: Url, allow: &Allow) -> Result<Self, FetchError> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Scheme(url.scheme().chars().take(20).collect()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Credentials);
        }
        let port = url.port_or_known_default().ok_or(FetchError::NotAUrl)?;
        let undotted = match url.host() {
            Some(Host::Domain(name)) if name.ends_with('.') => {
                Some(name.trim_end_matches('.').to_owned())
            }
            _ => None,
        };
        if let Some(name) = undotted {
            url.set_host(Some(&name)).map_err(|_| FetchError::NotAUrl)?;
        }
        let host = url.host_str().ok_or(FetchError::NotAUrl)?.to_owned();
        let allowed = allow.contains(&host, port);
        let literal = match url.host().ok_or(FetchError::NotAUrl)? {
            Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
            Host::Ipv6(v6) => Some(IpAddr::V6(v6)),
            Host::Domain(name) if !allowed && is_inside_name(name) => {
                return Err(FetchError::InsideName(host));
            }
            Host::Domain(_) => None,
        };
        let target = Self {
            url,
            host,
            port,
            allowed,
            literal,
        };
        if let Some(address) = literal {
            target.judge(address)?;
        }
        Ok(target)
    }

    /// Whether an address of this host may be connected to.
    pub(crate) fn judge(&self, address: IpAddr) -> Result<(), FetchError> {
        match inside(address) {
            Some(why) if !self.allowed => Err(FetchError::Inside {
                host: self.host.clone(),
                why,
            }),
            _ => Ok(()),
        }
    }
}

fn is_inside_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    INSIDE_SUFFIXES.iter().any(|suffix| {
        name.strip_suffix(suffix)
            .is_some_and(|front| front.is_empty() || front.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str) -> Result<Target, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::NotAUrl)?;
        Target::check(url, &Allow::default())
    }

    #[test]
    fn hostile_urls_are_refused_by_their_text() {
        let table = [
            ("file:///etc/passwd", "url_scheme"),
            ("ftp://example.com/a.png", "url_scheme"),
            ("gopher://127.0.0.1:6379/_FLUSHALL", "url_scheme"),
            ("data:image/png;base64,AAAA", "url_scheme"),
            ("javascript:alert(1)", "url_scheme"),
            ("http://user@example.com/", "url_credentials"),
            ("http://user:pw@example.com/", "url_credentials"),
            ("http://example.com@127.0.0.1/", "url_credentials"),
            ("http://127.0.0.1/", "url_private"),
            ("http://127.1/", "url_private"),
            ("http://127.0.0.1./", "url_private"),
            ("http://2130706433/", "url_private"),
            ("http://0x7f000001/", "url_private"),
            ("http://0x7f.0x0.0x0.0x1/", "url_private"),
            ("http://017700000001/", "url_private"),
            ("http://0177.0.0.01/", "url_private"),
            ("http://%31%32%37.0.0.1/", "url_private"),
            ("http://１２７.０.０.１/", "url_private"),
            ("http://127。0。0。1/", "url_private"),
            ("http://0/", "url_private"),
            ("http://0.0.0.0/", "url_private"),
            ("http://10.1/", "url_private"),
            ("http://192.168.257/", "url_private"),
            ("http://3232235777/", "url_private"),
            ("http://169.254.169.254/latest/meta-data/", "url_private"),
            ("http://2852039166/", "url_private"),
            ("http://[::1]/", "url_private"),
            ("http://[::]/", "url_private"),
            ("http://[::ffff:127.0.0.1]/", "url_private"),
            ("http://[::ffff:7f00:1]/", "url_private"),
            ("http://[0:0:0:0:0:ffff:169.254.169.254]/", "url_private"),
            ("http://[::127.0.0.1]/", "url_private"),
            ("http://[64:ff9b::127.0.0.1]/", "url_private"),
            ("http://[2002:7f00:1::]/", "url_private"),
            ("http://[fd00:ec2::254]/", "url_private"),
            ("http://[fe80::1]/", "url_private"),
            ("http://localhost/", "url_private"),
            ("http://LOCALHOST:8080/", "url_private"),
            ("http://localhost./", "url_private"),
            ("http://localhost../", "url_invalid|url_private"),
            ("http://a.localhost/", "url_private"),
            ("http://ⓛocalhost/", "url_private"),
            ("http://metadata.google.internal/", "url_private"),
            ("http://printer.local/", "url_private"),
            ("http://", "url_invalid"),
            ("http:///", "url_invalid"),
            ("http://[::1", "url_invalid"),
            ("http://[fe80::1%25eth0]/", "url_invalid"),
            ("http://256.256.256.256/", "url_invalid"),
            ("http://example.com:99999/", "url_invalid"),
            ("//example.com/a.png", "url_invalid"),
            ("", "url_invalid"),
        ];
        for (url, expected) in table {
            let code = check(url).map(|target| target.url).unwrap_err().code();
            assert!(expected.split('|').any(|one| one == code), "{url}: {code}");
        }
    }

    #[test]
    fn public_urls_pass_and_lose_their_trailing_dot() {
        for url in [
            "http://8.8.8.8/a",
            "https://example.com/a?b",
            "http://localhosting.com/",
        ] {
            check(url).unwrap();
        }
        assert_eq!(check("https://example.com./x").unwrap().host, "example.com");
    }

    #[test]
    fn what_is_allowed_is_allowed_by_host_and_port() {
        let allow = Allow::parse(&["127.0.0.1:9000", "mirror.internal:80"]).unwrap();
        let check = |url: &str| Target::check(Url::parse(url).unwrap(), &allow);
        assert!(check("http://127.0.0.1:9000/a").unwrap().allowed);
        assert!(check("http://2130706433:9000/a").unwrap().allowed);
        assert!(check("http://mirror.internal/a").unwrap().allowed);
        assert!(check("http://127.0.0.1:9001/a").is_err());
        assert!(check("https://mirror.internal/a").is_err());
        assert!(check("ftp://mirror.internal:80/a").is_err());
    }
}
