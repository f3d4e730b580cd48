use super::*;
use crate::tag::{parse_call, validate_index, write_tag};

#[test]
fn json_and_python_tags_are_read_alike() {
    let wanted = call(search("red panda"), "A red panda, \"Pip\"");
    for tag in [
        r#"<imgen>{"source": "search", "description": "A red panda, \"Pip\"", "params": {"query": "red panda"}}</imgen>"#,
        r#"<imgen>{'source': 'search', 'description': 'A red panda, "Pip"', 'params': {'query': 'red panda'}}</imgen>"#,
        r#"<imgen> { 'params' : {'query': "red " 'panda',}, "description": '''A red panda, "Pip"''', 'source': u'search', } </imgen>"#,
        "<imgen>\n{\"source\": r'search',\n \"description\": 'A red \\\npanda, \\\"Pip\\\"',\n \"params\": {\"query\": ('red '\n 'panda')}}\n</imgen>",
    ] {
        assert_eq!(only_call(tag), wanted, "{tag}");
        assert_eq!(prose(&format!("a{tag}b")), "ab");
    }
}

#[test]
fn the_four_tools() {
    let edit = ToolRequest::Edit {
        img_index: 3,
        prompt: "night".into(),
    };
    let edit_call = only_call(
        "<imgen>{'source':'edit','description':'','params':{'img_index':3,'prompt':'night'}}</imgen>",
    );
    assert_eq!(edit_call, call(edit, ""));
    assert_eq!(validate_index(&edit_call, 4), Ok(()));
    let out = validate_index(&edit_call, 3).unwrap_err();
    assert_eq!(out.code(), "index_out_of_range");
    let diffusion = parse_call("{'source':'diffusion','description':'x','params':{'prompt':'p'}}");
    assert_eq!(
        diffusion.unwrap().request,
        ToolRequest::Diffusion { prompt: "p".into() }
    );
    assert!(parse_call("{'source':'diffusion'} {").is_err());
    assert_eq!(only_code("'plt.plot([1])'"), "plt.plot([1])");
}

