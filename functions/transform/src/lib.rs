//! Makes one dimension or fact: CSV in chunks → typed columns, lookups joined → Parquet. Sees no database.
//!
//! ```
//! use catalog::message::{StepStatus, TransformRequest};
//!
//! async fn twice(request: TransformRequest, host: &host::Host) -> catalog::Result<()> {
//!     let first = transform::handle(request.clone(), host).await?;
//!     let second = transform::handle(request, host).await?;
//!     assert_eq!((second.status, second.rows), (StepStatus::AlreadyDone, first.rows));
//!     Ok(())
//! }
//! ```

mod calendar;
mod lookup;
mod output;
mod program;
mod row;
mod word;

use std::time::Instant;

use catalog::deployment::metric::Metric;
use catalog::key::Key;
use catalog::manifest::{ExtractManifest, ManifestColumn, Part, Reject, TransformManifest};
use catalog::message::{Read, StepStatus, TransformRequest, Transformed};
use catalog::{BatchName, Error, Fault, Origin, ROW_VERSION, Result, Table, Target};
use columnar::Cell;
use columnar::csv::{Record, Records};
use host::lake::Created;
use host::metrics;
use host::{Bucket, Host, Needs, RuntimeError};

use crate::lookup::Lookup;
use crate::output::ParquetParts;
use crate::program::Program;
use crate::row::{RowMaker, Verdict};

/// Serves calls of the function until the Runtime API goes away.
///
/// # Errors
/// When the Runtime API cannot be spoken to.
pub async fn serve() -> std::result::Result<(), RuntimeError> {
    host::serve(Needs::LAKE, handle).await
}

/// Transforms what the plan names.
///
/// # Errors
/// `Lake.Corrupt` for a part that is not what its manifest says, `Data.Rejected` when more rows than the limit cannot be
/// taken, else what the lake answered.
pub async fn handle(request: TransformRequest, host: &Host) -> Result<Transformed> {
    let began = Instant::now();
    let target = host.catalog.target(request.target.as_str()).ok_or_else(|| {
        Error::new(
            Fault::DeploymentInProgress,
            format!("the catalogue of this function has no target {}", request.target),
        )
    })?;
    host.catalog.agree_on_target(target, &request.plan.definition)?;
    if !request.plan.build {
        return Ok(Transformed {
            target: request.target,
            status: StepStatus::Skipped,
            rows: 0,
            bytes: 0,
            deferred: 0,
            rejected: 0,
        });
    }
    let key = Key::manifest(&target.name, &request.batch.name).to_string();
    if let Some(manifest) = host.lake.read_json::<TransformManifest>(Bucket::Processed, &key).await? {
        manifest.must_be_of(&request.plan)?;
        return Ok(answer(&manifest, StepStatus::AlreadyDone));
    }
    let manifest = transform(host, &request, target)
        .await
        .map_err(|error| error.while_doing(format!("transform {}", target.name)))?;
    let (manifest, created) = host.lake.create_json(Bucket::Processed, &key, manifest).await?;
    manifest.must_be_of(&request.plan)?;
    metrics::record(
        host,
        "transformed",
        began,
        serde_json::json!({ "batch": manifest.batch.name, "target": manifest.target }),
        &[
            (Metric::Rows, manifest.rows),
            (Metric::Bytes, manifest.bytes),
            (Metric::Deferred, manifest.deferred),
            (Metric::Rejected, manifest.rejects.len() as u64),
        ],
    );
    Ok(answer(&manifest, if created == Created::Now { StepStatus::Done } else { StepStatus::AlreadyDone }))
}

fn answer(manifest: &TransformManifest, status: StepStatus) -> Transformed {
    Transformed {
        target: manifest.target.clone(),
        status,
        rows: manifest.rows,
        bytes: manifest.bytes,
        deferred: manifest.deferred,
        rejected: manifest.rejects.len() as u64,
    }
}

async fn transform(host: &Host, request: &TransformRequest, target: &Target) -> Result<TransformManifest> {
    let mut output = ParquetParts::new(host, target, &request.batch.name)?;
    let mut deferred = 0;
    let mut rejects = Vec::new();
    let mut origin = None;
    match &target.origin {
        Origin::Calendar(attributes) => calendar::write(host, request, target, attributes, &mut output).await?,
        Origin::Table(derivation) => {
            let program = Program::of_target(target, derivation)?;
            let take = async |verdict: Verdict, row: &[Cell<'_>]| {
                match verdict {
                    Verdict::Row => output.push(row).await?,
                    Verdict::Deferred => deferred += 1,
                    Verdict::Rejected(reject) => {
                        rejects.push(reject);
                        check_rejects(host, target, program.table, &rejects)?;
                    }
                }
                Ok(())
            };
            origin = each_row(host, request, target, &program, take).await?;
        }
    }
    let parts = output.finish().await?;
    Ok(TransformManifest {
        target: target.name.clone(),
        batch: request.batch.clone(),
        definition: request.plan.definition.clone(),
        sources: request.plan.sources.clone(),
        whole: origin.as_ref().is_some_and(|origin| origin.read == Read::Whole),
        window: origin.map(|origin| origin.window),
        columns: target
            .columns
            .iter()
            .map(|column| ManifestColumn { name: column.name.to_string(), value: column.value.to_string() })
            .collect(),
        rows: parts.iter().map(|part| part.rows).sum(),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        parts,
        deferred,
        rejects,
    })
}

