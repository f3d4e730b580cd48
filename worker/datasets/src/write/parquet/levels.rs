//! A column's values and the levels that say which row each belongs to (Dremel's
//! encoding: Melnik et al. 2010, section 4.1).

use crate::row::Row;

/// What one column chunk holds.
pub(super) struct Column<T> {
    /// Those that are there.
    pub(super) values: Vec<T>,
    /// How much of the way to the value exists; none where all of it always does.
    pub(super) definition: Option<Vec<i16>>,
    /// 0 at a row's first entry, 1 at each further one; none outside lists.
    pub(super) repetition: Option<Vec<i16>>,
}

impl<T> Column<T> {
    pub(super) fn required(rows: &[Row], value: impl Fn(&Row) -> T) -> Self {
        Self {
            values: rows.iter().map(value).collect(),
            definition: None,
            repetition: None,
        }
    }

    pub(super) fn optional(rows: &[Row], value: impl Fn(&Row) -> Option<T>) -> Self {
        let values: Vec<Option<T>> = rows.iter().map(value).collect();
        let levels = values.iter().map(|value| i16::from(value.is_some()));
        Self {
            definition: Some(levels.collect()),
            repetition: None,
            values: values.into_iter().flatten().collect(),
        }
    }

    /// A list a row. `depth` is the level of an entry that is there: 1, or 2 where
    /// entries may be null.
    pub(super) fn list(rows: &[Row], depth: i16, entries: impl Fn(&Row) -> Vec<Option<T>>) -> Self {
        let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let entries = entries(row);
            if entries.is_empty() {
                definition.push(0);
                repetition.push(0);
            }
            for (index, entry) in entries.into_iter().enumerate() {
                definition.push(depth - i16::from(entry.is_none()));
                repetition.push(i16::from(index > 0));
                values.extend(entry);
            }
        }
        Self {
            values,
            definition: Some(definition),
            repetition: Some(repetition),
        }
    }
}
