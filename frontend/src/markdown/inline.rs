//! Inline structure (CommonMark 0.31, chapter 6).

use super::emphasis::{self, Node, Run};
use super::link::safe_link;
use super::{entity, escape_into};

/// Lines of text as safe HTML.
pub fn to_html(lines: &[&str]) -> String {
    let mut text = String::new();
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        // White space before a line means nothing; two spaces after it do.
        text.push_str(line.trim_start());
    }
    let text = text.trim_end();
    let mut reader = Reader {
        text,
        at: 0,
        nodes: Vec::new(),
        brackets: Vec::new(),
        unclosed_ticks: Vec::new(),
    };
    reader.read();
    emphasis::join(&mut reader.nodes, 0)
}

/// A `[` or `![` that may begin a link or a picture.
struct Bracket {
    node: usize,
    picture: bool,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    nodes: Vec<Node>,
    brackets: Vec<Bracket>,
    /// Lengths of backtick runs that nothing closes any more.
    unclosed_ticks: Vec<usize>,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(first) = self.rest().chars().next() {
            match first {
                '\\' => self.escape(),
                '`' => self.code(),
                '&' => self.entity(),
                '\n' => self.line_end(),
                '*' | '_' | '~' => self.run(first),
                '[' => self.bracket(1),
                '!' if self.rest().starts_with("![") => self.bracket(2),
                ']' => self.close_bracket(),
                '<' => self.autolink(),
                _ => self.plain(),
            }
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn push_text(&mut self, text: &str) {
        if let Some(Node::Html(html)) = self.nodes.last_mut() {
            escape_into(html, text);
            return;
        }
        let mut html = String::new();
        escape_into(&mut html, text);
        self.nodes.push(Node::Html(html));
    }

    /// Takes `length` bytes as the text they are.
    fn take(&mut self, length: usize) {
        let text = &self.text[self.at..self.at + length];
        self.at += length;
        self.push_text(text);
    }

    fn plain(&mut self) {
        let special = |c: char| "\\`&\n*_~[]!<".contains(c);
        let first = self.rest().chars().next().map_or(0, char::len_utf8);
        let more = self.rest()[first..].find(special);
        self.take(more.map_or(self.rest().len(), |more| first + more));
    }

    fn escape(&mut self) {
        let next = self.rest()[1..].chars().next();
        match next {
            Some('\n') => {
                self.at += 1;
                self.nodes.push(Node::Html("<br>".into()));
            }
            Some(mark) if mark.is_ascii_punctuation() => {
                self.at += 1;
                self.take(1);
            }
            _ => self.take(1),
        }
    }

    fn entity(&mut self) {
        match entity::read(self.rest()) {
            Some((character, length)) => {
                self.at += length;
                self.push_text(character.encode_utf8(&mut [0; 4]));
            }
            None => self.take(1),
        }
    }

    fn line_end(&mut self) {
        let hard = self.text[..self.at].ends_with("  ");
        if let Some(Node::Html(html)) = self.nodes.last_mut() {
            html.truncate(html.trim_end_matches(' ').len());
        }
        self.at += 1;
        let end = if hard { "<br>" } else { "\n" };
        self.nodes.push(Node::Html(end.into()));
    }

    fn code(&mut self) {
        let length = self.rest().bytes().take_while(|byte| *byte == b'`').count();
        let body = &self.text[self.at + length..];
        let known = self.unclosed_ticks.contains(&length);
        let close = (!known).then(|| closing_ticks(body, length)).flatten();
        let Some(close) = close else {
            self.unclosed_ticks.push(length);
            return self.take(length);
        };
        let code = body[..close].replace('\n', " ");
        let padded = code.starts_with(' ') && code.ends_with(' ') && !code.trim().is_empty();
        let code = if padded {
            &code[1..code.len() - 1]
        } else {
            &code
        };
        let mut html = String::from("<code>");
        escape_into(&mut html, code);
        html.push_str("</code>");
        self.nodes.push(Node::Html(html));
        self.at += length + close + length;
    }

    fn run(&mut self, mark: char) {
        let length = self.rest().chars().take_while(|c| *c == mark).count();
        // Strikethrough marks are looked through.
        let before = self.text[..self.at]
            .trim_end_matches('~')
            .chars()
            .next_back();
        let after = self.rest()[length..].trim_start_matches('~').chars().next();
        let (before, after) = (before.unwrap_or('\n'), after.unwrap_or('\n'));
        if mark == '~' && length > 2 {
            return self.take(length);
        }
        self.at += length;
        self.nodes
            .push(Node::Run(Run::new(mark, length, before, after)));
    }

    fn bracket(&mut self, length: usize) {
        self.brackets.push(Bracket {
            node: self.nodes.len(),
            picture: length == 2,
        });
        // A node of its own, so that a link can replace it.
        let text = if length == 2 { "![" } else { "[" };
        self.nodes.push(Node::Html(text.into()));
        self.nodes.push(Node::Html(String::new()));
        self.at += length;
    }

    fn close_bracket(&mut self) {
        let Some(bracket) = self.brackets.pop() else {
            return self.take(1);
        };
        let Some((address, length)) = target(&self.rest()[1..]) else {
            return self.take(1);
        };
        self.at += 1 + length;
        let inner = emphasis::join(&mut self.nodes, bracket.node + 1);
        self.nodes.truncate(bracket.node);
        let html = if bracket.picture {
            format!("<span class=\"md-picture\">{inner}</span>")
        } else {
            // No link inside a link.
            self.brackets.retain(|outer| outer.picture);
            anchor(&address, &inner).unwrap_or(inner)
        };
        self.nodes.push(Node::Html(html));
        self.nodes.push(Node::Html(String::new()));
    }

    fn autolink(&mut self) {
        let inside = self.rest()[1..].split_once('>').map(|(inside, _)| inside);
        let linked = inside.and_then(|address| {
            let mut words = String::new();
            escape_into(&mut words, address);
            Some((address.len(), anchor(address, &words)?))
        });
        match linked {
            Some((length, html)) => {
                self.at += length + 2;
                self.nodes.push(Node::Html(html));
                self.nodes.push(Node::Html(String::new()));
            }
            None => self.take(1),
        }
    }
}

/// A link, if the address is one that a reader may be sent to.
fn anchor(address: &str, inner: &str) -> Option<String> {
    let mut html = String::from("<a href=\"");
    escape_into(&mut html, safe_link(address)?);
    html.push_str("\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">");
    html.push_str(inner);
    html.push_str("</a>");
    Some(html)
}

/// Where a run of exactly `length` backticks begins.
fn closing_ticks(text: &str, length: usize) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('`') {
        let start = at + found;
        let run = text[start..]
            .bytes()
            .take_while(|byte| *byte == b'`')
            .count();
        if run == length {
            return Some(start);
        }
        at = start + run;
    }
    None
}

/// `(address "title")`: the address, unescaped, and how many bytes it takes.
fn target(text: &str) -> Option<(String, usize)> {
    let open = text.strip_prefix('(')?;
    let start = open.len() - open.trim_start().len();
    let body = &open[start..];
    let (raw, used) = match body.strip_prefix('<') {
        Some(bracketed) => {
            let end = bracketed.find(['>', '\n', '<'])?;
            let closed = bracketed[end..].starts_with('>');
            (closed.then_some(&bracketed[..end])?, end + 2)
        }
        None => {
            let end = address_end(body);
            (&body[..end], end)
        }
    };
    let rest = &body[used..];
    let after = rest.trim_start();
    let end = if after.starts_with(')') {
        after
    } else if after.len() < rest.len() {
        after_title(after)?.trim_start()
    } else {
        return None;
    };
    let tail = end.strip_prefix(')')?;
    Some((unescaped(raw), text.len() - tail.len()))
}

/// An address ends at white space or at a `)` that it has not opened.
fn address_end(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            _ if letter.is_whitespace() => return at,
            '(' if !escaped => depth += 1,
            ')' if !escaped => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return at,
            },
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
    }
    text.len()
}

/// What follows a title in quotes or parentheses.
fn after_title(text: &str) -> Option<&str> {
    let close = match text.chars().next()? {
        '"' => '"',
        '\'' => '\'',
        '(' => ')',
        _ => return None,
    };
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if letter == close && !escaped {
            return Some(&text[at + 1..]);
        }
        escaped = letter == '\\' && !escaped;
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let escaped = rest[1.min(rest.len())..]
            .chars()
            .next()
            .filter(|next| first == '\\' && next.is_ascii_punctuation());
        let named = (first == '&').then(|| entity::read(rest)).flatten();
        let (character, length) = match (escaped, named) {
            (Some(next), _) => (next, 2),
            (None, Some(named)) => named,
            (None, None) => (first, first.len_utf8()),
        };
        out.push(character);
        rest = &rest[length..];
    }
    out
}
