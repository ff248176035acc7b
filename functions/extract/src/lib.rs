//! Reads one source table into CSV on S3: `COPY` streams through, counted and hashed in passing, never parsed.
//!
//! A read that is expected to be long is cut into slices by the table's key; each is recorded when it is written, and a
//! function whose time runs out answers `unfinished`, to go on from there when it is asked again.
//!
//! ```no_run
//! # async fn example(request: catalog::message::ExtractRequest, host: &host::Host) -> catalog::Result<()> {
//! let extracted = extract::handle(request, host).await?;
//! assert_eq!(extracted.status, catalog::message::StepStatus::Done);
//! # Ok(())
//! # }
//! ```

mod parts;
mod server;
mod statement;

use std::time::{Duration, Instant};

use catalog::deployment::metric::Metric;
use catalog::key::Key;
use catalog::manifest::{ExtractManifest, ManifestColumn, Part, SliceRecord};
use catalog::message::{ExtractRequest, Extracted, StepStatus};
use catalog::{Error, Fault, Result, Side, Table, Window};
use futures_util::TryStreamExt as _;
use host::lake::Created;
use host::metrics;
use host::postgres::{classify, snapshot};
use host::{Bucket, Host, Needs, RuntimeError};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::parts::PartWriter;
use crate::statement::{Range, Select};

/// Left for recording a slice and answering, beside the time that reading it takes.
const MARGIN: Duration = Duration::from_secs(5);

/// Serves calls of the function until the Runtime API goes away.
///
/// # Errors
/// When the Runtime API cannot be spoken to.
pub async fn serve() -> std::result::Result<(), RuntimeError> {
    host::serve(Needs::SOURCE, handle).await
}

/// Reads a table, or goes on reading it.
///
/// # Errors
/// What source or lake answered. Nothing that a failed try wrote is trusted by a later one, but recorded slices.
pub async fn handle(request: ExtractRequest, host: &Host) -> Result<Extracted> {
    let began = Instant::now();
    let table = host.catalog.table(request.table.as_str()).ok_or_else(|| {
        Error::new(
            Fault::DeploymentInProgress,
            format!("the catalogue of this function has no table {}", request.table),
        )
    })?;
    host.catalog.agree_on_table(table, &request.plan.definition)?;
    let (Some(source), Some(state)) = (&request.source, &request.plan.state) else {
        return Ok(Extracted { table: request.table, status: StepStatus::Skipped, rows: 0, bytes: 0, state: None });
    };
    let manifest_key = Key::manifest(&table.name, &request.batch.name).to_string();
    if let Some(manifest) = host.lake.read_json::<ExtractManifest>(Bucket::Ingestion, &manifest_key).await? {
        manifest.must_be_of(&request)?;
        return Ok(answer(manifest, StepStatus::AlreadyDone));
    }
    let mut connection = host.connect(Side::Source).await?;
    server::has_come_to(&mut connection, source).await?;
    let mut reading = Reading { host, request: &request, table, source: connection };
    let read = reading.all_parts().await.map_err(|error| error.while_doing(format!("extract {}", table.name)))?;
    let (rows, bytes) = (read.parts.iter().map(|part| part.rows).sum(), read.parts.iter().map(|part| part.bytes).sum());
    if !read.complete {
        let table = request.table.clone();
        return Ok(Extracted { table, status: StepStatus::Unfinished, rows, bytes, state: None });
    }
    let manifest = ExtractManifest {
        table: table.name.clone(),
        batch: request.batch.clone(),
        read: request.plan.read,
        definition: request.plan.definition.clone(),
        source: source.identity.clone(),
        state: state.clone(),
        window: Window { from: state.horizon, until: snapshot(&mut reading.source).await?.next },
        columns: table.columns.iter().map(ManifestColumn::from).collect(),
        parts: read.parts,
        rows,
        bytes,
    };
    let (manifest, created) = host.lake.create_json(Bucket::Ingestion, &manifest_key, manifest).await?;
    metrics::record(
        host,
        "extracted",
        began,
        serde_json::json!({ "batch": manifest.batch.name, "table": manifest.table }),
        &[(Metric::Rows, manifest.rows), (Metric::Bytes, manifest.bytes)],
    );
    manifest.must_be_of(&request)?;
    Ok(answer(manifest, if created == Created::Now { StepStatus::Done } else { StepStatus::AlreadyDone }))
}

/// What is known of the table is what its manifest says: it may have been planned twice, and read only the first time.
fn answer(manifest: ExtractManifest, status: StepStatus) -> Extracted {
    let ExtractManifest { table, rows, bytes, state, .. } = manifest;
    Extracted { table, status, rows, bytes, state: Some(state) }
}

struct Reading<'r> {
    host: &'r Host,
    request: &'r ExtractRequest,
    table: &'r Table,
    source: PgConnection,
}

