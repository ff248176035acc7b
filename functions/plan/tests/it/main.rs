//! Plan by itself: a real Postgres with databases of the test's own, a real S3 and a Step Functions API in this process.
//!
//! One binary for link time. Rules of the house: nothing is skipped, ignored or slept for; what Postgres holds is asked of
//! Postgres; a test that fails keeps its databases.
#![expect(clippy::expect_used, reason = "a test ends at the first surprise")]

mod changes;
mod circumstances;
mod lake;
mod running;
mod shape;
mod trust;

use std::time::Duration;

use catalog::key::{Bucket, Key};
use catalog::message::{Base, Checkpoint, Plan, PlanRequest, Read};
use catalog::state::State;
use catalog::{Batch, Function, Ident, Result};
use serde_json::json;
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

/// The same after a first batch, which read everything: the bed, and what a checkpoint says then.
async fn committed() -> (Testbed, Checkpoint) {
    let mut bed = bed().await;
    settle(&mut bed).await;
    let plan = first(&bed).await;
    let checkpoint = commit(&bed, &plan).await;
    (bed, checkpoint)
}

/// The plan over an empty warehouse.
async fn first(bed: &Testbed) -> Plan {
    plan(bed, batch("first", 0), &Checkpoint::default()).await.expect("it is planned")
}

/// The plan of the next run.
async fn second(bed: &Testbed, checkpoint: &Checkpoint) -> Plan {
    plan(bed, batch("second", 5), checkpoint).await.expect("it is planned")
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

fn request(bed: &Testbed, batch: Batch, checkpoint: &Checkpoint) -> PlanRequest {
    let machine = &bed.stack.machine;
    PlanRequest {
        state_machine: machine.arn.clone(),
        execution: machine.execution_arn(batch.name.as_str()),
        batch,
        catalogue: bed.catalog().fingerprint_of_all(),
        checkpoint: checkpoint.clone(),
        input: json!({}),
    }
}

async fn plan(bed: &Testbed, batch: Batch, checkpoint: &Checkpoint) -> Result<Plan> {
    let host = Box::pin(bed.host(Function::Plan)).await;
    Box::pin(plan::handle(request(bed, batch, checkpoint), &host)).await
}

/// What is known of the source once everything that was planned is read and loaded.
fn state_after(plan: &Plan) -> State {
    let mut state = plan.next.clone().expect("there is something to read");
    let read = plan.tables.iter().filter_map(|(name, table)| Some((name.clone(), table.state.clone()?)));
    state.tables.extend(read);
    state
}

/// Writes a state, as load does, and answers what a checkpoint says then.
async fn commit(bed: &Testbed, plan: &Plan) -> Checkpoint {
    commit_state(bed, state_after(plan)).await
}

async fn commit_state(bed: &Testbed, state: State) -> Checkpoint {
    let lake = bed.host(Function::Load).await.lake;
    let key = Key::State { batch: state.batch.name.clone(), attempt: "0".to_owned() }.to_string();
    let base = Base { batch: state.batch.name.clone(), source: state.source.clone(), state: key.clone() };
    lake.create_json(Bucket::Processed, &key, state).await.expect("the lake answers");
    Checkpoint { base: Some(base), ..Checkpoint::default() }
}

/// What is read of a table, and why.
fn read<'p>(plan: &'p Plan, table: &str) -> (Read, &'p str) {
    let table = &plan.tables[&ident(table)];
    (table.read, &table.reason)
}

fn ident(name: &str) -> Ident {
    Ident::new(name).expect("a name")
}
