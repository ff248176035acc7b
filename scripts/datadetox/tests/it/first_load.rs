//! From an empty warehouse to a loaded one, and the runs after that have nothing to do.

use asl::Status;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn a_first_run_loads_every_value_and_the_next_says_up_to_date() {
    let mut world = World::new().await;
    let first = world.load().await;
    assert_eq!(first.counts("dim_staff"), [20, 0, 0, 0, 0]);
    assert_eq!(world.warehouse("SELECT count(*) FROM fact_payment").await, "300");
    world.assert_same_as_source().await;

    world.log_source_reads().await;
    let second = world.load().await;
    assert_eq!(second.output["plan"]["status"], "up_to_date", "{:?}", second.output);
    assert_eq!((world.source_reads(""), world.visits(&second.name, "Extract")), (0, 0));
    assert_eq!(world.warehouse("SELECT count(*) FROM etl.batch").await, "1");
    world.stop().await;
}

#[tokio::test]
async fn the_warehouse_gets_the_clients_keys_and_no_others_may_be_broken() {
    let mut world = World::new().await;
    world.load().await;
    let kinds = "SELECT string_agg(n || ' ' || contype::text, ', ' ORDER BY contype)
                   FROM (SELECT contype, count(*) AS n FROM pg_constraint
                          WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f') GROUP BY 1) AS k";
    // 9 + 8 + 7 foreign keys as the client's schema names them; a primary key a table.
    assert_eq!(world.warehouse(kinds).await, "24 f, 11 p");
    let invalid = "SELECT count(*) FROM pg_constraint WHERE NOT convalidated";
    assert_eq!(world.warehouse(invalid).await, "0");
    world.stop().await;
}

#[tokio::test]
async fn reading_everything_again_changes_no_row() {
    let mut world = World::new().await;
    world.load().await;
    let before = world.warehouse(FINGERPRINT).await;
    let again = world.run_with(json!({ "full": true })).await;
    assert_eq!(again.status, Status::Succeeded);
    assert_eq!(again.changed(), []);
    assert_eq!(again.counts("fact_payment"), [0, 0, 300, 0, 0]);
    assert_eq!(world.warehouse(FINGERPRINT).await, before);
    world.stop().await;
}

#[tokio::test]
async fn the_same_batch_loaded_again_changes_nothing_and_says_so() {
    let mut world = World::new().await;
    let first = world.load().await;
    let before = world.warehouse(FINGERPRINT).await;
    let request = world.task_input(&first.name, "Load");
    let again = world.stack.lambda.invoke("totesys-load", "again", &request).await.expect("it answers");
    assert_eq!(again["status"], "already_loaded");
    assert_eq!(again["targets"], first.output["load"]["targets"]);
    assert_eq!(world.warehouse(FINGERPRINT).await, before);
    world.stop().await;
}

#[tokio::test]
async fn a_batch_older_than_what_is_loaded_is_superseded() {
    let mut world = World::new().await;
    world.load().await;
    world.application("UPDATE staff SET first_name = 'Old'").await;
    let second = world.load().await;
    let mut request = world.task_input(&second.name, "Load");
    request["batch"] = json!({ "name": "older", "started": "2020-01-01T00:00:00Z" });
    let answer = world.stack.lambda.invoke("totesys-load", "older", &request).await.expect("it answers");
    assert_eq!(answer["status"], "superseded");
    assert_eq!(world.warehouse("SELECT count(*) FROM etl.batch").await, "2");
    world.stop().await;
}

#[tokio::test]
async fn empty_tables_load_as_empty_tables() {
    let mut world = World::empty(|text| text).await;
    world.application(totesys::SCHEMA).await;
    let run = world.load().await;
    assert_eq!(run.counts("fact_sales_order"), [0, 0, 0, 0, 0]);
    assert_eq!(world.warehouse("SELECT count(*) FROM dim_date").await, "0");
    world.stop().await;
}

/// Every row of facts and dimensions with its place on disk: an update that changes nothing would move it.
const FINGERPRINT: &str = "
    SELECT md5(string_agg(t, ',' ORDER BY t)) FROM (
        SELECT ctid::text || f::text FROM fact_sales_order f UNION ALL SELECT ctid::text || f::text FROM fact_payment f
        UNION ALL SELECT ctid::text || f::text FROM fact_purchase_order f UNION ALL SELECT ctid::text || d::text FROM dim_date d
        UNION ALL SELECT ctid::text || d::text FROM dim_staff d UNION ALL SELECT ctid::text || d::text FROM dim_location d
        UNION ALL SELECT ctid::text || d::text FROM dim_counterparty d UNION ALL SELECT ctid::text || d::text FROM dim_design d
        UNION ALL SELECT ctid::text || d::text FROM dim_transaction d) AS rows (t)";
