//! A small warehouse, and batches for it as the transform leaves them in the lake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use catalog::key::{Format, Key};
use catalog::ledger::LedgerTable;
use catalog::manifest::{ManifestColumn, Reject, TransformManifest};
use catalog::message::{Extracted, LoadRequest, Loaded, StepStatus, TargetPlan};
use catalog::state::{Counters, SourceIdentity, State, TableState};
use catalog::{
    Batch, BatchName, Catalog, Deployment, Fault, Function, Horizon, ROW_VERSION, Result, Side, Target, ValueType,
    Window,
};
use columnar::parquet::Writer;
use columnar::{Cell, Column, Rows, Schema};
use host::{Bucket, Host};
use sqlx::PgConnection;
use testbed::Testbed;

/// A dimension, and a fact with a key of two columns that refers to it twice.
pub(crate) const CATALOGUE: &str = "
[pipeline]
name = 'shop'
[source]
lock_timeout = '100ms'
[source.tables.staff]
key = 'id'
capture = 'snapshot'
columns = { id = 'integer', name = 'text null' }
[source.tables.line]
key = ['number', 'place']
capture = 'changes'
[source.tables.line.columns]
number = 'integer'
place = 'text'
seller = 'integer null'
packer = 'integer null'
note = 'text null'
[dimensions.dim_staff]
from = 'staff'
columns = { id = 'id', name = 'name' }
[facts.fact_line]
from = 'line'
surrogate_key = 'version'
[facts.fact_line.columns]
number = 'number'
place = 'place'
seller = { from = 'seller', references = 'dim_staff' }
packer = { from = 'packer', references = 'dim_staff' }
note = 'note'
";

/// Rows written before it are not brought again by the next batch.
pub(crate) const HORIZON: i64 = 1_000;
/// No read sees rows written at or after it.
const UNTIL: u64 = 2_000;

/// A test's warehouse, and the batch that is newest in it.
pub(crate) struct Shop {
    pub(crate) bed: Testbed,
    pub(crate) newest: Option<BatchName>,
}

/// What a batch brings for one target.
#[derive(Clone)]
pub(crate) struct Brings {
    pub(crate) target: &'static str,
    /// Values as Postgres prints them.
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// The transaction that wrote the rows.
    pub(crate) version: i64,
    /// Rows that the transform could not take.
    pub(crate) rejects: Vec<Reject>,
    pub(crate) verify_key: bool,
    /// Whether they are all that there is in the source.
    pub(crate) whole: bool,
    /// Rows that lack their lookup and come again.
    pub(crate) deferred: u64,
}

