//! Block structure (CommonMark 0.31, chapters 4 and 5).
//!
//! Reading a block depends on nothing before its first line, so that a text
//! can be cut between blocks and each piece read alone.

use super::list::{self, Marker};
use super::table;

/// Containers inside containers; deeper ones are read as text.
const MAX_DEPTH: usize = 24;

/// A block. Text is as written, its inlines unread.
#[derive(Debug, PartialEq)]
pub enum Block<'a> {
    Heading {
        level: u8,
        text: Vec<&'a str>,
    },
    Paragraph(Vec<&'a str>),
    Code {
        info: &'a str,
        lines: Vec<&'a str>,
    },
    Quote(Vec<Self>),
    List {
        /// The first number of an ordered list.
        start: Option<u64>,
        tight: bool,
        items: Vec<Vec<Self>>,
    },
    Table(table::Table<'a>),
    Rule,
}

/// Reads blocks, each with the number of its first line.
pub fn parse<'a>(lines: &[&'a str], depth: usize) -> Vec<(usize, Block<'a>)> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if is_blank(lines[at]) {
            at += 1;
            continue;
        }
        let (block, length) = next(&lines[at..], depth);
        blocks.push((at, block));
        at += length;
    }
    blocks
}

/// The blocks alone.
pub fn inside<'a>(lines: &[&'a str], depth: usize) -> Vec<Block<'a>> {
    let blocks = parse(lines, depth);
    blocks.into_iter().map(|(_, block)| block).collect()
}

/// The block that begins with the first line (not blank) and how many lines it has.
fn next<'a>(lines: &[&'a str], depth: usize) -> (Block<'a>, usize) {
    let first = lines[0];
    if indent(first) >= 4 {
        return indented_code(lines);
    }
    if let Some(fence) = Fence::opening(first) {
        return fence.code(lines);
    }
    if let Some((level, text)) = atx_heading(first) {
        let text = vec![text];
        return (Block::Heading { level, text }, 1);
    }
    if is_rule(first) {
        return (Block::Rule, 1);
    }
    if depth < MAX_DEPTH {
        if quoted(first).is_some() {
            return quote(lines, depth);
        }
        if Marker::read(first).is_some() {
            return list::read(lines, depth);
        }
    }
    if let Some((table, length)) = table::read(lines) {
        return (Block::Table(table), length);
    }
    paragraph(lines)
}

/// Whether a line ends a paragraph before it.
pub fn interrupts_paragraph(line: &str) -> bool {
    if indent(line) >= 4 {
        return false;
    }
    Fence::opening(line).is_some()
        || atx_heading(line).is_some()
        || is_rule(line)
        || quoted(line).is_some()
        || Marker::read(line).is_some_and(|marker| marker.interrupts_paragraph())
}

pub fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// Columns of white space before the first letter; a tab goes to the next fourth.
pub fn indent(line: &str) -> usize {
    let mut columns = 0;
    for byte in line.bytes() {
        match byte {
            b' ' => columns += 1,
            b'\t' => columns += 4 - columns % 4,
            _ => break,
        }
    }
    columns
}

/// The line without up to `columns` columns of white space.
pub fn dedent(line: &str, columns: usize) -> &str {
    let mut gone = 0;
    for (at, byte) in line.bytes().enumerate() {
        let width = match byte {
            b' ' => 1,
            b'\t' => 4 - gone % 4,
            _ => return &line[at..],
        };
        if gone + width > columns {
            return &line[at..];
        }
        gone += width;
    }
    ""
}

fn atx_heading(line: &str) -> Option<(u8, &str)> {
    let text = line.trim();
    let level = text.bytes().take_while(|byte| *byte == b'#').count();
    let rest = &text[level..];
    if !(1..=6).contains(&level) || !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return None;
    }
    let rest = rest.trim();
    let bare = rest.trim_end_matches('#');
    let closed = bare.is_empty() || bare.ends_with([' ', '\t']);
    let text = if closed { bare.trim_end() } else { rest };
    Some((u8::try_from(level).ok()?, text))
}

fn is_rule(line: &str) -> bool {
    let mut marks = line.chars().filter(|c| !c.is_whitespace());
    let Some(mark) = marks.next().filter(|c| matches!(c, '*' | '-' | '_')) else {
        return false;
    };
    let mut count = 1;
    marks.all(|c| {
        count += 1;
        c == mark
    }) && count >= 3
}

