//! JSON into types, with the field at fault.

use std::collections::HashMap;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::error::{ApiError, Result};

/// Longest detail that repeats words of the request.
const DETAIL: usize = 300;
const EXPECTED_OBJECT: &str = "expected an object, `{…}`";

/// Reads JSON; every mistake names the field as a path, e.g.
/// `options.temperature` or `images[0].url`.
///
/// # Errors
/// `invalid_json`, `missing_field`, `unknown_field` or `invalid_value`.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    if !is_object(json) {
        serde_json::from_slice::<IgnoredAny>(json).map_err(|error| explain(".", &error))?;
        return Err(ApiError::value("body", EXPECTED_OBJECT));
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let is_json = serde_json::from_slice::<IgnoredAny>(json).is_ok();
        if is_json && error.inner().classify() != Category::Data {
            // What `serde_json` says where an enum finds another type.
            return ApiError::value(path, "expected another type of value");
        }
        explain(&path, error.inner())
    })?;
    reader
        .end()
        .map_err(|error| ApiError::InvalidJson(shortened(&error.to_string())))?;
    Ok(value)
}

/// Refuses a list where an object must stand: `serde` would read it as the
/// object's fields in order. `path` names an object in an object, and so on.
///
/// # Errors
/// `invalid_value`.
pub fn require_objects(json: &[u8], path: &[&str]) -> Result<()> {
    let mut inside = json;
    for (depth, name) in path.iter().enumerate() {
        let Ok(mut fields) = serde_json::from_slice::<HashMap<String, &RawValue>>(inside) else {
            return Ok(());
        };
        let Some(value) = fields.remove(*name) else {
            return Ok(());
        };
        inside = value.get().as_bytes();
        if !is_object(inside) {
            return Err(ApiError::value(path[..=depth].join("."), EXPECTED_OBJECT));
        }
    }
    Ok(())
}

fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

/// [`parse`] for JSON that is the value of a field.
///
/// # Errors
/// As [`parse`], with the field's name before the path.
pub fn parse_under<T: DeserializeOwned>(parent: &str, json: &[u8]) -> Result<T> {
    parse(json).map_err(|error| match error {
        ApiError::InvalidValue { field, detail } => ApiError::InvalidValue {
            field: under(parent, &field),
            detail,
        },
        ApiError::UnknownField { field, detail } => ApiError::UnknownField {
            field: under(parent, &field),
            detail,
        },
        ApiError::MissingField { field } => ApiError::MissingField {
            field: under(parent, &field),
        },
        ApiError::InvalidJson(detail) => ApiError::value(parent, detail),
        other => other,
    })
}

fn under(parent: &str, field: &str) -> String {
    if field == "body" {
        parent.to_owned()
    } else {
        format!("{parent}.{field}")
    }
}

fn explain(path: &str, error: &serde_json::Error) -> ApiError {
    let said = error.to_string();
    if error.classify() != Category::Data {
        return ApiError::InvalidJson(shortened(&said));
    }
    let detail = without_position(&said);
    if let Some(name) = quoted_after(detail, "missing field `") {
        return ApiError::MissingField {
            field: child(path, name),
        };
    }
    if let Some(name) = quoted_after(detail, "unknown field `") {
        let name: String = name.chars().take(64).collect();
        return ApiError::UnknownField {
            field: child(path, &name),
            detail: shortened(detail),
        };
    }
    ApiError::InvalidValue {
        field: if path == "." {
            "body".into()
        } else {
            path.to_owned()
        },
        detail: shortened(detail),
    }
}

fn quoted_after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.strip_prefix(words)?.split('`').next()
}

/// `path.name`, where the path may name the root or end in the name already.
fn child(path: &str, name: &str) -> String {
    let is_there = path == name || path.ends_with(&format!(".{name}"));
    match path {
        "." | "" => name.to_owned(),
        path if is_there => path.to_owned(),
        path => format!("{path}.{name}"),
    }
}

/// serde_json ends its messages in `at line 1 column 2`.
fn without_position(said: &str) -> &str {
    said.rsplit_once(" at line ")
        .map_or(said, |(message, _)| message)
}

/// A detail that repeats words of the request, at a length to be read.
#[must_use]
pub fn shortened(text: &str) -> String {
    if text.chars().count() <= DETAIL {
        return text.to_owned();
    }
    let start: String = text.chars().take(DETAIL).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use illumine_types::api::GenerationRequest;

    use super::*;

    fn fault(json: &str) -> (&'static str, Option<String>) {
        let error = parse::<GenerationRequest>(json.as_bytes()).unwrap_err();
        (error.code(), error.problem().field)
    }

    #[test]
    fn mistakes_name_their_field() {
        for (json, code, field) in [
            ("{", "invalid_json", None),
            ("{\"prompt\":\"a\"} x", "invalid_json", None),
            ("[1]", "invalid_value", Some("body")),
            ("3", "invalid_value", Some("body")),
            ("{}", "missing_field", Some("prompt")),
            (r#"{"prompt":5}"#, "invalid_value", Some("prompt")),
            (
                r#"{"prompt":"a","promt":"b"}"#,
                "unknown_field",
                Some("promt"),
            ),
            (
                r#"{"prompt":"a","options":{"tmp":1}}"#,
                "unknown_field",
                Some("options.tmp"),
            ),
            (
                r#"{"prompt":"a","options":{"image":{"w":1}}}"#,
                "unknown_field",
                Some("options.image.w"),
            ),
            (
                r#"{"prompt":"a","options":{"temperature":"hot"}}"#,
                "invalid_value",
                Some("options.temperature"),
            ),
            (
                r#"{"prompt":"a","options":{"seed":-1}}"#,
                "invalid_value",
                Some("options.seed"),
            ),
            (
                r#"{"prompt":"a","options":{"tools":["search","fly"]}}"#,
                "invalid_value",
                Some("options.tools[1]"),
            ),
            (
                r#"{"prompt":"a","options":{"priority":"urgent"}}"#,
                "invalid_value",
                Some("options.priority"),
            ),
            (
                r#"{"prompt":"a","images":"x"}"#,
                "invalid_value",
                Some("images"),
            ),
            (
                r#"{"prompt":"a","images":[{"url":5}]}"#,
                "invalid_value",
                Some("images[0].url"),
            ),
            (
                r#"{"prompt":"a","images":[{"input_id":"../x"}]}"#,
                "invalid_value",
                Some("images[0].input_id"),
            ),
        ] {
            assert_eq!(fault(json), (code, field.map(str::to_owned)), "{json}");
        }
    }

    #[test]
    fn lists_are_no_objects() {
        for (json, field) in [
            (r#"{"options":[]}"#, Some("options")),
            (r#"{"options":{"image":[64]}}"#, Some("options.image")),
            (r#"{"options":{"image":{}}}"#, None),
            ("{}", None),
        ] {
            let refused = require_objects(json.as_bytes(), &["options", "image"]).err();
            let told = refused.and_then(|error| error.problem().field);
            assert_eq!(told.as_deref(), field, "{json}");
        }
    }

    #[test]
    fn details_do_not_repeat_the_request_at_length() {
        let json = format!(r#"{{"prompt":"a","options":"{}"}}"#, "x".repeat(100_000));
        let error = parse::<GenerationRequest>(json.as_bytes()).unwrap_err();
        assert!(error.to_string().len() < 1_000);
    }
}
