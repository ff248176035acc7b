//! Parquet: one file in memory, row group by row group, out and in.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow2::datatypes::{Field, Schema as ArrowSchema};
use arrow2::io::parquet::read::RowGroupMetaData;
use arrow2::io::parquet::write::{
    CompressionOptions, Encoding, FileWriter, RowGroupIterator, Version, WriteOptions, to_parquet_schema,
};

use crate::layout::Layout;
use crate::rows::{Chunk, Column, Schema};
use crate::{footer, pages};

/// Rows in a row group at most: readers skip and hold whole groups.
pub const GROUP_ROWS: usize = 65_536;
/// Text at which a row group is ended, where rows are long.
pub const GROUP_TEXT_BYTES: usize = 8 << 20;
/// Bytes at which a page is ended.
pub(crate) const PAGE_BYTES: usize = 1 << 20;

/// A file that cannot be written, or is not the one that was written.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ParquetError {
    what: String,
    source: Option<arrow2::error::Error>,
}

impl ParquetError {
    pub(crate) fn refused(what: String) -> Self {
        Self { what, source: None }
    }
}

impl From<arrow2::error::Error> for ParquetError {
    fn from(error: arrow2::error::Error) -> Self {
        Self { what: "Parquet cannot be read or written".to_owned(), source: Some(error) }
    }
}

pub(crate) const OPTIONS: WriteOptions = WriteOptions {
    write_statistics: true,
    // Zstandard's default level: a third of the size at a tenth of the time that COPY needs for the same rows.
    compression: CompressionOptions::Zstd(None),
    // Readers that are not the newest know only the first version of data pages.
    version: Version::V1,
    data_pagesize_limit: Some(PAGE_BYTES),
};

/// A file being written.
pub struct Writer {
    file: FileWriter<Counted>,
    schema: ArrowSchema,
    written: Arc<AtomicU64>,
    rows: u64,
}

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// When the schema has no form in Parquet.
    pub fn new(schema: &Schema) -> Result<Self, ParquetError> {
        let schema = arrow_schema(schema);
        let written = Arc::new(AtomicU64::new(0));
        let sink = Counted { bytes: Vec::new(), written: Arc::clone(&written) };
        let file = FileWriter::try_new(sink, schema.clone(), OPTIONS)?;
        Ok(Self { file, schema, written, rows: 0 })
    }

    /// Adds the rows as one row group.
    ///
    /// # Errors
    /// When they are of another schema, or more than [`GROUP_ROWS`].
    pub fn write(&mut self, rows: Chunk) -> Result<(), ParquetError> {
        if rows.len() > GROUP_ROWS {
            return Err(ParquetError::refused(format!("a row group of {} rows, more than {GROUP_ROWS}", rows.len())));
        }
        self.rows += rows.len() as u64;
        let encodings = self.schema.fields.iter().map(|_| vec![Encoding::Plain]).collect();
        for group in RowGroupIterator::try_new(std::iter::once(Ok(rows.0)), &self.schema, OPTIONS, encodings)? {
            self.file.write(group?)?;
        }
        Ok(())
    }

    /// Bytes written so far, without the footer.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Rows written so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file and gives its bytes.
    ///
    /// # Errors
    /// When the footer cannot be encoded.
    pub fn finish(mut self) -> Result<Vec<u8>, ParquetError> {
        self.file.end(None)?;
        Ok(self.file.into_inner().bytes)
    }
}

/// A file in memory that tells its size while a writer owns it.
struct Counted {
    bytes: Vec<u8>,
    written: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The row groups of a file, one [`Chunk`] each.
pub struct Reader<B: AsRef<[u8]>> {
    bytes: B,
    fields: Vec<Field>,
    groups: std::vec::IntoIter<RowGroupMetaData>,
}

impl<B: AsRef<[u8]>> Reader<B> {
    /// Opens a file that [`Writer`] wrote with the same schema. The caller has verified its digest: Parquet from anywhere
    /// else is not given to this reader. It may panic at such a file; it does not take memory without end.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn new(bytes: B, schema: &Schema) -> Result<Self, ParquetError> {
        let arrow = arrow_schema(schema);
        let groups = footer::read(bytes.as_ref(), &to_parquet_schema(&arrow)?)?.into_iter();
        Ok(Self { bytes, fields: arrow.fields, groups })
    }
}

impl<B: AsRef<[u8]>> Iterator for Reader<B> {
    type Item = Result<Chunk, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.groups.find(|group| group.num_rows() > 0)?;
        Some(pages::read(self.bytes.as_ref(), &group, &self.fields).map(Chunk))
    }
}

