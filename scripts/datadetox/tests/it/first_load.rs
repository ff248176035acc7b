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
    let kinds = "SELECT string_agg(n || ' ' || contype::text, ', ' ORDER BY contype)
                   FROM (SELECT contype, count(*) AS n FROM pg_constraint
                          WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f') GROUP BY 1) AS k";
    // 9 + 8 + 7 foreign keys as the client's schema names them; a primary key a table.
    assert_eq!(world.warehouse(kinds).await, "24 f, 11 p");

    world.log_source_reads().await;
    let second = world.load().await;
    assert_eq!(second.output["plan"]["status"], "up_to_date", "{:?}", second.output);
    assert_eq!((world.source_reads(""), world.visits(&second.name, "Extract")), (0, 0));
    assert_eq!(world.warehouse("SELECT count(*) FROM etl.batch").await, "1");
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
