//! Parquet parts: rows collected into row groups, row groups into files, files into the processed bucket.

use catalog::key::{Format, Key};
use catalog::manifest::Part;
use catalog::{BatchName, Error, Fault, ROW_VERSION, Result, Target, ValueType};
use columnar::parquet::{GROUP_ROWS, GROUP_TEXT_BYTES, Writer};
use columnar::{Cell, Column, Rows, Schema};
use host::{Bucket, Host};

/// The load reads a file whole.
const FILE_BYTES: u64 = Format::Parquet.part_bytes() as u64;

pub(crate) struct ParquetParts<'o> {
    host: &'o Host,
    target: &'o Target,
    batch: &'o BatchName,
    schema: Schema,
    rows: Rows,
    file: Option<Writer>,
    written: Vec<Part>,
}

impl<'o> ParquetParts<'o> {
    pub(crate) fn new(host: &'o Host, target: &'o Target, batch: &'o BatchName) -> Result<Self> {
        let columns = target.columns.iter().map(|column| Column { name: column.name.to_string(), value: column.value });
        let version = Column { name: ROW_VERSION.to_owned(), value: ValueType::BigInt };
        let schema = Schema(columns.chain([version]).collect());
        Ok(Self { host, target, batch, rows: Rows::new(schema.clone()), schema, file: None, written: Vec::new() })
    }

    /// Adds a row: the target's columns, then the row's transaction id.
    pub(crate) async fn push(&mut self, row: &[Cell<'_>]) -> Result<()> {
        self.rows.push(row).map_err(|error| Error::because(Fault::Bug, "a row does not fit its schema", error))?;
        if self.rows.len() < GROUP_ROWS && self.rows.text_bytes() < GROUP_TEXT_BYTES {
            return Ok(());
        }
        self.end_group()?;
        if self.file.as_ref().is_some_and(|file| file.bytes() >= FILE_BYTES) { self.end_file().await } else { Ok(()) }
    }

    /// The parts in order, once all are written.
    pub(crate) async fn finish(mut self) -> Result<Vec<Part>> {
        if !self.rows.is_empty() {
            self.end_group()?;
        }
        self.end_file().await?;
        Ok(self.written)
    }

    fn end_group(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Writer::new(&self.schema).map_err(bug)?),
        };
        file.write(self.rows.take()).map_err(bug)
    }

    async fn end_file(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let number = u32::try_from(self.written.len() + 1).map_err(bug)?;
        let key = Key::Part {
            owner: self.target.name.clone(),
            batch: self.batch.clone(),
            number,
            attempt: self.host.call.attempt(),
            format: Format::Parquet,
        };
        let rows = file.rows();
        let body = file.finish().map_err(bug)?;
        self.written.push(self.host.lake.create_part(Bucket::Processed, key.to_string(), rows, body).await?);
        Ok(())
    }
}

fn bug(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::because(Fault::Bug, "cannot encode Parquet", error)
}