/// The underline of a heading written over two lines.
fn setext_level(line: &str) -> Option<u8> {
    let text = line.trim();
    if indent(line) >= 4 || text.is_empty() {
        return None;
    }
    if text.bytes().all(|byte| byte == b'=') {
        Some(1)
    } else if text.bytes().all(|byte| byte == b'-') {
        Some(2)
    } else {
        None
    }
}

fn paragraph<'a>(lines: &[&'a str]) -> (Block<'a>, usize) {
    for at in 1..lines.len() {
        let line = lines[at];
        if let Some(level) = setext_level(line) {
            let text = lines[..at].to_vec();
            return (Block::Heading { level, text }, at + 1);
        }
        let ends = is_blank(line) || interrupts_paragraph(line) || table::begins(&lines[at..]);
        if ends {
            return (Block::Paragraph(lines[..at].to_vec()), at);
        }
    }
    (Block::Paragraph(lines.to_vec()), lines.len())
}

/// What follows `>`.
fn quoted(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix('>')?;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

fn quote<'a>(lines: &[&'a str], depth: usize) -> (Block<'a>, usize) {
    let mut inner: Vec<&'a str> = Vec::new();
    for line in lines {
        let own = quoted(line).filter(|_| indent(line) < 4);
        match own {
            Some(text) => inner.push(text),
            // A paragraph may go on without its mark.
            None if continues_lazily(&inner, line) => inner.push(line.trim_start()),
            None => break,
        }
    }
    let length = inner.len();
    (Block::Quote(inside(&inner, depth + 1)), length)
}

/// Whether `line` goes on with the paragraph that `before` ends with.
pub fn continues_lazily(before: &[&str], line: &str) -> bool {
    let Some(last) = before.last() else {
        return false;
    };
    let open = !is_blank(last)
        && !is_rule(last)
        && atx_heading(last).is_none()
        && !ends_in_fence(before)
        && !Marker::read(last).is_some_and(|marker| marker.is_empty())
        && indent(last) < 4;
    let other =
        interrupts_paragraph(line) || Marker::read(line).is_some() || setext_level(line).is_some();
    open && !is_blank(line) && !other
}

/// Whether the lines end inside a fence or with its closing line.
fn ends_in_fence(lines: &[&str]) -> bool {
    let mut open: Option<Fence> = None;
    let mut last_closed = false;
    for line in lines {
        last_closed = false;
        match &open {
            Some(fence) if fence.is_closed_by(line) => {
                open = None;
                last_closed = true;
            }
            Some(_) => {}
            None => open = Fence::opening(line),
        }
    }
    open.is_some() || last_closed
}

fn indented_code<'a>(lines: &[&'a str]) -> (Block<'a>, usize) {
    let inside = |line: &&&str| is_blank(line) || indent(line) >= 4;
    let mut length = lines.iter().take_while(inside).count();
    while length > 0 && is_blank(lines[length - 1]) {
        length -= 1;
    }
    let code = lines[..length].iter().map(|line| dedent(line, 4));
    let block = Block::Code {
        info: "",
        lines: code.collect(),
    };
    (block, length)
}

/// The line that opens fenced code.
struct Fence<'a> {
    mark: u8,
    length: usize,
    indent: usize,
    info: &'a str,
}

impl<'a> Fence<'a> {
    fn opening(line: &'a str) -> Option<Self> {
        let text = line.trim_start();
        let mark = *text
            .as_bytes()
            .first()
            .filter(|b| matches!(b, b'`' | b'~'))?;
        let length = text.bytes().take_while(|byte| *byte == mark).count();
        let info = text[length..].trim();
        let real = length >= 3 && indent(line) < 4 && !(mark == b'`' && info.contains('`'));
        real.then_some(Self {
            mark,
            length,
            indent: indent(line),
            info,
        })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let text = line.trim();
        indent(line) < 4 && text.len() >= self.length && text.bytes().all(|byte| byte == self.mark)
    }

    /// An unclosed fence runs to the end.
    fn code(self, lines: &[&'a str]) -> (Block<'a>, usize) {
        let body = &lines[1..];
        let close = body.iter().position(|line| self.is_closed_by(line));
        let length = close.unwrap_or(body.len());
        let code = body[..length].iter().map(|line| dedent(line, self.indent));
        let block = Block::Code {
            info: self.info,
            lines: code.collect(),
        };
        (block, (length + 2).min(lines.len()))
    }
}
