//! A batch in the lake: what was extracted is written by the test, what is transformed is read back by Postgres.

use std::sync::Arc;

use catalog::deployment::Function;
use catalog::key::{Bucket, Format, Key};
use catalog::manifest::{ExtractManifest, ManifestColumn, Part, TransformManifest};
use catalog::message::{Read, TargetPlan, TransformRequest, Transformed};
use catalog::state::{SourceIdentity, TableState};
use catalog::{Batch, Horizon, ROW_VERSION, Result, Table, Target, ValueType, Window};
use columnar::parquet::Reader;
use columnar::{Column, Schema, copy};
use host::Host;
use sqlx::AssertSqlSafe;
use testbed::{Testbed, batch, execute};

/// The transaction horizon of the batch: rows written at or after it come again.
pub(crate) const HORIZON: Horizon = Horizon::new(1000);

/// A test bed with one batch.
pub(crate) struct Bed {
    testbed: Testbed,
    batch: Batch,
}

impl Bed {
    pub(crate) async fn new(catalogue: &str) -> Self {
        Self { testbed: Testbed::new(catalogue).await, batch: batch("first", 0) }
    }

    pub(crate) fn table(&self, name: &str) -> Arc<Table> {
        Arc::clone(self.testbed.catalog().table(name).expect("a table of the catalogue"))
    }

    fn target(&self, name: &str) -> Arc<Target> {
        Arc::clone(self.testbed.catalog().target(name).expect("a target of the catalogue"))
    }

    async fn host(&self, function: Function<'_>) -> Host {
        Box::pin(self.testbed.host(function)).await
    }

    /// A table was extracted in one part: `lines` below the header of the catalogue.
    pub(crate) async fn extracted(&self, table: &str, lines: &str) {
        let part = self.part(table, 1, &format!("{}{lines}", self.header(table))).await;
        self.manifest(table, vec![part]).await;
    }

