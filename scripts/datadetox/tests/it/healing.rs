//! What happened to warehouse, lake or source between two runs heals by itself in the next run, which says what it found.

use asl::Status;
use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::world::{Run, World, execute};

/// A loaded stack; harmed in its warehouse, run once more, and compared with its source.
async fn heals(harm: &str) -> (World, Run) {
    let mut world = World::new().await;
    world.load().await;
    // A session of its own, which tells the statistics what it did when it ends.
    let options = world.stack.postgres.as_ref().expect("a private Postgres").options(local::LOADER);
    let mut somebody = options.connect().await.expect("the warehouse answers");
    execute(&mut somebody, harm).await;
    somebody.close().await.expect("a connection closes");
    let run = world.load().await;
    world.assert_same_as_source().await;
    let idle = world.load().await;
    assert_eq!(idle.output["plan"]["status"], "up_to_date", "{harm}");
    (world, run)
}

/// What was found of a target.
fn found(run: &Run, target: &str) -> String {
    run.output["checkpoint"]["rebuild"][target].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_warehouse_made_anew_is_filled_in_the_next_run() {
    let all = "DROP SCHEMA etl CASCADE; DROP TABLE fact_sales_order, fact_purchase_order, fact_payment, dim_counterparty, dim_currency,
               dim_date, dim_design, dim_location, dim_payment_type, dim_staff, dim_transaction";
    let (world, run) = heals(all).await;
    assert_eq!(run.counts("fact_payment"), [300, 0, 0, 0, 0]);
    world.stop().await;
}

#[tokio::test]
async fn a_warehouse_that_lost_only_its_ledger_is_read_against_and_changes_no_row() {
    let (world, run) = heals("DROP SCHEMA etl CASCADE").await;
    assert_eq!(run.counts("fact_payment"), [0, 0, 300, 0, 0]);
    assert_eq!(run.changed(), []);
    world.stop().await;
}

#[tokio::test]
async fn a_fact_dropped_by_its_owner_comes_back_whole() {
    let (world, run) = heals("DROP TABLE fact_payment").await;
    assert_eq!(found(&run, "fact_payment"), "fact_payment is not in the warehouse");
    assert_eq!(run.changed(), [("fact_payment".to_owned(), [300, 0])]);
    world.stop().await;
}

#[tokio::test]
async fn emptied_targets_are_filled_again() {
    let (world, run) = heals("DELETE FROM fact_payment; TRUNCATE dim_date CASCADE").await;
    assert!(found(&run, "fact_payment").contains("fact_payment"), "{run:?}");
    assert_eq!(run.counts("fact_payment")[0], 300);
    world.stop().await;
}

#[tokio::test]
async fn rows_that_somebody_deleted_are_loaded_again() {
    let (world, run) = heals("DELETE FROM fact_payment WHERE payment_id <= 100").await;
    assert_eq!(found(&run, "fact_payment"), "fact_payment has 200 rows where 300 were loaded");
    assert_eq!(run.counts("fact_payment"), [100, 0, 200, 0, 0]);
    world.stop().await;
}

#[tokio::test]
async fn a_column_that_was_dropped_and_added_again_is_filled_and_makes_no_version() {
    let anew = "ALTER TABLE fact_payment DROP payment_amount; ALTER TABLE fact_payment ADD payment_amount numeric;
                ALTER TABLE dim_staff DROP email_address; ALTER TABLE dim_staff ADD email_address varchar";
    let (world, run) = heals(anew).await;
    assert_eq!(found(&run, "fact_payment"), "fact_payment.payment_amount is not the column that was loaded");
    assert_eq!(run.changed(), [("dim_staff".to_owned(), [0, 20])]);
    assert_eq!(run.output["load"]["targets"]["fact_payment"]["filled"], 300);
    world.stop().await;
}

#[tokio::test]
async fn a_warehouse_put_back_to_an_older_state_is_brought_up_to_date() {
    let mut world = World::new().await;
    world.load().await;
    let options = world.stack.postgres.as_ref().expect("a private Postgres").superuser_options("postgres");
    let mut server = options.connect().await.expect("the server answers");
    let free = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('warehouse', 'older')";
    execute(&mut server, free).await;
    execute(&mut server, "CREATE DATABASE older TEMPLATE warehouse OWNER loader").await;
    world.application("UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id <= 7").await;
    assert_eq!(world.load().await.counts("fact_payment")[1], 7);
    world.application("UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id = 8").await;
    world.load().await;
    execute(&mut server, free).await;
    execute(&mut server, "ALTER DATABASE warehouse RENAME TO newer").await;
    execute(&mut server, "ALTER DATABASE older RENAME TO warehouse").await;
    let options = world.stack.postgres.as_ref().expect("a private Postgres").options(local::LOADER);
    world.warehouse = options.connect().await.expect("the warehouse answers");
    let healed = world.load().await;
    assert_eq!(healed.counts("fact_payment")[..2], [0, 8], "{healed:?}");
    world.assert_same_as_source().await;
    // And to the newer one again: what it builds on is there, whatever was loaded elsewhere meanwhile.
    world.application("UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id = 9").await;
    world.load().await;
    execute(&mut server, free).await;
    execute(&mut server, "ALTER DATABASE warehouse RENAME TO older").await;
    execute(&mut server, "ALTER DATABASE newer RENAME TO warehouse").await;
    world.warehouse = options.connect().await.expect("the warehouse answers");
    assert_eq!(world.load().await.counts("fact_payment")[..2], [0, 1]);
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_lake_that_was_wiped_is_read_again_and_changes_no_row() {
    let mut world = World::new().await;
    world.load().await;
    for bucket in ["totesys-ingestion", "totesys-processed"] {
        let bucket = world.path("home/lake").join(bucket);
        for entry in std::fs::read_dir(&bucket).expect("a bucket").map(|entry| entry.expect("it can be read")) {
            std::fs::remove_dir_all(entry.path()).expect("it can be removed");
        }
    }
    world.application("UPDATE staff SET first_name = 'After' WHERE staff_id = 2").await;
    let run = world.load().await;
    assert_eq!(run.changed(), [("dim_staff".to_owned(), [0, 1])]);
    assert_eq!(run.counts("fact_payment"), [0, 0, 300, 0, 0]);
    assert_eq!(run.output["plan"]["tables"]["payment"]["reason"], "what was known of it is lost");
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn whole_copies_that_are_gone_are_read_again() {
    let mut world = World::new().await;
    let first = world.load().await;
    std::fs::remove_dir_all(world.path(&format!("home/lake/totesys-ingestion/department/{}", first.name)))
        .expect("it can be removed");
    world.application("UPDATE staff SET first_name = 'After' WHERE staff_id = 2").await;
    let run = world.load().await;
    assert_eq!(run.output["plan"]["tables"]["department"]["reason"], "its last copy in the lake is damaged");
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_source_that_crashed_is_read_whole_once_and_one_that_was_restarted_is_not() {
    let mut world = World::new().await;
    world.load().await;
    world = world.restart(None).await;
    assert_eq!(world.load().await.output["plan"]["status"], "up_to_date", "a clean restart");
    let reset = "SELECT pg_stat_reset_shared('bgwriter')";
    let options = world.stack.postgres.as_ref().expect("a private Postgres").superuser_options("postgres");
    let mut server = options.connect().await.expect("the server answers");
    // What a crash does to the statistics; the server that crashes is in the model test.
    execute(&mut server, reset).await;
    server.close().await.expect("a connection closes");
    let run = world.load().await;
    assert_eq!(run.output["plan"]["tables"]["payment"]["reason"], "the source crashed, was put back or failed over");
    assert_eq!(run.changed(), []);
    assert_eq!(world.load().await.output["plan"]["status"], "up_to_date");
    world.stop().await;
}

#[tokio::test]
async fn another_source_is_refused_and_told_until_it_is_adopted() {
    let mut world = World::new().await;
    world.load().await;
    let postgres = world.stack.postgres.as_ref().expect("a private Postgres");
    let mut server = postgres.superuser_options("postgres").connect().await.expect("the server answers");
    let free = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'totesys'";
    execute(&mut server, free).await;
    execute(&mut server, "CREATE DATABASE staging TEMPLATE totesys OWNER application").await;
    server.close().await.expect("a connection closes");
    let mut inside = postgres.superuser_options("staging").connect().await.expect("the server answers");
    execute(&mut inside, "UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id = 5").await;
    inside.close().await.expect("a connection closes");
    let mut server = postgres.superuser_options("postgres").connect().await.expect("the server answers");
    execute(&mut server, free).await;
    execute(&mut server, "ALTER DATABASE totesys RENAME TO before").await;
    execute(&mut server, "ALTER DATABASE staging RENAME TO totesys").await;
    world.source = world.options_of_application().connect().await.expect("the source answers");
    let run = world.run().await;
    assert_eq!((run.status, run.failure.0.as_str()), (Status::Failed, "PlanFailed"), "{run:?}");
    assert!(run.failure.1.contains("Source.Replaced") && run.failure.1.contains("--adopt-source"), "{run:?}");
    let adopted = world.run_with(json!({ "adopt_source": true })).await;
    assert_eq!(adopted.status, Status::Succeeded, "{adopted:?}");
    assert_eq!(adopted.changed(), [("fact_payment".to_owned(), [0, 1])]);
    assert_eq!(world.load().await.output["plan"]["status"], "up_to_date", "it is the source from now on");
    world.stop().await;
}

#[tokio::test]
async fn a_sequence_that_is_behind_its_fact_is_put_right_and_told() {
    let mut world = World::new().await;
    world.load().await;
    world.warehouse_does("SELECT setval(pg_get_serial_sequence('fact_payment', 'payment_record_id'), 1, false)").await;
    world.application("UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id = 1").await;
    let run = world.load().await;
    assert_eq!(run.counts("fact_payment")[..2], [0, 1]);
    let behind = "fact_payment.payment_record_id has 300 where its sequence";
    let told = world.alerts().pop().expect("an alert");
    assert!(run.output["load"]["alerts"].to_string().contains(behind) && told.contains(behind), "{run:?}\n{told}");
    let newest =
        "SELECT max(payment_record_id) = max(payment_record_id) FILTER (WHERE payment_id = 1) FROM fact_payment";
    assert_eq!(world.warehouse(newest).await, "true");
    world.stop().await;
}
