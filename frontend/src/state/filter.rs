//! What the gallery shows, as kept in the address bar.

use illumine_types::{JobState, ToolKind};

/// Documents asked for at a time.
pub const PAGE_SIZE: usize = 24;

/// All that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub words: String,
    pub status: Option<JobState>,
    pub tool: Option<ToolKind>,
    pub mine: bool,
}

impl Filter {
    /// Reads the address bar; what it does not know is left out.
    pub fn from_query(get: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            words: get("q").unwrap_or_default(),
            status: get("status").and_then(|word| JobState::parse(&word)),
            tool: get("tool").and_then(|word| ToolKind::parse(&word)),
            mine: get("mine").as_deref() == Some("true"),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The query, for the address bar and, with more, for the server.
    pub fn to_query(&self) -> String {
        let mut parts = Vec::new();
        if !self.words.trim().is_empty() {
            parts.push(format!("q={}", encoded(self.words.trim())));
        }
        if let Some(status) = self.status {
            parts.push(format!("status={}", status.as_str()));
        }
        if let Some(tool) = self.tool {
            parts.push(format!("tool={tool}"));
        }
        if self.mine {
            parts.push("mine=true".to_owned());
        }
        parts.join("&")
    }

    /// Path of the page of jobs at `cursor`.
    pub fn api_path(&self, cursor: Option<&str>) -> String {
        let mut path = format!("/generations?kind=generation&limit={PAGE_SIZE}");
        let query = self.to_query();
        if !query.is_empty() {
            path.push('&');
            path.push_str(&query);
        }
        if let Some(cursor) = cursor {
            path.push_str("&cursor=");
            path.push_str(&encoded(cursor));
        }
        path
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_address_bar() {
        let filter = Filter {
            words: "café & crème=1".into(),
            status: Some(JobState::Failed),
            tool: Some(ToolKind::Code),
            mine: true,
        };
        assert_eq!(
            filter.to_query(),
            "q=caf%C3%A9%20%26%20cr%C3%A8me%3D1&status=failed&tool=code&mine=true"
        );
        let read = Filter::from_query(|key| {
            let value = match key {
                "q" => "café & crème=1",
                "status" => "failed",
                "tool" => "code",
                "mine" => "true",
                _ => return None,
            };
            Some(value.to_owned())
        });
        assert_eq!(read, filter);
    }

    #[test]
    fn unknown_words_in_the_address_are_left_out() {
        let read = Filter::from_query(|_| Some("<script>".into()));
        assert_eq!((read.status, read.tool, read.mine), (None, None, false));
    }

    #[test]
    fn the_server_is_asked_for_a_page() {
        assert_eq!(
            Filter::default().api_path(Some("a=/b")),
            "/generations?kind=generation&limit=24&cursor=a%3D%2Fb"
        );
    }
}
