//! What the reader gives for sound, flawed and hostile streams.

mod flawed;
mod hostile;
mod properties;
mod sound;

use super::{Limits, TagError, TagEvent, TagReader, read_all};
use crate::tool::{ToolCall, ToolRequest};

fn call(request: ToolRequest, description: &str) -> ToolCall {
    ToolCall {
        request,
        description: description.into(),
    }
}

fn search(query: &str) -> ToolRequest {
    ToolRequest::Search {
        query: query.into(),
    }
}

fn code(code: &str) -> ToolRequest {
    ToolRequest::Code { code: code.into() }
}

/// The calls and errors of a text.
fn calls(text: &str) -> Vec<Result<ToolCall, TagError>> {
    read_all(text)
        .into_iter()
        .filter_map(|event| match event {
            TagEvent::Tag { call, .. } => Some(call),
            TagEvent::Text(_) => None,
        })
        .collect()
}

/// The text outside of tags.
fn prose(text: &str) -> String {
    read_all(text)
        .into_iter()
        .filter_map(|event| match event {
            TagEvent::Text(text) => Some(text),
            TagEvent::Tag { .. } => None,
        })
        .collect()
}

/// The only call, which must be valid.
fn only_call(text: &str) -> ToolCall {
    let mut calls = calls(text);
    assert_eq!(calls.len(), 1, "{text}");
    calls
        .remove(0)
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The code of a tag whose params are `{"code": <literal>}`.
fn only_code(literal: &str) -> String {
    let tag = format!(
        "<imgen>{{\"source\": \"code\", \"description\": \"d\", \"params\": {{\"code\": {literal}}}}}</imgen>"
    );
    match only_call(&tag).request {
        ToolRequest::Code { code } => code,
        other => panic!("{other:?}"),
    }
}

fn merged(events: impl IntoIterator<Item = TagEvent>) -> Vec<TagEvent> {
    let mut all: Vec<TagEvent> = Vec::new();
    for event in events {
        match (all.last_mut(), event) {
            (Some(TagEvent::Text(last)), TagEvent::Text(more)) => last.push_str(&more),
            (_, event) => all.push(event),
        }
    }
    all
}

/// Feeds the pieces one after the other.
fn read_pieces<'a>(limits: Limits, pieces: impl IntoIterator<Item = &'a str>) -> Vec<TagEvent> {
    let mut reader = TagReader::new(limits);
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(reader.push(piece));
    }
    events.extend(reader.finish());
    merged(events)
}

/// Asserts that every cut in two, and one character at a time, give the same.
fn same_at_every_split(limits: Limits, text: &str) {
    let whole = read_pieces(limits, [text]);
    for (at, _) in text.char_indices() {
        assert_eq!(
            read_pieces(limits, [&text[..at], &text[at..]]),
            whole,
            "split at {at} of {text:?}"
        );
    }
    let single = text
        .char_indices()
        .map(|(at, character)| &text[at..at + character.len_utf8()]);
    assert_eq!(read_pieces(limits, single), whole, "by character: {text:?}");
}
