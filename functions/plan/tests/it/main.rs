//! Plan by itself: a real Postgres with databases of the test's own, a real S3 and a Step Functions API in this process.
//!
//! One binary for link time. Rules of the house: nothing is skipped, ignored or slept for; what Postgres holds is asked of
//! Postgres; a test that fails keeps its databases.
#![expect(clippy::expect_used, reason = "a test ends at the first surprise")]

mod changes;
mod running;
mod shape;
mod trust;

use std::time::Duration;

use catalog::key::{Bucket, Key};
use catalog::message::{Plan, PlanRequest, Read, RunInput};
use catalog::state::Commit;
use catalog::{Batch, Function, Ident, Result};
use testbed::{Testbed, batch};

/// A fact that is read by its changes and a dimension that is read whole.
const CATALOGUE: &str = "
    [pipeline]
    name = 'p'
    [source.tables.place]
    key = 'id'
    capture = 'snapshot'
    columns = { id = 'integer', name = 'text' }
    [source.tables.thing]
    key = 'id'
    capture = 'changes'
    columns = { id = 'integer', price = 'numeric(10,2)', place_id = 'integer' }
    [dimensions.dim_place]
    from = 'place'
    columns = { id = 'id', name = 'name' }
    [facts.fact_thing]
    from = 'thing'
    surrogate_key = 'n'
    columns = { id = 'id', price = 'price', place_id = { from = 'place_id', references = 'dim_place' } }
";

const PLACES: &str = "CREATE TABLE place (id integer PRIMARY KEY, name text NOT NULL);
                      INSERT INTO place VALUES (1, 'Leeds'), (2, 'Manchester')";
const THINGS: &str =
    "CREATE TABLE thing (id integer PRIMARY KEY, price numeric(10,2) NOT NULL, place_id integer NOT NULL)";
const ROWS: &str = "INSERT INTO thing SELECT i, 1.50, 1 + i % 2 FROM generate_series(1, 10) i";

/// A test bed whose source holds both tables.
async fn bed() -> Testbed {
    let mut bed = Testbed::new(CATALOGUE).await;
    for statements in [PLACES, THINGS, ROWS] {
        bed.source_does(statements).await;
    }
    bed
}

/// The same after a first batch, which read everything.
async fn committed() -> Testbed {
    let mut bed = bed().await;
    settle(&mut bed).await;
    let plan = plan(&bed, batch("first", 0)).await.expect("it is planned");
    commit(&bed, plan.next.expect("there is something to read")).await;
    bed
}

/// Waits until no transaction is open that began before everything that is committed now: tests share a server, and a
/// horizon is as old as the oldest of its transactions.
async fn settle(bed: &mut Testbed) {
    let newest = bed.ask_source("pg_current_xact_id()").await;
    let passed = format!("pg_snapshot_xmin(pg_current_snapshot()) > '{newest}'::xid8");
    until(bed, &passed, "true").await;
}

/// Waits until the source answers so.
async fn until(bed: &mut Testbed, query: &str, answer: &str) {
    let answered = async {
        while bed.ask_source(query).await != answer {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), answered).await.expect("the source comes to answer so");
}

fn request(bed: &Testbed, batch: Batch) -> PlanRequest {
    let machine = &bed.stack.machine;
    PlanRequest {
        state_machine: machine.arn.clone(),
        execution: machine.execution_arn(batch.name.as_str()),
        batch,
        input: RunInput::default(),
    }
}

async fn plan(bed: &Testbed, batch: Batch) -> Result<Plan> {
    plan::handle(request(bed, batch), &bed.host(Function::Plan).await).await
}

/// Writes a commit, as load does.
async fn commit(bed: &Testbed, commit: Commit) {
    let lake = bed.host(Function::Load).await.lake;
    let key = Key::Commit(commit.batch.clone()).to_string();
    lake.create_json(Bucket::Processed, &key, commit).await.expect("the lake answers");
}

/// What is read of a table, and why.
fn read<'p>(plan: &'p Plan, table: &str) -> (Read, &'p str) {
    let table = &plan.tables[&ident(table)];
    (table.read, &table.reason)
}

fn ident(name: &str) -> Ident {
    Ident::new(name).expect("a name")
}
