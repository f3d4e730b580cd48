//! Parquet, as pandas and Hugging Face `datasets` write it: lists of three levels,
//! pictures as structs of bytes and path.

mod levels;
mod schema;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use illumine_types::ToolKind;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnPath;

use self::levels::Column;
use super::{all_texts, messages, replace};
use crate::error::{DatasetError, Result};
use crate::row::{Message, Row};

/// Rows that a reader may have to hold at once.
const ROWS_A_GROUP: usize = 512;

type Parquet<T> = std::result::Result<T, ParquetError>;

/// Writes `rows` to `path`, compressed with zstd. Prompts are texts if all are, else
/// lists of messages; `question` is always written.
///
/// # Errors
/// [`DatasetError::Io`], [`DatasetError::Write`].
pub fn parquet(path: impl AsRef<Path>, rows: &[Row]) -> Result<()> {
    let path = path.as_ref();
    replace(path, |file| {
        write(file, rows).map_err(|error| DatasetError::Write {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    })
}

fn write(file: File, rows: &[Row]) -> Parquet<()> {
    let pictures = ColumnPath::new(
        ["images", "list", "element", "bytes"]
            .map(str::to_owned)
            .into(),
    );
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(9)?))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_dictionary_enabled(pictures, false)
        .build();
    let texts = all_texts(rows);
    let schema = Arc::new(schema::columns(texts)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    for rows in rows.chunks(ROWS_A_GROUP) {
        let mut group = writer.next_row_group()?;
        write_group(&mut group, rows, texts)?;
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// The columns in the schema's order.
fn write_group(
    group: &mut SerializedRowGroupWriter<'_, File>,
    rows: &[Row],
    texts: bool,
) -> Parquet<()> {
    let text = |text: &str| ByteArray::from(text);
    if texts {
        let prompts = Column::required(rows, |row| text(row.prompt.user_text()));
        put::<ByteArrayType>(group, &prompts)?;
    } else {
        let part = |part: fn(&Message) -> &str| {
            Column::list(rows, 1, |row| {
                let messages = messages(row);
                messages.iter().map(|m| Some(text(part(m)))).collect()
            })
        };
        put::<ByteArrayType>(group, &part(|message| &message.content))?;
        put::<ByteArrayType>(group, &part(|message| message.role.as_str()))?;
    }
    let bytes = Column::list(rows, 1, |row| {
        let pictures = row.images.iter();
        pictures
            .map(|picture| Some(ByteArray::from(picture.bytes.to_vec())))
            .collect()
    });
    put::<ByteArrayType>(group, &bytes)?;
    let paths = Column::list(rows, 2, |row| {
        let pictures = row.images.iter();
        pictures
            .map(|picture| picture.path.as_deref().map(text))
            .collect()
    });
    put::<ByteArrayType>(group, &paths)?;
    let source = Column::required(rows, |row| text(&row.data_source));
    put::<ByteArrayType>(group, &source)?;
    let split = |row: &Row| row.extra_info.split.map(|split| text(split.as_str()));
    put::<ByteArrayType>(group, &Column::optional(rows, split))?;
    let number = |row: &Row| row.extra_info.image_num.number();
    put::<Int64Type>(group, &Column::required(rows, number))?;
    let tools = Column::list(rows, 1, |row| {
        let names = row.extra_info.tools.iter().copied().map(ToolKind::as_str);
        names.map(|name| Some(text(name))).collect()
    });
    put::<ByteArrayType>(group, &tools)?;
    let question = Column::required(rows, |row| text(row.question()));
    put::<ByteArrayType>(group, &question)?;
    let index = Column::optional(rows, |row| row.extra_info.index);
    put::<Int64Type>(group, &index)
}

fn put<D: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    column: &Column<D::T>,
) -> Parquet<()> {
    let mut writer = group
        .next_column()?
        .ok_or_else(|| ParquetError::General("more columns than the schema has".to_owned()))?;
    let (definition, repetition) = (column.definition.as_deref(), column.repetition.as_deref());
    writer
        .typed::<D>()
        .write_batch(&column.values, definition, repetition)?;
    writer.close()
}
