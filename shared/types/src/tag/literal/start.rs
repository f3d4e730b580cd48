//! Where a string begins: prefix and opening quotes.

/// How a string was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) quote: u8,
    pub(super) triple: bool,
    /// `r''`: backslashes are themselves.
    pub(super) raw: bool,
    /// Bytes of prefix and quotes.
    pub(super) length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    Yes(Opening),
    No,
    NeedMore,
}

pub(super) fn string_start(bytes: &[u8], at: usize) -> Start {
    let raw = matches!(bytes.get(at), Some(b'r' | b'R'));
    let prefixed = raw || matches!(bytes.get(at), Some(b'u' | b'U'));
    let first = at + usize::from(prefixed);
    let quote = match bytes.get(first) {
        None => return Start::NeedMore,
        Some(&byte @ (b'"' | b'\'')) => byte,
        Some(_) => return Start::No,
    };
    let triple = match (bytes.get(first + 1), bytes.get(first + 2)) {
        (None, _) => return Start::NeedMore,
        (Some(&second), None) if second == quote => return Start::NeedMore,
        (Some(&second), Some(&third)) => second == quote && third == quote,
        (Some(_), None) => false,
    };
    let quotes = if triple { 3 } else { 1 };
    Start::Yes(Opening {
        quote,
        triple,
        raw,
        length: first - at + quotes,
    })
}