/// Rows as texts: fields with `|` between them, `NULL` for none.
pub(crate) fn brings(target: &'static str, rows: &[&str]) -> Brings {
    let field = |text: &str| (text != "NULL").then(|| text.to_owned());
    let rows = rows.iter().map(|row| row.split('|').map(field).collect()).collect();
    Brings { target, rows, version: HORIZON - 1, rejects: Vec::new(), verify_key: false, whole: false, deferred: 0 }
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with(CATALOGUE).await
    }

    pub(crate) async fn with(catalogue: &str) -> Self {
        Self { bed: Testbed::new(catalogue).await, newest: None }
    }

    /// The catalogue is another one from now on. The functions read the copy that the stack made when it started.
    pub(crate) fn becomes(&mut self, catalogue: &str) {
        let catalog = Catalog::parse("pipeline.toml", catalogue).unwrap_or_else(|problems| panic!("{problems}"));
        self.bed.stack.deployment = Deployment::on_laptop(Arc::new(catalog));
        std::fs::write(self.bed.folder.path().join("home/pipeline.toml"), catalogue).expect("a temporary file");
    }

    /// A batch that starts now and builds on the newest one; what it brings is in the lake.
    pub(crate) async fn batch(&self, name: &str, brought: &[Brings]) -> LoadRequest {
        let name = BatchName::new(name).expect("a name");
        let batch = Batch { name, started: host::now() };
        let targets = &self.bed.catalog().warehouse.targets;
        for brings in brought {
            let target = targets.iter().find(|target| target.name.as_str() == brings.target).expect("it is there");
            self.write(&batch, target, brings).await;
        }
        let plan = |target: &Target| {
            let brings = brought.iter().find(|brings| brings.target == target.name.as_str());
            TargetPlan {
                build: brings.is_some(),
                sources: BTreeMap::new(),
                verify_key: brings.is_some_and(|brings| brings.verify_key),
                definition: self.bed.catalog().fingerprint(target),
                rebuild: false,
            }
        };
        LoadRequest {
            base: self.newest.clone(),
            targets: targets.iter().map(|target| (target.name.clone(), plan(target))).collect(),
            extracted: self.extracted(&batch),
            next: State {
                batch: batch.clone(),
                source: source(),
                life: None,
                tables: BTreeMap::new(),
                targets: BTreeMap::new(),
            },
            batch,
        }
    }

    async fn write(&self, batch: &Batch, target: &std::sync::Arc<Target>, brings: &Brings) {
        let host = self.bed.host(Function::Transform(target)).await;
        let columns = target.columns.iter();
        let columns = columns.map(|column| Column { name: column.name.to_string(), value: column.value });
        let version = Column { name: ROW_VERSION.to_owned(), value: ValueType::BigInt };
        let schema = Schema(columns.chain([version]).collect());
        let mut rows = Rows::new(schema.clone());
        for row in &brings.rows {
            let cell = |(text, column): (&Option<String>, &Column)| match text {
                Some(text) => columnar::parse(column.value, text.clone().into()).expect("a value of its type"),
                None => Cell::Null,
            };
            let mut cells: Vec<Cell<'_>> = row.iter().zip(&schema.0).map(cell).collect();
            cells.push(Cell::Int(brings.version));
            rows.push(&cells).expect("the row fits");
        }
        let mut parts = Vec::new();
        if !rows.is_empty() {
            let mut file = Writer::new(&schema).expect("a file");
            file.write(rows.take()).expect("the rows fit");
            let (count, body) = (file.rows(), file.finish().expect("a file"));
            let key = Key::Part {
                owner: target.name.clone(),
                batch: batch.name.clone(),
                number: 1,
                attempt: host.call.attempt(),
                format: Format::Parquet,
            };
            let part = host.lake.create_part(Bucket::Processed, key.to_string(), count, body).await;
            parts.push(part.expect("the lake takes it"));
        }
        let column = |column: &catalog::TargetColumn| ManifestColumn {
            name: column.name.to_string(),
            value: column.value.to_string(),
        };
        let manifest = TransformManifest {
            target: target.name.clone(),
            batch: batch.clone(),
            definition: self.bed.catalog().fingerprint(target),
            sources: BTreeMap::new(),
            whole: brings.whole,
            window: Some(Window { from: Horizon::new(HORIZON.unsigned_abs()), until: Horizon::new(UNTIL) }),
            columns: target.columns.iter().map(column).collect(),
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            parts,
            deferred: brings.deferred,
            rejects: brings.rejects.clone(),
        };
        let key = Key::manifest(&target.name, &batch.name).to_string();
        host.lake.create_json(Bucket::Processed, &key, manifest).await.expect("the lake takes it");
    }

    /// Every table, read to its end in this batch.
    fn extracted(&self, batch: &Batch) -> Vec<Extracted> {
        let state = TableState {
            batch: batch.name.clone(),
            horizon: Horizon::new(HORIZON.unsigned_abs()),
            counters: Some(Counters { inserted: 1, updated: 2, deleted: 3, since: None }),
            fingerprint: "as it was".to_owned(),
            cursor: None,
            read_at: batch.started,
        };
        let tables = self.bed.catalog().source.tables.iter();
        let read = tables.map(|table| Extracted {
            table: table.name.clone(),
            status: StepStatus::Done,
            rows: 1,
            bytes: 1,
            state: Some(state.clone()),
        });
        read.collect()
    }

    /// Loads a batch, as it was asked.
    pub(crate) async fn handle(&self, request: &LoadRequest) -> Result<Loaded> {
        Box::pin(load::handle(request.clone(), &self.host().await)).await
    }

    /// Loads a new batch on top of the newest one.
    pub(crate) async fn load(&mut self, name: &str, brought: &[Brings]) -> Loaded {
        let request = self.batch(name, brought).await;
        let loaded = self.handle(&request).await.unwrap_or_else(|error| panic!("{}", error.report()));
        self.newest = Some(request.batch.name);
        loaded
    }

    /// Insists that a load fails with that fault, and with all of these words.
    pub(crate) async fn refuses(&self, request: &LoadRequest, fault: Fault, words: &[&str]) {
        let error = self.handle(request).await.expect_err("it fails");
        let report = error.report();
        assert_eq!(error.fault(), fault, "{report}");
        for word in words {
            assert!(report.contains(word), "{word:?} is not in {report}");
        }
    }

    /// What `load` stands on.
    pub(crate) async fn host(&self) -> Host {
        self.bed.host(Function::Load).await
    }

    /// The state that the ledger names for a batch.
    pub(crate) async fn state_of(&mut self, batch: &Batch) -> State {
        let table = self.table(LedgerTable::Batch);
        let key = self.ask(&format!("SELECT state_key FROM {table} WHERE batch = '{batch}'")).await;
        let state = self.host().await.lake.read_json(Bucket::Processed, &key).await.expect("the lake answers");
        state.unwrap_or_else(|| panic!("{key} is there"))
    }

    /// A table of the ledger.
    pub(crate) fn table(&self, table: LedgerTable) -> String {
        table.of(&self.bed.catalog().warehouse)
    }

    /// One value from the warehouse, as text.
    pub(crate) async fn ask(&mut self, query: &str) -> String {
        self.bed.ask_warehouse(query).await
    }

    /// Ends a holder's transaction once that many others wait for an advisory lock.
    pub(crate) async fn release(&self, mut holder: PgConnection, waiting: u32) {
        let query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let mut server = self.bed.superuser(Side::Warehouse).await;
        let all_wait = async {
            let mut looks = tokio::time::interval(Duration::from_millis(2));
            while testbed::ask(&mut server, query).await != waiting.to_string() {
                looks.tick().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all_wait).await.expect("they come to wait");
        testbed::execute(&mut holder, "ROLLBACK").await;
    }

    /// Every row of both tables with its place and the transaction that wrote it: what is written again shows.
    pub(crate) async fn places(&mut self) -> String {
        let query = "SELECT string_agg(t, '; ' ORDER BY t) FROM (
                         SELECT concat_ws(' ', ctid, xmin, d::text) FROM dim_staff AS d
                         UNION ALL SELECT concat_ws(' ', ctid, xmin, f::text) FROM fact_line AS f) AS rows (t)";
        self.ask(query).await
    }

    /// The versions of facts in their order, without the surrogate key.
    pub(crate) async fn lines(&mut self) -> String {
        let row = "concat_ws('|', number, place, coalesce(seller::text, 'NULL'), coalesce(packer::text, 'NULL'), coalesce(note, 'NULL'))";
        self.ask(&format!("SELECT string_agg({row}, '; ' ORDER BY version) FROM fact_line")).await
    }

    /// Rejected rows and why.
    pub(crate) async fn rejected(&mut self) -> String {
        let (key, table) = ("array_to_string(source_key, ',', 'NULL')", self.table(LedgerTable::Reject));
        self.ask(&format!("SELECT string_agg({key} || ': ' || reason, '; ' ORDER BY source_key, number) FROM {table}"))
            .await
    }

    pub(crate) async fn close(self) {
        self.bed.end().await;
    }
}

/// The server that everything was read from.
pub(crate) fn source() -> SourceIdentity {
    SourceIdentity { system: "7".to_owned(), timeline: 1, database: 5, began: None }
}

/// Counts of a target: added, updated, unchanged, deferred, rejected.
pub(crate) fn counts(loaded: &Loaded, target: &str) -> [u64; 5] {
    let found = loaded.targets.iter().find(|(name, _)| name.as_str() == target);
    let (_, counts) = found.unwrap_or_else(|| panic!("{target} was not built: {loaded:?}"));
    [counts.added, counts.updated, counts.unchanged, counts.deferred, counts.rejected]
}
