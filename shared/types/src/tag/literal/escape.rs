//! Backslash escapes of Python and JSON strings.

/// What a backslash and its followers stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// This character.
    Char(char),
    /// Nothing: a line continued.
    Nothing,
    /// Themselves: no known escape.
    Kept,
}

/// Reads the escape that starts with the backslash at `at`: what it means and
/// how many bytes it takes. None when more text is needed to tell.
/// `json` decides `\/`, the one escape that the two languages read otherwise.
pub(super) fn escape(text: &str, at: usize, json: bool) -> Option<(Escape, usize)> {
    let rest = text.as_bytes().get(at..)?;
    let simple = |character| Some((Escape::Char(character), 2));
    match *rest.get(1)? {
        b'\n' => Some((Escape::Nothing, 2)),
        b'\r' => match rest.get(2)? {
            b'\n' => Some((Escape::Nothing, 3)),
            _ => Some((Escape::Nothing, 2)),
        },
        b'\\' => simple('\\'),
        b'\'' => simple('\''),
        b'"' => simple('"'),
        b'/' if json => simple('/'),
        b'a' => simple('\x07'),
        b'b' => simple('\x08'),
        b'f' => simple('\x0c'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'v' => simple('\x0b'),
        b'0'..=b'7' => octal(rest),
        b'x' => hex(rest, 2).map(|value| character(value, 4)),
        b'U' => hex(rest, 8).map(|value| character(value, 10)),
        b'u' => utf16(rest),
        _ => Some((Escape::Kept, 1)),
    }
}

fn octal(rest: &[u8]) -> Option<(Escape, usize)> {
    let is_octal = |b: &&u8| (b'0'..=b'7').contains(*b);
    let digits = rest[1..].iter().take(3).take_while(is_octal).count();
    if digits < 3 && rest.len() == 1 + digits {
        return None;
    }
    let value = rest[1..=digits]
        .iter()
        .fold(0, |value, digit| value * 8 + u32::from(digit - b'0'));
    Some(character(Some(value), 1 + digits))
}

/// The value of `count` digits after the letter; the inner None when they are
/// no digits, the outer when there is not enough text.
#[allow(clippy::option_option)]
fn hex(rest: &[u8], count: usize) -> Option<Option<u32>> {
    let mut value: u32 = 0;
    for index in 0..count {
        let digit = char::from(*rest.get(2 + index)?).to_digit(16);
        match digit {
            Some(digit) => value = value.wrapping_shl(4) | digit,
            None => return Some(None),
        }
    }
    Some(Some(value))
}

fn character(value: Option<u32>, length: usize) -> (Escape, usize) {
    match value.and_then(char::from_u32) {
        Some(character) => (Escape::Char(character), length),
        None => (Escape::Kept, 1),
    }
}

/// `\uXXXX`; a high surrogate takes the low one after it along.
fn utf16(rest: &[u8]) -> Option<(Escape, usize)> {
    let Some(unit) = hex(rest, 4)? else {
        return Some((Escape::Kept, 1));
    };
    if let Some(character) = char::from_u32(unit) {
        return Some((Escape::Char(character), 6));
    }
    let alone = Some((Escape::Char(char::REPLACEMENT_CHARACTER), 6));
    if unit >= 0xDC00 {
        return alone;
    }
    for (index, wanted) in [(6, b'\\'), (7, b'u')] {
        if *rest.get(index)? != wanted {
            return alone;
        }
    }
    match hex(&rest[6..], 4)? {
        Some(low @ 0xDC00..=0xDFFF) => {
            let scalar = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            let character = char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER);
            Some((Escape::Char(character), 12))
        }
        _ => alone,
    }
}
