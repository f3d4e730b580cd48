//! Markdown events to HTML, with an allow-list by construction.

use pulldown_cmark::{Alignment, CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};

use super::{escape_into, link::safe_link, options};
use crate::highlight::python_into;

/// Renders Markdown. Headings go one level down: the page owns `h1`.
pub fn to_html(markdown: &str) -> String {
    let mut writer = Writer::default();
    for event in Parser::new_ext(markdown, options()) {
        writer.event(event);
    }
    writer.html
}

#[derive(Default)]
struct Writer {
    html: String,
    /// For each open link, whether an `<a>` was written.
    links: Vec<bool>,
    alignments: Vec<Alignment>,
    column: usize,
    in_head: bool,
    /// Inside a fenced block that says it is Python: its text so far.
    python: Option<String>,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            // Raw HTML is text: a reader sees what the model wrote.
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Code(code) | Event::InlineMath(code) | Event::DisplayMath(code) => {
                self.html.push_str("<code>");
                escape_into(&mut self.html, &code);
                self.html.push_str("</code>");
            }
            Event::SoftBreak => self.html.push('\n'),
            Event::HardBreak => self.html.push_str("<br>"),
            Event::Rule => self.html.push_str("<hr>"),
            Event::TaskListMarker(done) => self.html.push_str(if done { "☑ " } else { "☐ " }),
            Event::FootnoteReference(label) => self.text(&label),
        }
    }

    fn text(&mut self, text: &str) {
        match &mut self.python {
            Some(code) => code.push_str(text),
            None => escape_into(&mut self.html, text),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph => self.html.push_str("<p>"),
            Tag::HtmlBlock => self.html.push_str("<p class=\"raw\">"),
            Tag::Heading { level, .. } => {
                self.html.push('<');
                self.html.push_str(heading(level));
                self.html.push('>');
            }
            Tag::BlockQuote(_) => self.html.push_str("<blockquote>"),
            Tag::CodeBlock(kind) => {
                self.html.push_str("<pre tabindex=\"0\"><code>");
                self.python = is_python(&kind).then(String::new);
            }
            Tag::List(None) => self.html.push_str("<ul>"),
            Tag::List(Some(1)) => self.html.push_str("<ol>"),
            Tag::List(Some(first)) => {
                self.html.push_str(&format!("<ol start=\"{first}\">"));
            }
            Tag::Item => self.html.push_str("<li>"),
            Tag::Table(alignments) => {
                self.alignments = alignments;
                self.html
                    .push_str("<div class=\"table-scroll\" tabindex=\"0\"><table>");
            }
            Tag::TableHead => {
                self.in_head = true;
                self.column = 0;
                self.html.push_str("<thead><tr>");
            }
            Tag::TableRow => {
                self.column = 0;
                self.html.push_str("<tr>");
            }
            Tag::TableCell => self.cell(),
            Tag::Emphasis => self.html.push_str("<em>"),
            Tag::Strong => self.html.push_str("<strong>"),
            Tag::Strikethrough => self.html.push_str("<del>"),
            Tag::Link { dest_url, .. } => self.link(&dest_url),
            Tag::Image { .. } => self.html.push_str("<span class=\"md-picture\">"),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        let closing = match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => "</p>",
            TagEnd::Heading(level) => {
                self.html.push_str("</");
                self.html.push_str(heading(level));
                ">"
            }
            TagEnd::BlockQuote(_) => "</blockquote>",
            TagEnd::CodeBlock => {
                if let Some(code) = self.python.take() {
                    python_into(&mut self.html, &code);
                }
                "</code></pre>"
            }
            TagEnd::List(true) => "</ol>",
            TagEnd::List(false) => "</ul>",
            TagEnd::Item => "</li>",
            TagEnd::Table => "</tbody></table></div>",
            TagEnd::TableHead => {
                self.in_head = false;
                "</tr></thead><tbody>"
            }
            TagEnd::TableRow => "</tr>",
            TagEnd::TableCell => {
                self.column += 1;
                if self.in_head { "</th>" } else { "</td>" }
            }
            TagEnd::Emphasis => "</em>",
            TagEnd::Strong => "</strong>",
            TagEnd::Strikethrough => "</del>",
            TagEnd::Link => match self.links.pop() {
                Some(true) => "</a>",
                _ => "",
            },
            TagEnd::Image => "</span>",
            _ => "",
        };
        self.html.push_str(closing);
    }

    fn cell(&mut self) {
        let class = match self.alignments.get(self.column) {
            Some(Alignment::Right) => " class=\"right\"",
            Some(Alignment::Center) => " class=\"centre\"",
            _ => "",
        };
        let element = if self.in_head { "th" } else { "td" };
        self.html.push_str(&format!("<{element}{class}>"));
    }

    fn link(&mut self, address: &str) {
        let safe = safe_link(address);
        if let Some(address) = safe {
            self.html.push_str("<a href=\"");
            escape_into(&mut self.html, address);
            self.html
                .push_str("\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">");
        }
        self.links.push(safe.is_some());
    }
}

fn heading(level: HeadingLevel) -> &'static str {
    match level {
        HeadingLevel::H1 => "h2",
        HeadingLevel::H2 => "h3",
        HeadingLevel::H3 => "h4",
        HeadingLevel::H4 => "h5",
        HeadingLevel::H5 | HeadingLevel::H6 => "h6",
    }
}

fn is_python(kind: &CodeBlockKind<'_>) -> bool {
    let CodeBlockKind::Fenced(info) = kind else {
        return false;
    };
    matches!(
        info.split_whitespace().next(),
        Some("python" | "py" | "python3")
    )
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
