//! Tables (GitHub Flavored Markdown 0.29, 4.10).

use super::block::{indent, interrupts_paragraph, is_blank};
use super::list::Marker;

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    Unset,
    Centre,
    Right,
}

/// Every row has as many cells as there are alignments.
#[derive(Debug, PartialEq)]
pub struct Table<'a> {
    pub alignments: Vec<Alignment>,
    pub head: Vec<&'a str>,
    pub rows: Vec<Vec<&'a str>>,
}

/// Whether a table begins with the first line.
pub fn begins(lines: &[&str]) -> bool {
    header(lines).is_some()
}

/// The table that begins with the first line, and how many lines it has.
pub fn read<'a>(lines: &[&'a str]) -> Option<(Table<'a>, usize)> {
    let (head, alignments) = header(lines)?;
    let rows: Vec<Vec<&str>> = lines[2..]
        .iter()
        .take_while(|line| !ends(line))
        .map(|line| {
            let mut row = cells(line);
            row.resize(alignments.len(), "");
            row
        })
        .collect();
    let length = rows.len() + 2;
    let table = Table {
        alignments,
        head,
        rows,
    };
    Some((table, length))
}

/// Whether a line is no row: any other block ends a table.
fn ends(line: &str) -> bool {
    is_blank(line)
        || indent(line) >= 4
        || interrupts_paragraph(line)
        || Marker::read(line).is_some()
}

fn header<'a>(lines: &[&'a str]) -> Option<(Vec<&'a str>, Vec<Alignment>)> {
    let [head, rule, ..] = lines else { return None };
    if !head.contains('|') || indent(head) >= 4 || indent(rule) >= 4 {
        return None;
    }
    let alignments: Option<Vec<Alignment>> = cells(rule).into_iter().map(alignment).collect();
    let alignments = alignments.filter(|_| rule.contains('-'))?;
    let head = cells(head);
    (head.len() == alignments.len()).then_some((head, alignments))
}

fn alignment(cell: &str) -> Option<Alignment> {
    let (left, right) = (cell.starts_with(':'), cell.ends_with(':'));
    let dashes = cell.trim_start_matches(':').trim_end_matches(':');
    if dashes.is_empty() || dashes.bytes().any(|byte| byte != b'-') {
        return None;
    }
    Some(match (left, right) {
        (true, true) => Alignment::Centre,
        (false, true) => Alignment::Right,
        _ => Alignment::Unset,
    })
}

/// Cuts a row at its bars; `\|` is a letter.
fn cells(row: &str) -> Vec<&str> {
    let row = row.trim();
    let row = row.strip_prefix('|').unwrap_or(row);
    let mut cells = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, letter) in row.char_indices() {
        if letter == '|' && !escaped {
            cells.push(row[start..at].trim());
            start = at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    if !row[start..].trim().is_empty() || start == 0 {
        cells.push(row[start..].trim());
    }
    cells
}
