//! An untyped row becomes a [`Row`], or an error that names the field: one column a
//! file.

mod extra_info;
mod images;
mod prompt;

use std::path::Path;

use super::{COLUMNS, EXTRA_INFO, Row};
use crate::error::{DatasetError, Result};
use crate::read::{ReadOptions, UnknownColumns};
use crate::value::Value;

/// pandas writes its row labels under this name; they say nothing.
const PANDAS_INDEX: &str = "__index_level_0__";

/// Checks the rows of one file.
pub(crate) struct Parser<'a> {
    pub(crate) path: &'a Path,
    /// Of the pictures that are named by path.
    pub(crate) folder: &'a Path,
    pub(crate) options: &'a ReadOptions,
}

/// One row of the file; `number` is counted from 1.
pub(super) struct At<'a> {
    pub(super) parser: &'a Parser<'a>,
    pub(super) number: u64,
}

pub(super) type Fields = Vec<(String, Value)>;

impl Parser<'_> {
    /// The typed row.
    pub(crate) fn row(&self, number: u64, value: Value) -> Result<Row> {
        let at = At {
            parser: self,
            number,
        };
        let Value::Struct(mut fields) = value else {
            let reason = format!("is {} where an object is wanted", value.kind());
            return Err(at.refuse("(row)", reason, "write one JSON object a line"));
        };
        at.known_only(&fields)?;
        let prompt = at.prompt(take(&mut fields, "prompt"))?;
        let mut extra_info = at.extra_info(take(&mut fields, "extra_info"))?;
        // Most files repeat the prompt here; one of the two is enough.
        extra_info.question = extra_info
            .question
            .filter(|text| text != prompt.user_text());
        Ok(Row {
            prompt: prompt.with_system(&self.options.system),
            images: at.images(take(&mut fields, "images"))?,
            data_source: at
                .text("data_source", take(&mut fields, "data_source"))?
                .unwrap_or_default(),
            extra_info,
        })
    }

    /// Whether `column` (with `prefix` when inside another) may stand in a file.
    pub(crate) fn admit(&self, row: Option<u64>, prefix: &str, column: &str) -> Result<()> {
        let known: &[&str] = match prefix {
            "" => &COLUMNS,
            _ => &EXTRA_INFO,
        };
        let ignored = self.options.unknown_columns == UnknownColumns::Ignore;
        if ignored || known.contains(&column) || column == PANDAS_INDEX {
            return Ok(());
        }
        let named: Vec<String> = known
            .iter()
            .map(|name| format!("`{prefix}{name}`"))
            .collect();
        Err(DatasetError::UnknownColumn {
            path: self.path.to_owned(),
            row,
            column: format!("{prefix}{column}"),
            known: named.join(", "),
        })
    }
}

impl At<'_> {
    fn known_only(&self, fields: &Fields) -> Result<()> {
        for (name, _) in fields {
            self.parser.admit(Some(self.number), "", name)?;
        }
        Ok(())
    }

    pub(super) fn text(&self, field: &str, value: Value) -> Result<Option<String>> {
        match value {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(self.wrong(field, &other, "text", "write text or leave it out")),
        }
    }

    /// A column of integers that has a gap reaches us as decimal numbers: pandas
    /// knows no other way.
    pub(super) fn integer(&self, field: &str, value: Value) -> Result<Option<i64>> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match value {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            Value::Float(number) if number.is_nan() => Ok(None),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < EXACT => {
                Ok(Some(number as i64))
            }
            other => Err(self.wrong(field, &other, "an integer", "write a whole number")),
        }
    }

    pub(super) fn wrong(
        &self,
        field: &str,
        value: &Value,
        wanted: &str,
        remedy: &str,
    ) -> DatasetError {
        let reason = format!("is {} where {wanted} is wanted", value.kind());
        self.refuse(field, reason, remedy)
    }

    pub(super) fn refuse(
        &self,
        field: &str,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> DatasetError {
        DatasetError::Field {
            path: self.parser.path.to_owned(),
            row: self.number,
            field: field.to_owned(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

/// The value of `name`, which is then gone; null when there is none.
pub(super) fn take(fields: &mut Fields, name: &str) -> Value {
    let index = fields.iter().position(|(field, _)| field == name);
    index.map_or(Value::Null, |index| fields.swap_remove(index).1)
}
