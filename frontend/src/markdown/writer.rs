//! Blocks to HTML.

use super::block::{self, Block};
use super::table::{Alignment, Table};
use super::{escape_into, inline};
use crate::highlight::python_into;

/// Renders Markdown. Headings go one level down: the page owns `h1`.
pub fn to_html(markdown: &str) -> String {
    let lines: Vec<&str> = markdown.lines().collect();
    let mut html = String::with_capacity(markdown.len() * 2);
    for block in block::inside(&lines, 0) {
        write(&mut html, &block);
    }
    html
}

fn write(html: &mut String, block: &Block<'_>) {
    match block {
        Block::Heading { level, text } => {
            let level = (level + 1).min(6);
            html.push_str(&format!("<h{level}>{}</h{level}>", inline::to_html(text)));
        }
        Block::Paragraph(text) => element(html, "p", &inline::to_html(text)),
        Block::Code { info, lines } => code(html, info, lines),
        Block::Quote(inside) => {
            html.push_str("<blockquote>");
            for block in inside {
                write(html, block);
            }
            html.push_str("</blockquote>");
        }
        Block::List {
            start,
            tight,
            items,
        } => list(html, *start, *tight, items),
        Block::Table(table) => write_table(html, table),
        Block::Rule => html.push_str("<hr>"),
    }
}

fn element(html: &mut String, name: &str, inside: &str) {
    html.push_str(&format!("<{name}>{inside}</{name}>"));
}

fn code(html: &mut String, info: &str, lines: &[&str]) {
    let mut code = lines.join("\n");
    if !code.is_empty() {
        code.push('\n');
    }
    html.push_str("<pre tabindex=\"0\"><code>");
    match info.split_whitespace().next() {
        Some("python" | "py" | "python3") => python_into(html, &code),
        _ => escape_into(html, &code),
    }
    html.push_str("</code></pre>");
}

fn list(html: &mut String, start: Option<u64>, tight: bool, items: &[Vec<Block<'_>>]) {
    match start {
        None => html.push_str("<ul>"),
        Some(1) => html.push_str("<ol>"),
        Some(first) => html.push_str(&format!("<ol start=\"{first}\">")),
    }
    for item in items {
        html.push_str("<li>");
        for (at, block) in item.iter().enumerate() {
            match block {
                Block::Paragraph(text) => {
                    let (mark, text) = task(text, at == 0);
                    let words = mark.to_owned() + &inline::to_html(&text);
                    if tight {
                        html.push_str(&words);
                    } else {
                        element(html, "p", &words);
                    }
                }
                other => write(html, other),
            }
        }
        html.push_str("</li>");
    }
    html.push_str(if start.is_some() { "</ol>" } else { "</ul>" });
}

/// The box of a task, and the text after it.
fn task<'a>(text: &[&'a str], first: bool) -> (&'static str, Vec<&'a str>) {
    let mut text = text.to_vec();
    let Some(line) = text.first_mut().filter(|_| first) else {
        return ("", text);
    };
    let boxes = [("[ ] ", "☐ "), ("[x] ", "☑ "), ("[X] ", "☑ ")];
    for (written, mark) in boxes {
        if let Some(rest) = line.trim_start().strip_prefix(written) {
            *line = rest;
            return (mark, text);
        }
    }
    ("", text)
}

fn write_table(html: &mut String, table: &Table<'_>) {
    html.push_str("<div class=\"table-scroll\" tabindex=\"0\"><table><thead>");
    row(html, "th", &table.head, &table.alignments);
    html.push_str("</thead><tbody>");
    for cells in &table.rows {
        row(html, "td", cells, &table.alignments);
    }
    html.push_str("</tbody></table></div>");
}

fn row(html: &mut String, name: &str, cells: &[&str], alignments: &[Alignment]) {
    html.push_str("<tr>");
    for (cell, alignment) in cells.iter().zip(alignments) {
        let class = match alignment {
            Alignment::Unset => "",
            Alignment::Centre => " class=\"centre\"",
            Alignment::Right => " class=\"right\"",
        };
        let inside = inline::to_html(&[&cell.replace("\\|", "|")]);
        html.push_str(&format!("<{name}{class}>{inside}</{name}>"));
    }
    html.push_str("</tr>");
}

#[cfg(test)]
mod tests {
    use super::to_html;

