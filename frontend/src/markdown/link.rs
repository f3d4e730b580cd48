//! Which addresses a document may link to.

/// The address, if a reader may be sent there: absolute, and `http`, `https`
/// or `mailto`. Control characters and spaces, which browsers drop when they
/// read a scheme, make an address unsafe.
pub fn safe_link(address: &str) -> Option<&str> {
    let address = address.trim_matches(' ');
    if address.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let (scheme, rest) = address.split_once(':')?;
    let safe = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => rest.starts_with("//") && rest.len() > 2,
        "mailto" => !rest.is_empty(),
        _ => false,
    };
    safe.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::safe_link;

    #[test]
    fn web_and_mail_addresses_pass() {
        for good in [
            "https://example.org/a?b=c#d",
            "HTTP://example.org",
            "mailto:a@example.org",
        ] {
            assert_eq!(safe_link(good), Some(good));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\nscript:alert(1)",
            "\u{1}javascript:alert(1)",
            " javascript:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "file:///etc/passwd",
            "//evil.example",
            "/api/v1/session",
            "#top",
            "http:evil",
            "https://",
            "blob:https://example.org/x",
            "",
        ] {
            assert_eq!(safe_link(bad), None, "{bad}");
        }
    }
}
