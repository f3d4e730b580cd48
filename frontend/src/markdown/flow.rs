//! Markdown that grows: split into top-level pieces, of which only the last
//! few can still change, so that a long document is not rendered again for
//! every word.

use std::sync::Arc;

use super::block;

/// Pieces that may still change when more text comes. The last one can grow;
/// the one before can be continued (a list after a blank line).
const OPEN_PIECES: usize = 2;

/// Growing Markdown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextFlow {
    /// Pieces that no later text can change.
    settled: Vec<Arc<str>>,
    /// What comes after them.
    tail: String,
}

impl TextFlow {
    pub fn new(markdown: &str) -> Self {
        let mut flow = Self::default();
        flow.push(markdown);
        flow
    }

    /// Appends text.
    pub fn push(&mut self, delta: &str) {
        self.tail.push_str(delta);
        // A piece can only end where a line does.
        if !delta.contains('\n') {
            return;
        }
        let starts = piece_starts(&self.tail);
        let Some(open) = starts.len().checked_sub(OPEN_PIECES).filter(|n| *n > 0) else {
            return;
        };
        for pair in starts[..=open].windows(2) {
            self.settled.push(Arc::from(&self.tail[pair[0]..pair[1]]));
        }
        self.tail.drain(..starts[open]);
    }

    /// The top-level pieces as they are now, in order; together they are the text.
    pub fn pieces(&self) -> Vec<Arc<str>> {
        let starts = piece_starts(&self.tail);
        let ends = starts.iter().skip(1).copied().chain([self.tail.len()]);
        let open = starts
            .iter()
            .zip(ends)
            .map(|(start, end)| Arc::from(&self.tail[*start..end]));
        self.settled.iter().cloned().chain(open).collect()
    }

    /// All text so far.
    pub fn source(&self) -> String {
        let mut source: String = self.settled.iter().map(AsRef::as_ref).collect();
        source.push_str(&self.tail);
        source
    }
}

/// Where each top-level piece begins; the first at 0, none for blank text.
fn piece_starts(text: &str) -> Vec<usize> {
    let mut line_starts = vec![0];
    line_starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
    let lines: Vec<&str> = text.lines().collect();
    let blocks = block::parse(&lines, 0);
    let mut starts: Vec<usize> = blocks.iter().map(|(line, _)| line_starts[*line]).collect();
    if let Some(first) = starts.first_mut() {
        *first = 0;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markdown::to_html;

    const TEXTS: &[&str] = &[
        "# Title\n\nA paragraph\nof two lines.\n\nAnother *one*.\n\n## Next\n\nText.",
        "- a\n- b\n\n- c\n\nAfter.\n\n1. one\n\n2. two\n\nEnd\n",
        "| a | b |\n|---|---|\n| 1 | 2 |\n\nafter\n\n```python\nx = '''\n\n# no\n'''\n```\n\nend",
        "Setext\n======\n\nbody\n\n> quote\n> more\n\nlast\n\n---\n\nreally last",
        "   - indented list\n     with text\n\n   - more\n\n\n\nCafé — ünïcode\n\nok",
        "para\n- list right after\n\n    code?\n\npara\n\n<div>\nhtml\n\n*text*",
        "",
        "\n\n",
    ];

    fn html(flow: &TextFlow) -> String {
        flow.pieces().iter().map(|piece| to_html(piece)).collect()
    }

    #[test]
    fn growing_letter_by_letter_shows_what_the_whole_shows() {
        for text in TEXTS {
            let mut flow = TextFlow::default();
            for letter in text.chars() {
                flow.push(&letter.to_string());
            }
            assert_eq!(flow.source(), *text);
            assert_eq!(html(&flow), to_html(text), "{text:?}");
            assert_eq!(html(&TextFlow::new(text)), to_html(text), "{text:?}");
        }
    }

    #[test]
    fn settled_pieces_never_change() {
        for text in TEXTS {
            let mut flow = TextFlow::default();
            let mut before: Vec<Arc<str>> = Vec::new();
            for letter in text.chars() {
                flow.push(&letter.to_string());
                assert_eq!(flow.settled[..before.len()], before[..]);
                before.clone_from(&flow.settled);
            }
        }
    }

    #[test]
    fn a_long_text_keeps_a_short_tail() {
        let mut flow = TextFlow::default();
        for n in 0..1_000 {
            flow.push(&format!("Paragraph {n}.\n\n"));
        }
        assert!(flow.tail.len() < 100);
        assert_eq!(flow.pieces().len(), 1_000);
    }
}
