//! Parquet, a small batch of records at a time.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::record::{Field, Row as Record};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use crate::error::{DatasetError, Result};
use crate::row::parse::Parser;
use crate::row::{COLUMNS, EXTRA_INFO};
use crate::value::Value;

/// Records decoded ahead: with pictures inside they are large.
const BATCH: usize = 16;
const FORMAT: &str = "Parquet";

/// The records of a file.
pub(super) struct Rows {
    path: PathBuf,
    file: SerializedFileReader<File>,
    /// The known columns alone: others are not decoded.
    schema: SchemaDescPtr,
    group: usize,
    records: Option<ReaderIter>,
    number: u64,
}

impl Rows {
    pub(super) fn open(path: &Path, parser: &Parser<'_>) -> Result<Self> {
        let file = File::open(path).map_err(|error| DatasetError::io(path, error))?;
        let file = guarded(path, || SerializedFileReader::new(file))?;
        let schema = file.metadata().file_metadata().schema();
        for column in schema.get_fields() {
            parser.admit(None, "", column.name())?;
            if column.name() == "extra_info" && column.is_group() {
                for field in column.get_fields() {
                    parser.admit(None, "extra_info.", field.name())?;
                }
            }
        }
        let known = guarded(path, || known_columns(schema))?;
        Ok(Self {
            path: path.to_owned(),
            schema: Arc::new(SchemaDescriptor::new(Arc::new(known))),
            file,
            group: 0,
            records: None,
            number: 0,
        })
    }

    fn record(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(records) = &mut self.records
                && let Some(record) = guarded(&self.path, || records.next().transpose())?
            {
                return Ok(Some(record));
            }
            if self.group == self.file.num_row_groups() {
                return Ok(None);
            }
            let records = guarded(&self.path, || {
                let group = self.file.get_row_group(self.group)?;
                let builder = TreeBuilder::new().with_batch_size(BATCH);
                builder.as_iter(self.schema.clone(), &*group)
            })?;
            self.records = Some(records);
            self.group += 1;
        }
    }
}

impl Iterator for Rows {
    type Item = Result<(u64, Value)>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = match self.record() {
            Ok(record) => record?,
            Err(error) => return Some(Err(error)),
        };
        self.number += 1;
        Some(Ok((self.number, from_record(record))))
    }
}

/// The crate that reads Parquet asserts where some malformed files would be an error.
fn guarded<T>(path: &Path, read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|error| DatasetError::damaged(path, FORMAT, error)),
        Err(_) => Err(DatasetError::damaged(
            path,
            FORMAT,
            "its schema or its levels contradict each other",
        )),
    }
}

fn known_columns(schema: &Type) -> parquet::errors::Result<Type> {
    let mut columns = Vec::new();
    for column in schema.get_fields() {
        if !COLUMNS.contains(&column.name()) {
            continue;
        }
        if column.name() != "extra_info" || !column.is_group() {
            columns.push(column.clone());
            continue;
        }
        let fields = column.get_fields().iter();
        let fields = fields.filter(|field| EXTRA_INFO.contains(&field.name()));
        let known = Type::group_type_builder("extra_info")
            .with_repetition(column.get_basic_info().repetition())
            .with_fields(fields.cloned().collect())
            .build()?;
        columns.push(Arc::new(known));
    }
    Type::group_type_builder(schema.name())
        .with_fields(columns)
        .build()
}

fn from_record(record: Record) -> Value {
    let fields = record.into_columns().into_iter();
    Value::Struct(
        fields
            .map(|(name, field)| (name, from_field(field)))
            .collect(),
    )
}

fn from_field(field: Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(truth) => Value::Bool(truth),
        Field::Byte(number) => Value::Int(number.into()),
        Field::Short(number) => Value::Int(number.into()),
        Field::Int(number) => Value::Int(number.into()),
        Field::Long(number) => Value::Int(number),
        Field::UByte(number) => Value::Int(number.into()),
        Field::UShort(number) => Value::Int(number.into()),
        Field::UInt(number) => Value::Int(number.into()),
        Field::ULong(number) => i64::try_from(number).map_or(Value::Other("a number"), Value::Int),
        Field::Float(number) => Value::Float(number.into()),
        Field::Double(number) => Value::Float(number),
        Field::Str(text) => Value::Text(text),
        Field::Bytes(bytes) => Value::Bytes(bytes.data().to_vec()),
        Field::Group(record) => from_record(record),
        Field::ListInternal(list) => {
            Value::List(list.elements().iter().cloned().map(from_field).collect())
        }
        Field::MapInternal(_) => Value::Other("a map"),
        _ => Value::Other("a date, time or decimal"),
    }
}