pub(crate) fn arrow_schema(schema: &Schema) -> ArrowSchema {
    let field = |column: &Column| Field::new(&column.name, Layout::of(column.value).declared, true);
    schema.0.iter().map(field).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use catalog::{PgType, TypeName, ValueType};

    use super::*;
    use crate::{Cell, Rows, copy};

    fn schema() -> Schema {
        let values = [
            ValueType::SmallInt,
            ValueType::Integer,
            ValueType::BigInt,
            ValueType::Numeric { precision: 5, scale: 2 },
            ValueType::Numeric { precision: 18, scale: 4 },
            ValueType::Numeric { precision: 38, scale: 0 },
            ValueType::Real,
            ValueType::Double,
            ValueType::Boolean,
            ValueType::Text,
            ValueType::Date,
            ValueType::Time,
            ValueType::Timestamp,
            ValueType::TimestampTz,
            ValueType::Uuid,
            ValueType::Json,
            ValueType::JsonB,
        ];
        Schema(values.into_iter().enumerate().map(|(at, value)| Column { name: format!("c{at}"), value }).collect())
    }

    fn row(number: i64) -> Vec<Cell<'static>> {
        let texts = ["", "NULL", "\\N", "é \"quoted\", \n", "007"];
        let text = || Cell::Text(texts[usize::try_from(number).unwrap() % texts.len()].into());
        vec![
            Cell::Int(number % 100),
            Cell::Int(-number),
            Cell::Int(i64::MAX - number),
            Cell::Decimal(i128::from(number)),
            Cell::Decimal(-10_i128.pow(17)),
            Cell::Decimal(10_i128.pow(37) + i128::from(number)),
            Cell::Float(0.5),
            Cell::Float(f64::MAX),
            Cell::Bool(number % 2 == 0),
            text(),
            Cell::Int(19_000 + number),
            Cell::Int(number),
            Cell::Int(-number),
            Cell::Int(number),
            Cell::Text("550e8400-e29b-41d4-a716-446655440000".into()),
            Cell::Text("{}".into()),
            Cell::Text("[]".into()),
        ]
    }

    /// What goes into Postgres is the same before and after Parquet, over several row groups and with NULL everywhere.
    #[test]
    fn every_type_survives_the_file() {
        let schema = schema();
        let mut writer = Writer::new(&schema).unwrap();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for group in 0..3_i64 {
            let mut rows = Rows::new(schema.clone());
            for number in 0..100 {
                rows.push(&row(group * 100 + number)).unwrap();
                rows.push(&vec![Cell::Null; schema.0.len()]).unwrap();
            }
            let chunk = rows.take();
            copy::encode(&schema, &chunk, 0..chunk.len(), &mut before).unwrap();
            writer.write(chunk).unwrap();
        }
        assert_eq!(writer.rows(), 600);
        let file = writer.finish().unwrap();
        for chunk in Reader::new(&file, &schema).unwrap() {
            let chunk = chunk.unwrap();
            copy::encode(&schema, &chunk, 0..chunk.len(), &mut after).unwrap();
        }
        assert!(before == after, "the values differ");
    }

    #[test]
    fn every_example_of_the_catalogue_is_carried() {
        for name in TypeName::ALL {
            let (declared, example) = name.row().example;
            let value = PgType::parse(declared).unwrap().value;
            let schema = Schema(vec![Column { name: declared.to_owned(), value }]);
            let cell = crate::parse(value, example.into()).unwrap();
            let mut rows = Rows::new(schema.clone());
            rows.push(&[cell]).unwrap();
            let chunk = rows.take();
            let (mut before, mut after) = (Vec::new(), Vec::new());
            copy::encode(&schema, &chunk, 0..1, &mut before).unwrap();
            let mut writer = Writer::new(&schema).unwrap();
            writer.write(chunk).unwrap();
            let file = writer.finish().unwrap();
            let chunk = Reader::new(&file, &schema).unwrap().next().unwrap().unwrap();
            let shown = chunk.text(value, 0, 0).unwrap();
            assert!(!shown.is_empty() && chunk.text(value, 0, 1).is_none() && chunk.text(value, 1, 0).is_none());
            copy::encode(&schema, &chunk, 0..1, &mut after).unwrap();
            assert!(before == after && before.len() > 6, "{declared}: {before:?}, {after:?}");
        }
    }

    #[test]
    fn another_schema_or_a_cut_file_is_refused() {
        let schema = schema();
        let mut writer = Writer::new(&schema).unwrap();
        let mut rows = Rows::new(schema.clone());
        rows.push(&row(1)).unwrap();
        writer.write(rows.take()).unwrap();
        let file = writer.finish().unwrap();
        let other = Schema(schema.0[1..].to_vec());
        assert!(Reader::new(&file, &other).is_err());
        let cut = Reader::new(&file[..file.len() - 1], &schema).err().unwrap();
        assert!(std::error::Error::source(&cut).is_some(), "{cut}: without its cause");
    }

    #[test]
    fn cells_of_another_type_are_refused() {
        let mut rows = Rows::new(Schema(vec![Column { name: "n".into(), value: ValueType::Integer }]));
        assert!(rows.push(&[Cell::Text("1".into())]).is_err());
        let mut rows = Rows::new(Schema(vec![Column { name: "n".into(), value: ValueType::Integer }]));
        assert!(rows.push(&[Cell::Int(1 << 40)]).is_err());
        assert!(rows.push(&[]).is_err());
    }
}
