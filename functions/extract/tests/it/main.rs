//! Extract by itself: a real Postgres with databases of the test's own, a real S3 API in this process.
//!
//! One binary for link time. Rules of the house: nothing is skipped, ignored or slept for; what Postgres holds is asked of
//! Postgres; a test that fails keeps its databases.
#![expect(clippy::expect_used, reason = "a test ends at the first surprise")]

mod reads;
mod refusals;
mod server;
mod slices;
mod tries;

use catalog::key::{Bucket, Key};
use catalog::manifest::ExtractManifest;
use catalog::message::{ExtractRequest, Extracted, Read, SourceAt, TablePlan};
use catalog::state::TableState;
use catalog::{Function, Horizon, Result, Side};
use host::Host;
use host::postgres::identity;
use testbed::{Testbed, batch};

/// One table, with names that have to be quoted.
const CATALOGUE: &str = r#"
    [pipeline]
    name = 'p'
    [source]
    slice_rows = 40
    lock_timeout = '200 ms'
    [source.tables."Thing's"]
    key = 'id'
    capture = 'changes'
    [source.tables."Thing's".columns]
    id = 'integer'
    'A "quoted" näme' = 'text null'
    [facts.fact_thing]
    from = "Thing's"
    surrogate_key = 'n'
    columns = { id = 'id', name = 'A "quoted" näme' }
"#;

const TABLE: &str = r#"CREATE TABLE "Thing's" (id integer PRIMARY KEY, "A ""quoted"" näme" text)"#;

/// A test bed whose source holds the table, empty.
async fn bed() -> Testbed {
    let mut bed = Testbed::new(CATALOGUE).await;
    bed.source_does(TABLE).await;
    bed
}

/// What `extract` of the only table stands on.
async fn host_of(bed: &Testbed) -> Host {
    bed.host(Function::Extract(&bed.catalog().source.tables[0])).await
}

/// What an extraction of the only table is asked: planned for the server as it is, before every transaction.
async fn request(host: &Host, batch_name: &str, plan: TablePlan) -> ExtractRequest {
    let (table, batch) = (&host.catalog.source.tables[0], batch(batch_name, 0));
    let state = TableState {
        batch: batch.name.clone(),
        horizon: Horizon::START,
        counters: None,
        fingerprint: String::new(),
        cursor: None,
        read_at: batch.started,
    };
    let read = plan.read != Read::Nothing;
    let definition = host.catalog.fingerprint_of_table(table);
    let plan = TablePlan { definition, state: read.then_some(state), ..plan };
    let mut connection = host.connect(Side::Source).await.expect("the source answers");
    let identity = identity(&mut connection, Side::Source).await.expect("the source answers");
    let source = read.then_some(SourceAt { identity, horizon: Horizon::START });
    ExtractRequest { batch, table: table.name.clone(), source, plan }
}

/// Reads the only table.
async fn extract(host: &Host, batch_name: &str, plan: TablePlan) -> Result<Extracted> {
    extract::handle(request(host, batch_name, plan).await, host).await
}

fn whole() -> TablePlan {
    TablePlan {
        read: Read::Whole,
        reason: String::new(),
        expected_rows: None,
        versioned: true,
        definition: String::new(),
        state: None,
    }
}

fn since(horizon: Horizon) -> TablePlan {
    TablePlan { read: Read::Since { horizon }, ..whole() }
}

async fn manifest(host: &Host, batch_name: &str) -> ExtractManifest {
    let key = Key::manifest(&host.catalog.source.tables[0].name, &batch(batch_name, 0).name).to_string();
    let manifest = host.lake.read_json(Bucket::Ingestion, &key).await.expect("the lake answers");
    manifest.expect("there is a manifest")
}

/// The parts that a batch's manifest names, one after the other: each whole and as it was written.
async fn csv(host: &Host, batch_name: &str) -> String {
    let mut text = String::new();
    for part in manifest(host, batch_name).await.parts {
        let body = host.lake.read_part(Bucket::Ingestion, &part).await.expect("the part is as it was written");
        text += std::str::from_utf8(&body).expect("it is UTF-8");
    }
    text
}

/// The keys in the parts of a batch, in order.
async fn ids(host: &Host, batch_name: &str) -> Vec<i32> {
    let csv = csv(host, batch_name).await;
    let ids = csv.lines().filter_map(|line| line.split(',').next()?.parse().ok());
    ids.collect()
}