#[test]
fn escapes_of_both_languages() {
    let cases = [
        (
            r#""a\nb\t\"q\" \\ \/ \u00e9 \ud83e\udd9c""#,
            "a\nb\t\"q\" \\ / é 🦜",
        ),
        (
            r"'it\'s \x41\101\U0001F99C\0 \q \N{BULLET} \/'",
            "it's AA🦜\0 \\q \\N{BULLET} \\/",
        ),
        (r#"'\ud83e and \udd9c'"#, "\u{FFFD} and \u{FFFD}"),
        (r"r'\alpha\n'", r"\alpha\n"),
        (r"R'a\'b'", r"a\'b"),
        (r"'\UFFFFFFFF \xZZ \u12'", r"\UFFFFFFFF \xZZ \u12"),
        (r"'\1234\7'", "S4\u{7}"),
        ("'one\\\ntwo'", "onetwo"),
        ("'Café 漢字 \u{2028}'", "Café 漢字 \u{2028}"),
        ("\"raw\nline\n\nfeeds\"", "raw\nline\n\nfeeds"),
        ("'''it's \"fine\" '' '''", "it's \"fine\" '' "),
        ("\"\"\"a\n\"b\"\n\"\"\"", "a\n\"b\"\n"),
        ("'a' \"b\"\n  '''c'''", "abc"),
    ];
    for (literal, wanted) in cases {
        assert_eq!(only_code(literal), wanted, "{literal}");
    }
}

#[test]
fn marks_inside_strings_do_not_end_the_tag() {
    for inner in [
        "print('}</imgen>')",
        "'}}</imgen>'",
        "a <imgen> b",
        "'<imgen>{}</imgen>'",
        "<think>",
    ] {
        let tag = write_tag(&call(code(inner), "d")).replace("\\u003c", "<");
        assert_eq!(only_call(&tag).request, code(inner));
        assert_eq!(prose(&format!("{tag}!")), "!");
    }
}

#[test]
fn strictness() {
    let cases = [
        ("{'source':'search','description':'d'}", "missing_key"),
        (
            "{'source':'search','description':'d','params':{}}",
            "missing_key",
        ),
        (
            "{'source':'search','description':'d','params':{'query':'q'},'x':1}",
            "unknown_key",
        ),
        (
            "{'source':'search','description':'d','params':{'query':'q','n':2}}",
            "unknown_key",
        ),
        (
            "{'source':'search','description':'d','params':{'prompt':'q'}}",
            "unknown_key",
        ),
        (
            "{'source':'search','source':'search','description':'d','params':{'query':'q'}}",
            "duplicate_key",
        ),
        (
            "{'source':'search','description':'d','params':'q'}",
            "wrong_type",
        ),
        (
            "{'source':'search','description':None,'params':{'query':'q'}}",
            "wrong_type",
        ),
        (
            "{'source':'search','description':'d','params':{'query':['q']}}",
            "wrong_type",
        ),
        (
            "{'source':'search','description':'d','params':{'query':('q',)}}",
            "wrong_type",
        ),
        (
            "{'source':'search','description':'d','params':{'query':7}}",
            "wrong_type",
        ),
        (
            "{'source':'search','description':'d','params':{'query':' '}}",
            "empty_value",
        ),
        (
            "{'source':'paint','description':'d','params':{'query':'q'}}",
            "unknown_source",
        ),
        (
            "{'source':'edit','description':'d','params':{'img_index':True,'prompt':'p'}}",
            "wrong_type",
        ),
        (
            "{'source':'edit','description':'d','params':{'img_index':'0','prompt':'p'}}",
            "wrong_type",
        ),
        (
            "{'source':'edit','description':'d','params':{'img_index':0.0,'prompt':'p'}}",
            "wrong_type",
        ),
        (
            "{'source':'edit','description':'d','params':{'img_index':-1,'prompt':'p'}}",
            "wrong_type",
        ),
        (
            "{'source':'edit','description':'d','params':{'img_index':99999999999999999999,'prompt':'p'}}",
            "wrong_type",
        ),
        ("{}", "missing_key"),
        ("{source: 'search'}", "malformed_tag"),
        ("{'source': f'search'}", "malformed_tag"),
        ("{'source' 'search'}", "malformed_tag"),
        ("{'source': __import__('os')}", "malformed_tag"),
    ];
    for (inside, code) in cases {
        let found = calls(&format!("a<imgen>{inside}</imgen>b"));
        assert_eq!(found.len(), 1, "{inside}");
        assert_eq!(found[0].as_ref().unwrap_err().code(), code, "{inside}");
        assert_eq!(
            prose(&format!("a<imgen>{inside}</imgen>b")),
            "ab",
            "{inside}"
        );
    }
}

#[test]
fn thinking_is_not_output() {
    let tag = write_tag(&call(search("q"), "d"));
    let text = format!("<think>plan {tag} \u{1F99C}</think>\nText {tag} end<think>more");
    assert_eq!(prose(&text), "\nText  end");
    assert_eq!(calls(&text).len(), 1);
    assert_eq!(
        prose("a</think>b <thin> <image> </imgen> <"),
        "ab <thin> <image> </imgen> <"
    );
}

#[test]
fn text_is_given_at_once() {
    let mut reader = TagReader::new(Limits::default());
    assert_eq!(reader.push("Hello <b"), [TagEvent::Text("Hello <b".into())]);
    assert_eq!(reader.push(" x <img"), [TagEvent::Text(" x ".into())]);
    assert_eq!(reader.push("src"), [TagEvent::Text("<imgsrc".into())]);
    let tag = write_tag(&call(search("q"), "d"));
    let events = reader.push(&tag);
    assert!(
        matches!(&events[..], [TagEvent::Tag { call: Ok(_), .. }]),
        "at its last character"
    );
    assert!(reader.finish().is_empty());
}