/// Makes a row of every record of the program's origin and hands it to `take` with what became of it. Answers the manifest
/// of the origin; `None` where there is nothing new of it.
///
/// The lookups are held in the memory of `target`'s function.
async fn each_row(
    host: &Host,
    request: &TransformRequest,
    target: &Target,
    program: &Program<'_>,
    mut take: impl AsyncFnMut(Verdict, &[Cell<'_>]) -> Result<()>,
) -> Result<Option<ExtractManifest>> {
    let mut lookups = Vec::new();
    for join in &program.joins {
        lookups.push(Lookup::read(host, request, target, join).await?);
    }
    let sources = Sources::of(host, request, program.table).await?;
    let Some(manifest) = sources.manifest.clone() else { return Ok(None) };
    for source in sources.parts() {
        let maker = RowMaker { program, lookups: &lookups, window: manifest.window, part: &source.part.key };
        let body = host.lake.read_part(Bucket::Ingestion, &source.part).await?;
        let mut records = source.open(&body)?;
        let (mut record, mut row) = (Record::default(), Vec::new());
        while records.read(&mut record).map_err(|error| source.damaged(error))? {
            let verdict = maker.make(&record, &mut row).map_err(|error| source.damaged(error))?;
            take(verdict, &row).await?;
        }
    }
    Ok(Some(manifest))
}

/// A few rows are rejected; many are a mistake of the catalogue or a change of the source, and stop the batch.
fn check_rejects(host: &Host, target: &Target, table: &Table, rejects: &[Reject]) -> Result<()> {
    let limit = host.catalog.warehouse.reject_limit;
    if rejects.len() as u64 <= limit {
        return Ok(());
    }
    let first = rejects.iter().take(3).map(|reject| reject.shown(table)).collect::<Vec<_>>().join("; ");
    Err(Error::new(
        Fault::DataRejected,
        format!("more than {limit} rows of {} cannot be taken, among them {first}", target.name),
    ))
}

/// The parts that hold one source table in the batch that the plan names.
struct Sources<'s> {
    table: &'s Table,
    manifest: Option<ExtractManifest>,
}

/// One of them.
struct SourcePart<'s> {
    table: &'s Table,
    part: Part,
}

impl<'s> Sources<'s> {
    async fn of(host: &Host, request: &TransformRequest, table: &'s Table) -> Result<Self> {
        let batch: Option<&BatchName> = request.plan.sources.get(&table.name).and_then(Option::as_ref);
        let Some(batch) = batch else {
            return Ok(Self { table, manifest: None });
        };
        let key = Key::manifest(&table.name, batch).to_string();
        let manifest: Option<ExtractManifest> = host.lake.read_json(Bucket::Ingestion, &key).await?;
        let Some(manifest) = manifest else {
            return Err(Error::new(Fault::LakeCorrupt, format!("the manifest {key} is missing")));
        };
        host.catalog.agree_on_table(table, &manifest.definition)?;
        Ok(Self { table, manifest: Some(manifest) })
    }

    fn parts(self) -> impl Iterator<Item = SourcePart<'s>> {
        let table = self.table;
        self.manifest.into_iter().flat_map(|manifest| manifest.parts).map(move |part| SourcePart { table, part })
    }
}

impl SourcePart<'_> {
    /// The records of the part, its header compared with the catalogue.
    fn open<'b>(&self, body: &'b [u8]) -> Result<Records<'b>> {
        let records = Records::new(body).map_err(|error| self.damaged(error))?;
        let wanted = self.table.columns.iter().map(|column| column.name.as_str()).chain([ROW_VERSION]);
        if !records.header().iter().map(String::as_str).eq(wanted) {
            let found = records.header().join(", ");
            // The catalogue changed between extract and transform: a deployment in the middle of a batch.
            let what = format!("{} has the columns {found}, which are not those of the catalogue", self.part.key);
            return Err(Error::new(Fault::LakeCorrupt, what));
        }
        Ok(records)
    }

    fn damaged(&self, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::because(Fault::LakeCorrupt, format!("{} is damaged", self.part.key), error)
    }
}
