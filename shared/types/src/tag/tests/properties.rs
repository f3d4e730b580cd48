use proptest::prelude::*;

use super::*;
use crate::tag::write_tag;

/// Texts made of the pieces that matter to the reader.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("<imgen>".to_owned()),
        4 => Just("</imgen>".to_owned()),
        1 => Just("<think>".to_owned()),
        1 => Just("</think>".to_owned()),
        6 => prop::sample::select(vec!["'", "\"", "'''", "\"\"\"", "\\", "{", "}", "[", "]", "(", ",", ":", "\n", "\n\n", " ", "r'", "u\""]).prop_map(str::to_owned),
        4 => prop::sample::select(vec!["'source'", "\"description\"", "'params'", "\"code\"", "'search'", "'code'", "img_index", "True", "-12", "\\u00e9", "\\ud83e\\udd9c", "\\x4", "\\101"]).prop_map(str::to_owned),
        2 => Just("<imgen>{'source': 'search', 'description': 'd', 'params': {'query': 'q'}}".to_owned()),
        2 => "[a-zé漢🦜 ]{0,6}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{1,40}",
        "[ -~\\n\\t]{1,60}",
        prop::collection::vec(
            prop::sample::select(vec![
                "'",
                "\"",
                "\\",
                "\n",
                "{",
                "}",
                "}</imgen>",
                ", 'code': ",
                "'''",
                "é",
                "🦜",
                "x",
                "\u{0}"
            ]),
            1..20
        )
        .prop_map(|pieces| pieces.concat()),
    ]
    .prop_map(|text| format!("w{text}"))
}

fn any_call() -> impl Strategy<Value = ToolCall> {
    let request = prop_oneof![
        words().prop_map(|query| ToolRequest::Search { query }),
        words().prop_map(|prompt| ToolRequest::Diffusion { prompt }),
        words().prop_map(|code| ToolRequest::Code { code }),
        (0..1000_usize, words())
            .prop_map(|(img_index, prompt)| ToolRequest::Edit { img_index, prompt }),
    ];
    (request, words()).prop_map(|(request, description)| ToolCall {
        request,
        description,
    })
}

/// As Python's `repr` writes it.
fn repr(text: &str, quote: char) -> String {
    let mut out = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\u{0}' => out.push_str("\\x00"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

fn python_tag(call: &ToolCall, quote: char, comma: &str) -> String {
    let text = |text: &str| repr(text, quote);
    let params = match &call.request {
        ToolRequest::Search { query } => format!("'query': {}", text(query)),
        ToolRequest::Diffusion { prompt } => format!("'prompt': {}", text(prompt)),
        ToolRequest::Code { code } => format!("'code': {}", text(code)),
        ToolRequest::Edit { img_index, prompt } => {
            format!("'prompt': {}, 'img_index': {img_index}", text(prompt))
        }
    };
    format!(
        "<imgen> {{'source': '{}', 'description': {}, 'params': {{{params}{comma}}}{comma}}}\n</imgen>",
        call.kind(),
        text(&call.description),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_split_gives_the_same_events(text in soup()) {
        same_at_every_split(Limits::default(), &text);
        same_at_every_split(Limits { max_bytes: 40, max_depth: 3 }, &text);
    }

    #[test]
    fn any_pieces_give_the_same_events(text in soup(), sizes in prop::collection::vec(1..9_usize, 1..40)) {
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break; }
            let mut at = (*size).min(rest.len());
            while !rest.is_char_boundary(at) { at += 1; }
            let (piece, after) = rest.split_at(at);
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(
            read_pieces(Limits::default(), pieces),
            read_pieces(Limits::default(), [text.as_str()])
        );
    }

    /// Outside of thinking and tags, every character comes out; inside, `raw`
    /// has it. Only the marks themselves may go.
    #[test]
    fn nothing_is_lost(text in soup().prop_map(|text| text.replace("think", "thank"))) {
        let mut rest = text.as_str();
        for event in read_all(&text) {
            match event {
                TagEvent::Text(shown) => {
                    rest = rest.strip_prefix(shown.as_str()).unwrap();
                }
                TagEvent::Tag { raw, .. } => {
                    rest = rest.strip_prefix("<imgen>").unwrap();
                    rest = rest.strip_prefix(raw.as_str()).unwrap();
                    rest = rest.strip_prefix("</imgen>").unwrap_or(rest);
                }
            }
        }
        prop_assert_eq!(rest, "");
    }

    #[test]
    fn written_tags_are_read_back(call in any_call(), before in "[a-z ]{0,5}") {
        let text = format!("{before}{}{}", write_tag(&call), "after");
        prop_assert_eq!(only_call(&text), call);
        prop_assert_eq!(prose(&text), format!("{before}after"));
        same_at_every_split(Limits::default(), &text);
    }

    #[test]
    fn python_tags_are_read_back(call in any_call(), double in any::<bool>(), trailing in any::<bool>()) {
        let quote = if double { '"' } else { '\'' };
        let text = python_tag(&call, quote, if trailing { " , " } else { "" });
        prop_assert_eq!(only_call(&text), call);
    }
}
