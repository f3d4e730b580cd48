//! Lists (CommonMark 0.31, 5.2 and 5.3).

use super::block::{Block, continues_lazily, dedent, indent, inside, is_blank, parse};

/// What begins an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marker {
    /// `-`, `*`, `+`, or what follows the number: `.`, `)`.
    kind: u8,
    number: Option<u64>,
    /// Columns from the line's start to the item's text.
    width: usize,
    empty: bool,
}

impl Marker {
    pub fn read(line: &str) -> Option<Self> {
        let before = indent(line);
        let text = line.trim_start();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let kind = *text.as_bytes().get(digits)?;
        let number = match (digits, kind) {
            (0, b'-' | b'*' | b'+') => None,
            (1..=9, b'.' | b')') => Some(text[..digits].parse().ok()?),
            _ => return None,
        };
        let rest = &text[digits + 1..];
        let empty = is_blank(rest);
        if before >= 4 || !(empty || rest.starts_with([' ', '\t'])) {
            return None;
        }
        let gap = indent(rest);
        // Five columns or more are one, and indented code after it.
        let gap = if empty || gap > 4 { 1 } else { gap };
        Some(Self {
            kind,
            number,
            width: before + digits + 1 + gap,
            empty,
        })
    }

    /// Only an item with text, and only the number 1, may end a paragraph.
    pub const fn interrupts_paragraph(&self) -> bool {
        !self.empty && matches!(self.number, None | Some(1))
    }

    /// Nothing follows it on its line.
    pub const fn is_empty(&self) -> bool {
        self.empty
    }

    const fn same_list(&self, other: &Self) -> bool {
        self.kind == other.kind && self.number.is_some() == other.number.is_some()
    }
}

/// The list that begins with the first line, and how many lines it has.
pub fn read<'a>(lines: &[&'a str], depth: usize) -> (Block<'a>, usize) {
    let mut items = Vec::new();
    let mut tight = true;
    let mut at = 0;
    let mut first: Option<Marker> = None;
    while let Some(marker) = lines.get(at).and_then(|line| Marker::read(line)) {
        let same = first.is_none_or(|first| first.same_list(&marker));
        if !same || (at > 0 && is_rule_like(lines[at])) {
            break;
        }
        first = first.or(Some(marker));
        let (item, used) = item(&lines[at..], marker);
        let blocks = parse(&item, depth + 1);
        tight &= !blank_between(&item, &blocks);
        items.push(blocks.into_iter().map(|(_, block)| block).collect());
        at += used;
        let blank = lines[at..].iter().take_while(|line| is_blank(line)).count();
        let goes_on = lines
            .get(at + blank)
            .and_then(|line| Marker::read(line))
            .is_some_and(|next| marker.same_list(&next));
        if !goes_on {
            break;
        }
        if !is_rule_like(lines[at + blank]) {
            tight &= blank == 0;
            at += blank;
        }
    }
    let start = first.and_then(|marker| marker.number);
    let list = Block::List {
        start,
        tight,
        items,
    };
    (list, at)
}

/// `* * *` is a rule, not an item.
fn is_rule_like(line: &str) -> bool {
    matches!(inside(&[line], usize::MAX).as_slice(), [Block::Rule])
}

/// The lines of one item without their indent, and how many they are.
fn item<'a>(lines: &[&'a str], marker: Marker) -> (Vec<&'a str>, usize) {
    let text = lines[0].trim_start();
    let after = marker.width.min(indent(lines[0]) + text.len()) - indent(lines[0]);
    let mut inner = vec![text.get(after..).unwrap_or("")];
    for line in &lines[1..] {
        if is_blank(line) {
            // An item cannot begin with a blank line and then go on.
            if inner.len() == 1 && marker.empty {
                break;
            }
            inner.push("");
        } else if indent(line) >= marker.width {
            inner.push(dedent(line, marker.width));
        } else if continues_lazily(&inner, line) {
            inner.push(line.trim_start());
        } else {
            break;
        }
    }
    while inner.len() > 1 && is_blank(inner[inner.len() - 1]) {
        inner.pop();
    }
    let length = inner.len();
    (inner, length)
}

/// Whether a blank line stands between two blocks of an item.
fn blank_between(lines: &[&str], blocks: &[(usize, Block<'_>)]) -> bool {
    blocks
        .iter()
        .skip(1)
        .any(|(line, _)| is_blank(lines[line - 1]))
}
