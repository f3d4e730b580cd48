//! JSON as Python's `json.dumps(value, ensure_ascii=False)` writes it, which is
//! what `tojson` means in a chat template; models saw exactly these spaces.

use std::io;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// The filter `tojson`, with its optional `indent`.
pub(super) fn tojson(value: &Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let bytes = match indent {
        Some(width) => {
            let spaces = " ".repeat(width);
            write(value, PrettyFormatter::with_indent(spaces.as_bytes()))
        }
        None => write(value, OneLine),
    };
    let text = bytes
        .and_then(|bytes| String::from_utf8(bytes).map_err(serde::ser::Error::custom))
        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Value::from_safe_string(text))
}

fn write(value: &Value, formatter: impl Formatter) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(bytes)
}

/// A space after each comma and colon.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use minijinja::Environment;

    fn render(template: &str) -> String {
        let mut environment = Environment::new();
        environment.add_filter("tojson", super::tojson);
        environment.render_str(template, ()).unwrap()
    }

    #[test]
    fn spaces_and_letters_are_pythons() {
        assert_eq!(
            render("{{ {'a': [1, 2.5, true, none], 'b': 'é<\"'} | tojson }}"),
            r#"{"a": [1, 2.5, true, null], "b": "é<\""}"#
        );
        assert_eq!(render("{{ [] | tojson }}{{ {} | tojson }}"), "[]{}");
    }

    #[test]
    fn indentation_breaks_lines() {
        assert_eq!(
            render("{{ {'a': [1]} | tojson(indent=2) }}"),
            "{\n  \"a\": [\n    1\n  ]\n}"
        );
    }
}
