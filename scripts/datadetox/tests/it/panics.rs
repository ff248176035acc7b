//! A panic in a function is a fault with a name and a place, and the function serves the next call.

use asl::Status;
use catalog::digest;
use serde_json::Value;

use crate::world::{World, execute};

const CATALOGUE: &str = "
[pipeline]
name = 'kept'
[source.tables.seen]
key = 'code'
capture = 'snapshot'
columns = { code = 'text', what = 'text null' }
[dimensions.dim_seen]
from = 'seen'
columns = { code = 'code', what = 'what' }
";

/// Parquet of three such rows in which one bit of the first page's header is another: the reader panics at it.
const FORGED: &[u8] = include_bytes!("forged.parquet");

#[tokio::test]
async fn parquet_that_the_reader_panics_at_is_a_bug_with_its_place_and_the_next_run_loads() {
    let mut world = World::empty(|_| CATALOGUE.to_owned()).await;
    world.application("CREATE TABLE seen (code text PRIMARY KEY, what text); INSERT INTO seen VALUES ('a', 'b')").await;
    world.load().await;
    world.application("INSERT INTO seen VALUES ('c', 'd'), ('e', NULL)").await;
    // The load waits for another one while its part is exchanged, and the manifest says so.
    let lock = "BEGIN; SELECT pg_advisory_xact_lock(hashtext('datadetox'), hashtext('kept'))";
    world.warehouse_does(lock).await;
    let name = world.start(serde_json::json!({})).await;
    world.until_state(&name, "Load", "TaskStateEntered").await;
    let lake = world.path("home/lake/kept-processed");
    let manifest = lake.join(format!("dim_seen/{name}/manifest.json"));
    let text = std::fs::read_to_string(&manifest).expect("the transform wrote it");
    let mut said: Value = serde_json::from_str(&text).expect("it is JSON");
    let part = &mut said["parts"][0];
    std::fs::write(lake.join(part["key"].as_str().expect("a key")), FORGED).expect("it can be written");
    part["bytes"] = FORGED.len().into();
    part["sha256"] = digest::hex(FORGED).into();
    std::fs::write(&manifest, said.to_string()).expect("it can be written");
    execute(&mut world.warehouse, "COMMIT").await;
    let run = world.wait(&name).await;
    assert_eq!((run.status, run.failure.0.as_str()), (Status::Failed, "LoadFailed"), "{run:?}");
    let told = "load: Internal.Bug: the function panicked at arrow2-0.18.0/src/io/parquet/read/deserialize/";
    assert!(run.failure.1.contains(told), "{}", run.failure.1);
    let log = std::fs::read_to_string(world.path("home/logs/kept-load.log")).expect("it logs");
    assert!(log.contains("\"message\":\"panicked at arrow2-0.18.0/"), "{log}");
    assert_eq!(world.load().await.counts("dim_seen"), [2, 0, 1, 0, 0]);
    drop((world.source, world.warehouse));
    world.stack.stop().await.expect("the stack stops");
}
