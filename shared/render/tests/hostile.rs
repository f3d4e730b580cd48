//! What a model wrote never becomes a script, a frame or a request.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use illumine_render::{Pictures, markdown_to_html, render_html, render_markdown};
use illumine_types::Document;
use serde_json::json;

const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></ScRiPt>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><use href=data:x></svg>",
    "<iframe src=\"javascript:alert(1)\"></iframe>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "![x](javascript:alert(1))",
    "![x](http://evil.example/pixel.gif)",
    "<style>@import 'http://evil.example'</style>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<body onload=alert(1)>",
    "<meta http-equiv=refresh content=\"0;url=http://evil.example\">",
    "<form action=http://evil.example><input name=a></form>",
    "</main></body><script>alert(1)</script>",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "[a]: javascript:alert(1)\n\n[a]",
    "<base href=http://evil.example>",
    "\u{0}<script\u{0}>alert(1)</script>",
];

fn assert_harmless(html: &str, from: &str) {
    let lower = html.to_lowercase();
    for tag in [
        "<script", "<iframe", "<svg", "<img", "<style", "<form", "<meta", "<base", "<object",
        "<math", "<body",
    ] {
        assert!(!lower.contains(tag), "{tag} in {html} from {from}");
    }
    for link in lower
        .split("href=\"")
        .skip(1)
        .chain(lower.split("src=\"").skip(1))
    {
        assert!(
            ["http", "mailto:", "#", "\""]
                .iter()
                .any(|start| link.starts_with(start)),
            "{html} from {from}"
        );
    }
    // An attribute stands inside a tag; shown text has its `<` escaped.
    for tag in lower
        .split('<')
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
    {
        assert!(!tag.contains(" on"), "{tag} in {html} from {from}");
    }
}

#[test]
fn hostile_markdown_is_rendered_harmless() {
    for text in HOSTILE {
        assert_harmless(&markdown_to_html(text), text);
    }
}

#[test]
fn ordinary_markdown_survives() {
    let html = markdown_to_html(
        "# A\n\n*b* **c** `d`\n\n| x | y |\n|---|--:|\n| 1 | 2 |\n\n- [x] done\n\n~~gone~~ <https://example.org>",
    );
    for part in [
        "<h1>A</h1>",
        "<em>b</em>",
        "<strong>c</strong>",
        "<code>d</code>",
        "<td",
        "type=\"checkbox\"",
        "<del>gone</del>",
        "rel=\"noopener noreferrer nofollow\"",
    ] {
        assert!(html.contains(part), "{part} in {html}");
    }
}

#[test]
fn a_remote_picture_becomes_a_link() {
    let html = markdown_to_html("![a view](https://example.org/view.jpg)");
    assert!(
        html.contains("<a href=\"https://example.org/view.jpg\""),
        "{html}"
    );
    assert!(html.contains("a view"), "{html}");
}

fn document(text: &str) -> Document {
    let key = format!("{}.png", "a".repeat(64));
    serde_json::from_value(json!({
        "id": "gen_01J9ZD1N7H0000000000000000", "title": text, "prompt": text, "blocks": [
            {"type": "text", "markdown": text},
            {"type": "image", "index": 0, "raw": text,
             "call": {"source": "search", "description": text, "params": {"query": text}},
             "outcome": {"status": "ready",
                "image": {"id": key, "url": "/api/v1/images/x", "mime": text, "width": 1, "height": 1},
                "provenance": {"tool": "search", "backend": text, "elapsed_ms": 1, "attempts": 1,
                    "program": text, "source": {"title": text, "page_url": text}}}},
            {"type": "image", "index": 1, "raw": text, "call": null,
             "outcome": {"status": "failed", "code": "invalid_tag", "reason": text}}
        ],
        "tools": {"search": {"attempted": 1, "succeeded": 1}, "diffusion": {"attempted": 0, "succeeded": 0},
            "code": {"attempted": 0, "succeeded": 0}, "edit": {"attempted": 0, "succeeded": 0}, "invalid": 1},
        "policy": text, "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        "timings": {"queued_ms": 0, "writing_ms": 1, "total_ms": 1},
        "interruption": {"type": "x", "code": "x", "title": text, "detail": text},
        "remarks": [text],
        "version": 1, "created_at": "2026-01-01T00:00:00Z"
    }))
    .unwrap()
}

#[test]
fn every_field_of_a_document_is_untrusted() {
    for text in HOSTILE {
        let document = document(text);
        let pictures = Pictures::from([(
            document
                .images()
                .next()
                .map(|image| match &image.outcome {
                    illumine_types::Outcome::Ready { image, .. } => image.id.clone(),
                    _ => unreachable!(),
                })
                .unwrap(),
            bytes::Bytes::from_static(b"png"),
        )]);
        let page = render_html(&document, &pictures);
        // What is ours: the head before the style's end, and the picture itself.
        let body = page.split("</style>").nth(1).unwrap();
        let ours = body.split("data:application/octet-stream").count() - 1;
        assert_eq!(ours, 1, "the picture is in the page");
        let rest = body
            .replace("<body>", "")
            .replacen("<img width=\"1\"", "", 1)
            .replacen("src=\"data:application/octet-stream", "", 1);
        assert_harmless(&rest, text);
        assert!(page.contains("default-src 'none'"));
    }
}

#[test]
fn markdown_names_pictures_and_gaps() {
    let text = render_markdown(&document("A [caption]"), |image| {
        format!("images/{}", image.id)
    });
    assert!(text.contains("![A (caption)](images/aaaa"), "{text}");
    assert!(text.contains("could not be drawn: A [caption]"), "{text}");
}