    #[test]
    fn the_usual_forms_are_rendered() {
        assert_eq!(to_html("# A *title*"), "<h2>A <em>title</em></h2>");
        assert_eq!(
            to_html("3. three\n4. four"),
            "<ol start=\"3\"><li>three</li><li>four</li></ol>"
        );
        assert_eq!(
            to_html("| a | b |\n|---|--:|\n| 1 | 2 |"),
            "<div class=\"table-scroll\" tabindex=\"0\"><table><thead><tr><th>a</th>\
             <th class=\"right\">b</th></tr></thead><tbody><tr><td>1</td>\
             <td class=\"right\">2</td></tr></tbody></table></div>"
        );
        assert_eq!(
            to_html("[site](https://example.org/?a=1&b=2)"),
            "<p><a href=\"https://example.org/?a=1&amp;b=2\" target=\"_blank\" \
             rel=\"noopener noreferrer nofollow\">site</a></p>"
        );
    }

    #[test]
    fn literal_markup_is_shown_as_text() {
        assert_eq!(
            to_html("Café <image> here"),
            "<p>Café &lt;image&gt; here</p>"
        );
    }

    /// No hostile text opens an element or an attribute of its choosing.
    #[test]
    fn hostile_text_stays_text() {
        let hostile = [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "<svg/onload=alert(1)>",
            "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
            "[x](javascript:alert(1))",
            "[x](JAVASCRIPT:alert(1))",
            "[x](&#106;avascript:alert(1))",
            "[x](java&#x0A;script:alert(1))",
            "[x](<javascript:alert(1)>)",
            "<javascript:alert(1)>",
            "[x]: javascript:alert(1)\n\n[x]",
            "![x](javascript:alert(1))",
            "![x](https://evil.example/pixel.gif)",
            "![\" onerror=\"alert(1)](x)",
            "[a](https://e.org/\"onmouseover=\"alert(1))",
            "[a](https://e.org/ \"t\\\" onclick=alert(1)\")",
            "```html\n<script>alert(1)</script>\n```",
            "```\"><script>alert(1)</script>\nx\n```",
            "```python\n</code><script>alert('</script>')\n```",
            "`<script>alert(1)</script>`",
            "| <script>alert(1)</script> |\n|---|\n| <b onclick=x>b</b> |",
            "<!-- --><style>*{display:none}</style>",
            "<a href=\"javascript:alert(1)\">x</a>",
            "# <img src=x onerror=alert(1)>",
            "- <details open ontoggle=alert(1)>",
            "\\<script>alert(1)\\</script>",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
            "<scr<script>ipt>alert(1)</script>",
            "<math><mi//xlink:href=\"data:x,<script>alert(4)</script>\">",
        ];
        let allowed = [
            "p",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "blockquote",
            "pre",
            "code",
            "ul",
            "ol",
            "li",
            "div",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "em",
            "strong",
            "del",
            "a",
            "span",
            "br",
            "hr",
        ];
        for text in hostile {
            let html = to_html(text);
            for element in html.split('<').skip(1) {
                let inside = element.split('>').next().unwrap();
                let name = inside.trim_start_matches('/').split(' ').next().unwrap();
                assert!(allowed.contains(&name), "{text} gave {html}");
                let attributes = inside.strip_prefix(name).unwrap_or_default();
                assert!(!attributes.contains("on") || name == "a", "{text}: {html}");
                assert!(!attributes.contains("script:"), "{text}: {html}");
                assert!(!attributes.contains("src"), "{text}: {html}");
            }
        }
    }

    #[test]
    fn a_quote_in_an_address_cannot_leave_the_attribute() {
        let html = to_html("[a](https://e.org/\"onmouseover=\"alert(1))");
        assert!(!html.contains("\"onmouseover"), "{html}");
    }

    #[test]
    fn no_picture_is_loaded_from_the_text() {
        assert_eq!(
            to_html("![a chart](https://evil.example/x.png)"),
            "<p><span class=\"md-picture\">a chart</span></p>"
        );
    }

    #[test]
    fn deep_nesting_is_survived() {
        let html = to_html(&">".repeat(5_000));
        assert!(html.starts_with("<blockquote>"));
        to_html(&"[".repeat(5_000));
        to_html(&"*a ".repeat(5_000));
    }
}
