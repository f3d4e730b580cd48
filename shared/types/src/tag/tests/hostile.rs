use super::*;

const SMALL: Limits = Limits {
    max_bytes: 200,
    max_depth: 4,
};

#[test]
fn nesting_is_bounded() {
    for opener in ["[", "(", "{'a':"] {
        let text = format!("<imgen>{{'a': {}</imgen>after", opener.repeat(100_000));
        let events = read_all(&text);
        let error = events.iter().find_map(|event| match event {
            TagEvent::Tag { call, .. } => call.as_ref().err().cloned(),
            TagEvent::Text(_) => None,
        });
        assert_eq!(error.unwrap().code(), "tag_too_deep");
        assert!(prose(&text).ends_with("after"));
    }
}

#[test]
fn a_tag_too_large_fails_and_reading_goes_on() {
    let tag = format!(
        "<imgen>{{'source': 'search', 'description': 'd', 'params': {{'query': '{}'}}}}</imgen>",
        "é".repeat(500)
    );
    let events = read_pieces(SMALL, [&format!("a{tag}b<imgen>")[..]]);
    let [
        TagEvent::Text(a),
        TagEvent::Tag { raw, call },
        TagEvent::Text(b),
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!((a.as_str(), b.as_str()), ("a", "b<imgen>"));
    assert!(raw.len() <= SMALL.max_bytes);
    assert_eq!(call.as_ref().unwrap_err().code(), "tag_too_large");
    let unclosed = format!("<imgen>{{'source': '{}\n\nProse.", "x".repeat(500));
    let events = read_pieces(SMALL, [&unclosed[..]]);
    assert_eq!(events[1], TagEvent::Text("\n\nProse.".into()));
}

#[test]
fn ten_megabytes_in_one_string_are_read_in_small_pieces() {
    let mut reader = TagReader::new(Limits::default());
    let mut tags = 0;
    let mut text = 0;
    let mut take = |events: Vec<TagEvent>| {
        for event in events {
            match event {
                TagEvent::Tag { call, raw } => {
                    assert_eq!(call.unwrap_err().code(), "tag_too_large");
                    assert!(raw.len() <= Limits::default().max_bytes);
                    tags += 1;
                }
                TagEvent::Text(more) => text += more.len(),
            }
        }
    };
    take(reader.push("<imgen>{\"code\": \""));
    for _ in 0..10_000_000 / 8 {
        take(reader.push("abc\"def "));
    }
    take(reader.push("\"}</imgen>."));
    take(reader.finish());
    assert_eq!((tags, text), (1, 1));
}

/// What is read twice is bounded by the stream's length, whatever it holds.
#[test]
fn work_is_linear_in_the_stream() {
    let patterns = [
        "<imgen>{\"",
        "<imgen>{\"</imgen>",
        "<imgen>{\"\"\"\n\n",
        "<imgen>{\"a\": \"</imgen>",
        "<imgen>{\"a\": \"\"\"</imgen>",
        "<imgen>{\"a\": \"b\", ",
        "<imgen>{\"a\": \"b\" ",
        "<imgen>{\"code\": \"\"}} ",
        "<imgen>{\"a\": {\"code\": \"b\"}} x",
        "<imgen>{x",
        "<imgen>{'a': '<imgen>",
        "<imgen>{'a': '''<imgen>",
        "<imgen>{'a': '''\n\n</imgen>",
        "\"\"",
        "' , 'code' ",
        "<imgen> ",
        "<imgen>{} ",
        "<imgen>{'a': '\\",
        "\n\n",
        "</",
    ];
    for pattern in patterns {
        for prefix in [
            "",
            "<imgen>{'code': '",
            "<imgen>{\"code\": \"",
            "<imgen>{\"d\": \"\"\"",
        ] {
            let mut reader = TagReader::new(Limits::default());
            let mut fed = prefix.len();
            reader.push(prefix);
            while fed < 400_000 {
                reader.push(pattern);
                fed += pattern.len();
                assert!(
                    reader.reread_bytes() <= 2 * fed + 64 * 1024 + Limits::default().max_bytes,
                    "{pattern:?} after {prefix:?}: {} of {fed}",
                    reader.reread_bytes()
                );
            }
            let reread = reader.reread_bytes();
            assert!(reread <= 3 * fed + 64 * 1024, "{pattern:?}: {reread}");
            reader.finish();
        }
    }
}