/// What is written of a table.
struct PartsRead {
    parts: Vec<Part>,
    /// Whether it is everything, or time ran out between two slices.
    complete: bool,
}

impl Reading<'_> {
    async fn all_parts(&mut self) -> Result<PartsRead> {
        let slice_rows = self.host.catalog.source.slice_rows;
        let mut slices = self.recorded_slices().await?;
        if slices.is_empty() && self.expected_rows().await?.is_some_and(|rows| rows <= slice_rows) {
            // An estimate is no bound: what turns out to be longer is cut all the same.
            if let Some(parts) = self.copy(1, &Range::default(), slice_rows).await? {
                return Ok(PartsRead { parts, complete: true });
            }
        }
        let mut complete = slices.last().is_some_and(|slice| slice.up_to.is_none());
        while !complete {
            let start = slices.last().and_then(|slice| slice.up_to.clone());
            let began = Instant::now();
            let up_to = self.key_after(start.as_ref(), slice_rows).await?;
            let first_part = slices.iter().map(|slice| slice.parts.len()).sum::<usize>() + 1;
            let range = Range { start, end: up_to.clone() };
            let parts = self.copy(first_part, &range, u64::MAX).await?.unwrap_or_default();
            let slice = self.record(slices.len() + 1, SliceRecord { up_to, parts }).await?;
            complete = slice.up_to.is_none();
            slices.push(slice);
            if self.host.call.remaining() < began.elapsed() * 2 + MARGIN {
                break;
            }
        }
        Ok(PartsRead { parts: slices.into_iter().flat_map(|slice| slice.parts).collect(), complete })
    }

    fn select(&self) -> Select<'_> {
        Select { schema: &self.host.catalog.source.schema, table: self.table, plan: &self.request.plan }
    }

    /// Rows as the plan counted them, else by the planner's statistics and the table's present size; `None` where it has
    /// neither.
    async fn expected_rows(&mut self) -> Result<Option<u64>> {
        if let Some(rows) = self.request.plan.expected_rows {
            return Ok(Some(rows));
        }
        let query = self.select().estimate();
        let rows: Option<i64> = sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_one(&mut self.source)
            .await
            .map_err(|error| classify(Side::Source, &format!("cannot read {}", self.table.name), error))?;
        Ok(rows.and_then(|rows| u64::try_from(rows).ok()))
    }

    /// The first key that a slice of `rows` rows no longer holds.
    async fn key_after(&mut self, start: Option<&Vec<String>>, rows: u64) -> Result<Option<Vec<String>>> {
        let query = self.select().key_after(start, rows);
        sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_optional(&mut self.source)
            .await
            .map_err(|error| classify(Side::Source, &format!("cannot read {}", self.table.name), error))
    }

    /// The parts of a range; `None` when there are more than `most` rows in it: what was written then does not count, as
    /// no manifest names it.
    async fn copy(&mut self, first_part: usize, range: &Range, most: u64) -> Result<Option<Vec<Part>>> {
        let statement = self.select().copy(range);
        let number = u32::try_from(first_part).map_err(|error| Error::because(Fault::Bug, "too many parts", error))?;
        let mut parts = PartWriter::new(self.host, self.table, &self.request.batch.name, number);
        let table = &self.table.name;
        let refused = |error| classify(Side::Source, &format!("cannot read {table}"), error);
        let mut rows = self.source.copy_out_raw(&statement).await.map_err(refused)?;
        // The server sends one message a row, the header first.
        while let Some(row) = rows.try_next().await.map_err(refused)? {
            parts.push(&row).await?;
            if parts.count() > most {
                drop((rows, parts));
                // The rest of the rows is on its way on this connection.
                self.source = self.host.connect(Side::Source).await?;
                return Ok(None);
            }
        }
        parts.finish().await.map(Some)
    }

    async fn recorded_slices(&self) -> Result<Vec<SliceRecord>> {
        let prefix = Key::slices(&self.table.name, &self.request.batch.name);
        let mut slices = Vec::new();
        for key in self.host.lake.all_keys(Bucket::Ingestion, &prefix).await? {
            let record = self.host.lake.read_json(Bucket::Ingestion, &key).await?;
            slices.push(record.ok_or_else(|| Error::new(Fault::LakeCorrupt, format!("{key} vanished")))?);
        }
        Ok(slices)
    }

    async fn record(&self, number: usize, slice: SliceRecord) -> Result<SliceRecord> {
        let number = u32::try_from(number).map_err(|error| Error::because(Fault::Bug, "too many slices", error))?;
        let key =
            Key::Slice { owner: self.table.name.clone(), batch: self.request.batch.name.clone(), number }.to_string();
        Ok(self.host.lake.create_json(Bucket::Ingestion, &key, slice).await?.0)
    }
}
