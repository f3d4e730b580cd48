//! Any text, cut anywhere, gives the events of the whole text, and every valid
//! call that was read is read again from what [`write_tag`] makes of it.
#![no_main]

use illumine_types::tag::{Limits, TagEvent, TagReader, parse_call, write_tag};
use libfuzzer_sys::fuzz_target;

fn merged(events: Vec<TagEvent>) -> Vec<TagEvent> {
    let mut all: Vec<TagEvent> = Vec::new();
    for event in events {
        match (all.last_mut(), event) {
            (Some(TagEvent::Text(last)), TagEvent::Text(more)) => last.push_str(&more),
            (_, event) => all.push(event),
        }
    }
    all
}

fuzz_target!(|input: (u8, u8, &str)| {
    let (step, size, text) = input;
    let limits = Limits {
        max_bytes: 16 + usize::from(size) * 8,
        max_depth: 4,
    };
    let mut reader = TagReader::new(limits);
    let mut whole = reader.push(text);
    whole.extend(reader.finish());
    let whole = merged(whole);

    let step = usize::from(step).max(1);
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, _) in text.char_indices().skip(1).step_by(step) {
        pieces.extend(reader.push(&text[from..at]));
        from = at;
    }
    pieces.extend(reader.push(&text[from..]));
    pieces.extend(reader.finish());
    assert_eq!(merged(pieces), whole);

    for event in whole {
        if let TagEvent::Tag { call: Ok(call), .. } = event {
            let written = write_tag(&call);
            let inside = &written["<imgen>".len()..written.len() - "</imgen>".len()];
            assert_eq!(parse_call(inside), Ok(call));
        }
    }
});
