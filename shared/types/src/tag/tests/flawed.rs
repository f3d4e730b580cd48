use super::*;

#[test]
fn forgotten_escapes_in_code_are_mended() {
    let programs = [
        "plt.title(\"Sales\")",
        "d = {\"a\": 1, \"b\": 2}; plt.bar(d.keys(), d.values())",
        "d = {\"a\": \"x\", \"b\": \"y\"}",
        "d = {\"k\": {\"a\": \"b\"}}",
        "d = {\"k\": {\"a\": \"b\"}}; plt.title(\"t\"); plt.plot(d[\"k\"])",
        "plt.plot([\"a\", \"b\", \"c\"], [1, 2, 3], label=\"\")",
        "s = \"\"\"doc\"\"\"; t = \"\"; plt.title(\"\" + t)",
        "data = {\"source\": \"web\", \"description\": \"x\"}; print(\"}\")",
        "plt.text(0, 0, f\"{x['a']}%\")",
        "print(\"</imgen>\")",
        "it's",
    ];
    for program in programs {
        assert_eq!(only_code(&format!("\"{program}\"")), program);
        let single = program.replace('"', "'");
        assert_eq!(only_code(&format!("'{single}'")), single);
    }
    let lines = "import x\nplt.title(\"Sales\")\n\nplt.bar([\"a\"], [1])\n";
    assert_eq!(only_code(&format!("\"{lines}\"")), lines);
}

#[test]
fn apostrophes_in_descriptions() {
    let read = only_call(
        "<imgen>{'source': 'search', 'description': 'The lion's den, 'roar', it said', 'params': {'query': 'lions' den'}}</imgen>",
    );
    assert_eq!(read.description, "The lion's den, 'roar', it said");
    assert_eq!(read.request, search("lions' den"));
}

#[test]
fn what_is_no_tag_is_text() {
    for text in [
        "<imgen>hello</imgen> world",
        "<imgen> world",
        "<imgen>",
        "<imgen",
        "<imgen></imgen>",
        "a </imgen> b",
        "<imgen>[1]</imgen>",
    ] {
        assert_eq!(read_all(text), [TagEvent::Text(text.into())], "{text}");
    }
    let text =
        "<imgen> <imgen>{'source':'search','description':'d','params':{'query':'q'}}</imgen>";
    assert_eq!(prose(text), "<imgen> ");
    assert!(calls(text)[0].is_ok());
}

const GOOD: &str = "<imgen>{\"source\": \"search\", \"description\": \"d\", \"params\": {\"query\": \"good\"}}</imgen>";

#[test]
fn an_unclosed_tag_swallows_nothing() {
    let cases = [
        // (the flawed tag, what follows and must be text)
        ("<imgen>{'source': 'search'", " after text."),
        (
            "<imgen>{'source': 'search', 'description': 'd', 'params': {'query': 'q'}}",
            " After text.",
        ),
        (
            "<imgen>{'source': 'search', 'description': 'd', 'params': {'query': 'q'}",
            "\nAfter text.",
        ),
        (
            "<imgen>{'source': 'search', 'description': 'd', 'params': {'query': 'q}}</imgen>",
            "\n\nAfter 'a', text.",
        ),
        (
            "<imgen>{'source': 'search', 'description': 'd', 'params': {'query': 'q}}</imgen>",
            " After \"a\", text. ",
        ),
        (
            "<imgen>{'source': 'search', 'description': 'd', 'params': {'query': 'q",
            "\n\nAfter 'a', text.",
        ),
        (
            "<imgen>{\"source\": \"code\", \"description\": \"d\", \"params\": {\"code\": \"x = 1\"}}",
            " After \"a\", text. ",
        ),
        (
            "<imgen>{\"source\": \"code\", \"description\": \"d\", \"params\": {\"code\": \"x = 1}}</imgen>",
            " After \"a\", text. ",
        ),
        ("<imgen>{", ""),
        ("<imgen>{\"source\"", ""),
    ];
    for (flawed, after) in cases {
        let text = format!("Before {flawed}{after}{GOOD}End.");
        let found = calls(&text);
        assert_eq!(found.len(), 2, "{text}\n{found:?}");
        assert!(found[0].is_err(), "{text}");
        assert_eq!(found[1].as_ref().unwrap().request, search("good"), "{text}");
        assert_eq!(prose(&text), format!("Before {after}End."), "{text}");
        // And as the last thing in the stream.
        let text = format!("Before {flawed}{after}");
        assert_eq!(calls(&text).len(), 1, "{text}");
        if !flawed.contains("\"code\": \"x = 1\"}}") {
            assert_eq!(prose(&text), format!("Before {after}"), "{text}");
        }
    }
}

#[test]
fn a_string_left_open_at_a_lines_end_is_told_at_once() {
    let mut reader = TagReader::new(Limits::default());
    let events = reader.push(
        "<imgen>{'source': 'search', 'description': 'd', 'params': {'query': 'q}}</imgen>\nNext",
    );
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(
        matches!(&events[0], TagEvent::Tag { call: Err(error), .. } if error.code() == "unclosed_string")
    );
    assert_eq!(events[1], TagEvent::Text("\nNext".into()));
}

#[test]
fn broken_but_closed_tags_keep_their_inside() {
    for inside in [
        "{'source': oops, 'description': 'd'}",
        "{'source': 'search', 'description': 'd', 'params': {'query': 'q'}}}",
        "{'source': 'search', 'description': 'd', 'params': {'query': 'q'}",
        "{'source': 'search' 'description': 'd'}",
        "{\"source\": \"search\", \"description\": \"a\n\nb\", \"params\": oops}",
    ] {
        let events = read_all(&format!("a<imgen>{inside}</imgen>b"));
        let [
            TagEvent::Text(a),
            TagEvent::Tag { raw, call },
            TagEvent::Text(b),
        ] = &events[..]
        else {
            panic!("{events:?}");
        };
        assert_eq!((a.as_str(), b.as_str(), raw.as_str()), ("a", "b", inside));
        assert!(call.is_err());
    }
}
