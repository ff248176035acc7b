//! CSV parts: rows collected until a part is large enough, then written while the next one is read.

use catalog::key::{Format, Key};
use catalog::manifest::Part;
use catalog::{BatchName, Error, Fault, Result, Table};
use host::{Bucket, Host};
use tokio::task::JoinSet;

const PART_BYTES: usize = Format::Csv.part_bytes();
/// Parts on their way while the next is filled.
const IN_FLIGHT: usize = 2;

pub(crate) struct PartWriter<'w> {
    host: &'w Host,
    table: &'w Table,
    batch: &'w BatchName,
    number: u32,
    header: Vec<u8>,
    buffer: Vec<u8>,
    rows: u64,
    before: u64,
    writing: JoinSet<Result<(u32, Part)>>,
    written: Vec<(u32, Part)>,
}

impl<'w> PartWriter<'w> {
    /// Begins with part `number`.
    pub(crate) fn new(host: &'w Host, table: &'w Table, batch: &'w BatchName, number: u32) -> Self {
        let writing = JoinSet::new();
        Self {
            host,
            table,
            batch,
            number,
            header: Vec::new(),
            buffer: Vec::new(),
            rows: 0,
            before: 0,
            writing,
            written: Vec::new(),
        }
    }

    /// Adds a line: the header first, then one line a row.
    pub(crate) async fn push(&mut self, line: &[u8]) -> Result<()> {
        if self.header.is_empty() {
            self.header = line.to_vec();
            return Ok(());
        }
        if self.buffer.is_empty() {
            self.buffer.extend_from_slice(&self.header);
        }
        self.buffer.extend_from_slice(line);
        self.rows += 1;
        if self.buffer.len() >= PART_BYTES { self.write().await } else { Ok(()) }
    }

    /// Rows added so far.
    pub(crate) fn count(&self) -> u64 {
        self.before + self.rows
    }

    /// The parts in order, once all are written.
    pub(crate) async fn finish(mut self) -> Result<Vec<Part>> {
        if self.rows > 0 {
            self.write().await?;
        }
        while !self.writing.is_empty() {
            self.wait_for_one().await?;
        }
        self.written.sort_by_key(|(number, _)| *number);
        Ok(self.written.into_iter().map(|(_, part)| part).collect())
    }

    async fn write(&mut self) -> Result<()> {
        while self.writing.len() >= IN_FLIGHT {
            self.wait_for_one().await?;
        }
        let (number, rows, lake) = (self.number, self.rows, self.host.lake.clone());
        let key = Key::Part {
            owner: self.table.name.clone(),
            batch: self.batch.clone(),
            number,
            attempt: self.host.call.attempt(),
            format: Format::Csv,
        };
        let body = std::mem::replace(&mut self.buffer, Vec::with_capacity(PART_BYTES + PART_BYTES / 8));
        self.writing.spawn(async move {
            Ok((number, lake.create_part(Bucket::Ingestion, key.to_string(), rows, body).await?))
        });
        self.number += 1;
        self.before += std::mem::take(&mut self.rows);
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<()> {
        match self.writing.join_next().await {
            Some(Ok(written)) => self.written.push(written?),
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(error)) => return Err(Error::because(Fault::Bug, "writing a part ended early", error)),
            None => {}
        }
        Ok(())
    }
}
