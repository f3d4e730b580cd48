//! Python with its keywords, strings, comments and numbers marked.
//!
//! A tokenizer, not a parser: it colours what is certain from the letters
//! alone, never fails, and loses no character.

use crate::markdown::escape_into;

/// What a piece of a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Plain,
    Keyword,
    Builtin,
    Text,
    Comment,
    Number,
    Decorator,
}

impl Token {
    const fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Keyword => "py-keyword",
            Self::Builtin => "py-builtin",
            Self::Text => "py-string",
            Self::Comment => "py-comment",
            Self::Number => "py-number",
            Self::Decorator => "py-decorator",
        }
    }
}

const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class",
    "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if",
    "import", "in", "is", "lambda", "match", "nonlocal", "not", "or", "pass", "raise", "return",
    "try", "while", "with", "yield",
];

const BUILTINS: &[&str] = &[
    "abs",
    "dict",
    "enumerate",
    "float",
    "int",
    "len",
    "list",
    "map",
    "max",
    "min",
    "np",
    "pd",
    "plt",
    "print",
    "range",
    "round",
    "set",
    "sns",
    "sorted",
    "str",
    "sum",
    "tuple",
    "zip",
];

/// Appends the program as HTML.
pub fn python_into(html: &mut String, code: &str) {
    for (token, text) in python(code) {
        if token == Token::Plain {
            escape_into(html, text);
            continue;
        }
        html.push_str("<span class=\"");
        html.push_str(token.class());
        html.push_str("\">");
        escape_into(html, text);
        html.push_str("</span>");
    }
}

/// Cuts a program into pieces; together they are the program.
pub fn python(code: &str) -> Vec<(Token, &str)> {
    let mut pieces: Vec<(Token, &str)> = Vec::new();
    let mut rest = code;
    let mut line_start = true;
    while let Some(first) = rest.chars().next() {
        let (token, length) = next_token(rest, first, line_start);
        let (piece, after) = rest.split_at(length);
        if !piece.trim().is_empty() || piece.contains('\n') {
            line_start = piece.ends_with('\n');
        }
        pieces.push((token, piece));
        rest = after;
    }
    pieces
}

fn next_token(rest: &str, first: char, line_start: bool) -> (Token, usize) {
    if first == '#' {
        return (Token::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if first == '@' && line_start {
        let name = |c: char| c != '@' && !c.is_alphanumeric() && c != '_' && c != '.';
        return (Token::Decorator, rest.find(name).unwrap_or(rest.len()));
    }
    if first == '"' || first == '\'' {
        return (Token::Text, string_length(rest, 0));
    }
    if first.is_ascii_digit() {
        let end = |c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_';
        return (Token::Number, rest.find(end).unwrap_or(rest.len()));
    }
    if first.is_alphabetic() || first == '_' {
        let end = |c: char| !c.is_alphanumeric() && c != '_';
        let length = rest.find(end).unwrap_or(rest.len());
        let word = &rest[..length];
        let prefix = length <= 2 && word.chars().all(|c| "rRbBuUfF".contains(c));
        if prefix && rest[length..].starts_with(['"', '\'']) {
            return (Token::Text, string_length(rest, length));
        }
        let token = if KEYWORDS.contains(&word) {
            Token::Keyword
        } else if BUILTINS.contains(&word) {
            Token::Builtin
        } else {
            Token::Plain
        };
        return (token, length);
    }
    (Token::Plain, first.len_utf8())
}

/// Length of the string literal whose quotes begin at `open`. An unclosed one
/// ends with its line, an unclosed triple one with the program.
fn string_length(text: &str, open: usize) -> usize {
    let quoted = &text[open..];
    let quote = &quoted[..1];
    let triple = quote.repeat(3);
    let is_triple = quoted.starts_with(&triple);
    let close = if is_triple { triple.as_str() } else { quote };
    let mut at = open + close.len();
    while let Some(next) = text[at..].chars().next() {
        if text[at..].starts_with(close) {
            return at + close.len();
        }
        if next == '\n' && !is_triple {
            return at;
        }
        at += next.len_utf8();
        if next == '\\' {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(code: &str) -> Vec<(Token, &str)> {
        python(code)
            .into_iter()
            .filter(|(token, _)| *token != Token::Plain)
            .collect()
    }

    #[test]
    fn tokens_are_told_apart() {
        assert_eq!(
            marked("for x in range(10):  # go\n    y = f'{x}\\'s' + 1.5e3"),
            [
                (Token::Keyword, "for"),
                (Token::Keyword, "in"),
                (Token::Builtin, "range"),
                (Token::Number, "10"),
                (Token::Comment, "# go"),
                (Token::Text, "f'{x}\\'s'"),
                (Token::Number, "1.5e3"),
            ]
        );
    }

    #[test]
    fn words_inside_words_are_not_keywords() {
        assert_eq!(marked("format = island"), []);
    }

    #[test]
    fn triple_quotes_run_over_lines_and_single_ones_do_not() {
        assert_eq!(
            marked("'''a\n'b'\n''' 'open\nif"),
            [
                (Token::Text, "'''a\n'b'\n'''"),
                (Token::Text, "'open"),
                (Token::Keyword, "if")
            ]
        );
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_markup() {
        let code = "@wrap\ndef f(a):\n\treturn \"<script>\" + 'é\\";
        let whole: String = python(code).into_iter().map(|(_, text)| text).collect();
        assert_eq!(whole, code);
        let mut html = String::new();
        python_into(&mut html, code);
        assert!(!html.contains("<script>"));
        assert!(html.contains("&lt;script&gt;"));
    }
}