    /// The header that the extraction of a table writes.
    pub(crate) fn header(&self, table: &str) -> String {
        let table = self.table(table);
        let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).chain([ROW_VERSION]).collect();
        format!("{}\n", names.join(","))
    }

    /// Writes one part of a table.
    pub(crate) async fn part(&self, table: &str, number: u32, csv: &str) -> Part {
        let table = self.table(table);
        let key = Key::Part {
            owner: table.name.clone(),
            batch: self.batch.name.clone(),
            number,
            attempt: "1".to_owned(),
            format: Format::Csv,
        };
        let rows = csv.lines().count().saturating_sub(1) as u64;
        let lake = self.host(Function::Extract(&table)).await.lake;
        lake.create_part(Bucket::Ingestion, key.to_string(), rows, csv.into()).await.expect("it is written")
    }

    /// Writes the manifest of a table.
    pub(crate) async fn manifest(&self, table: &str, parts: Vec<Part>) {
        let table = self.table(table);
        let manifest = ExtractManifest {
            table: table.name.clone(),
            batch: self.batch.clone(),
            read: Read::Whole,
            definition: self.testbed.catalog().fingerprint_of_table(&table),
            source: SourceIdentity { system: "7".to_owned(), timeline: 1, database: 5, began: None },
            state: TableState {
                batch: self.batch.name.clone(),
                horizon: HORIZON,
                counters: None,
                fingerprint: String::new(),
                cursor: None,
                read_at: self.batch.started,
            },
            window: Window { from: HORIZON, until: Horizon::new(2_000) },
            columns: table.columns.iter().map(ManifestColumn::from).collect(),
            rows: parts.iter().map(|part| part.rows).sum(),
            bytes: parts.iter().map(|part| part.bytes).sum(),
            parts,
        };
        let key = Key::manifest(&table.name, &self.batch.name).to_string();
        let lake = self.host(Function::Extract(&table)).await.lake;
        lake.create_json(Bucket::Ingestion, &key, manifest).await.expect("it is written");
    }

    /// Transforms a target of what was extracted, as the `attempt`th invocation.
    pub(crate) async fn transform(&self, target: &str, attempt: &str) -> Result<Transformed> {
        self.transform_if(target, attempt, true).await
    }

    /// The same, where the plan says whether there is anything to build.
    pub(crate) async fn transform_if(&self, target: &str, attempt: &str, build: bool) -> Result<Transformed> {
        let target = self.target(target);
        let mut host = self.host(Function::Transform(&target)).await;
        host.call.request_id = attempt.to_owned();
        let sources = self.testbed.catalog().sources_of(&target);
        let sources = sources.into_iter().map(|table| (table.name.clone(), Some(self.batch.name.clone()))).collect();
        let request = TransformRequest {
            batch: self.batch.clone(),
            target: target.name.clone(),
            plan: TargetPlan {
                build,
                sources,
                verify_key: false,
                definition: self.testbed.catalog().fingerprint(&target),
                rebuild: false,
            },
        };
        Box::pin(transform::handle(request, &host)).await
    }

    /// What a transformation says that it made.
    pub(crate) async fn made(&self, target: &str) -> Option<TransformManifest> {
        let target = self.target(target);
        let key = Key::manifest(&target.name, &self.batch.name).to_string();
        self.host(Function::Transform(&target)).await.lake.read_json(Bucket::Processed, &key).await.expect("it is read")
    }

    /// The rows of a target by its key, each as Postgres prints a row (nothing is NULL, `""` the empty text), its row
    /// version last; and how many row groups each of its files has.
    pub(crate) async fn rows(&mut self, target: &str) -> (Vec<String>, Vec<usize>) {
        let manifest = self.made(target).await.expect("it is transformed");
        let target = self.target(target);
        let named = |name: &str, value| Column { name: name.to_owned(), value };
        let columns = target.columns.iter().map(|column| named(column.name.as_str(), column.value));
        let schema = Schema(columns.chain([named(ROW_VERSION, ValueType::BigInt)]).collect());
        let declared: Vec<String> =
            schema.0.iter().map(|column| format!("\"{}\" {}", column.name, column.value.stage_sql())).collect();
        let table = format!("DROP TABLE IF EXISTS made; CREATE TABLE made ({})", declared.join(", "));
        execute(&mut self.testbed.warehouse, &table).await;
        let lake = self.host(Function::Transform(&target)).await.lake;
        let mut groups = Vec::new();
        let mut sink = self.testbed.warehouse.copy_in_raw("COPY made FROM STDIN (FORMAT binary)").await.expect("COPY");
        let mut message = Vec::new();
        copy::begin(&mut message);
        for part in &manifest.parts {
            let body = lake.read_part(Bucket::Processed, part).await.expect("the part is there");
            let mut count = 0;
            for chunk in Reader::new(&body, &schema).expect("it is Parquet") {
                let chunk = chunk.expect("it is a row group");
                copy::encode(&schema, &chunk, 0..chunk.len(), &mut message).expect("it has a binary form");
                count += 1;
            }
            groups.push(count);
        }
        copy::end(&mut message);
        sink.send(&message[..]).await.expect("Postgres takes it");
        assert_eq!(sink.finish().await.expect("Postgres takes it"), manifest.rows);
        let key: Vec<String> = target.key.iter().map(|key| key.sql().to_string()).collect();
        let query = format!("SELECT made::text FROM made ORDER BY {}", key.join(", "));
        let rows = sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut self.testbed.warehouse).await;
        (rows.expect("Postgres answers"), groups)
    }

    /// Whether Postgres takes a text as a value of that type.
    pub(crate) async fn takes(&mut self, text: &str, kind: &str) -> bool {
        let cast = format!("SELECT $1::{kind} IS NOT NULL");
        sqlx::query(AssertSqlSafe(cast)).bind(text).execute(&mut self.testbed.warehouse).await.is_ok()
    }

    pub(crate) async fn end(self) {
        self.testbed.end().await;
    }
}
