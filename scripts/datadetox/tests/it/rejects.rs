//! Rows that cannot be taken: deferred when the next batch brings them again, rejected with the reason when not, healed
//! when the cause is gone (R6).

use asl::Status;

use crate::world::{World, execute};

#[tokio::test]
async fn a_fact_without_its_dimension_is_rejected_and_is_loaded_when_it_comes() {
    let mut world = World::new().await;
    world
        .application(
            "ALTER TABLE sales_order DROP CONSTRAINT sales_order_staff_id_fkey;
             UPDATE sales_order SET staff_id = 9999 WHERE sales_order_id IN (3, 5)",
        )
        .await;
    // The first run's horizon comes after these rows: none of them is deferred.
    let run = world.load().await;
    assert_eq!(run.counts("fact_sales_order")[4], 2);
    assert_eq!(run.output["load"]["rejected"], 2);
    let reject = "SELECT array_to_string(source_key, ',') || ': ' || reason FROM etl.reject WHERE target = 'fact_sales_order' ORDER BY 1 LIMIT 1";
    assert_eq!(world.warehouse(reject).await, "3: sales_staff_id 9999 is not in dim_staff");
    assert_eq!(world.warehouse("SELECT count(*) FROM fact_sales_order WHERE sales_staff_id = 9999").await, "0");
    let alert = world.alerts().pop().expect("an alert");
    assert!(alert.starts_with("Subject: totesys: 2 rows were rejected"), "{alert}");

    // What is known already is not told again.
    world.application("UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = 7").await;
    let quiet = world.load().await;
    assert_eq!((quiet.output["load"]["rejected"].as_u64(), world.alerts().len()), (Some(0), 1));

    world.application("INSERT INTO staff VALUES (9999, 'New', 'Comer', 1, 'new@example.com', now(), now())").await;
    let healed = world.load().await;
    assert_eq!(healed.changed(), [("dim_staff".to_owned(), [1, 0]), ("fact_sales_order".to_owned(), [2, 0])]);
    assert_eq!(world.warehouse("SELECT count(*) FROM etl.reject").await, "0");
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_fact_committed_between_two_reads_is_deferred_and_comes_with_the_next_batch() {
    let mut world = World::new().await;
    world.load().await;
    world.application("UPDATE design SET design_name = 'Changed' WHERE design_id = 1").await;
    // sales_order cannot be read before this lets go; design is read meanwhile. (A full read asks for the table's size
    // first, and so waits before it takes its snapshot.)
    let mut holder = world.hold("LOCK TABLE sales_order").await;
    let name = world.start(serde_json::json!({ "full": true })).await;
    world.until_state(&name, "Extract design", "TaskStateExited").await;
    let both = "INSERT INTO design VALUES (9999, now(), 'New', '/new', 'new.png', now());
                INSERT INTO sales_order SELECT 900001, created_at, last_updated, 9999, staff_id, counterparty_id, units_sold, unit_price,
                  currency_id, agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id
                  FROM sales_order WHERE sales_order_id = 1;
                COMMIT";
    execute(&mut holder, both).await;
    let run = world.wait(&name).await;
    assert_eq!(run.status, Status::Succeeded, "{run:?}");
    assert_eq!(run.counts("fact_sales_order"), [0, 0, 214, 1, 0]);
    assert_eq!(world.alerts(), Vec::<String>::new());
    let next = world.load().await;
    assert_eq!(next.counts("fact_sales_order")[0], 1);
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_value_that_is_no_date_is_rejected_with_the_reason_and_the_row() {
    let mut world = World::new().await;
    world.application("UPDATE sales_order SET agreed_delivery_date = 'soon' WHERE sales_order_id = 11").await;
    let run = world.load().await;
    assert_eq!(run.counts("fact_sales_order")[4], 1);
    let reason = "SELECT reason FROM etl.reject WHERE source_key = '{11}'";
    assert_eq!(world.warehouse(reason).await, "agreed_delivery_date: \"soon\" is no date (YYYY-MM-DD)");
    let kept = "SELECT source_row ->> 'agreed_delivery_date' FROM etl.reject WHERE source_key = '{11}'";
    assert_eq!(world.warehouse(kept).await, "soon");
    assert_eq!(world.alerts().len(), 1);
    world.application("UPDATE sales_order SET agreed_delivery_date = '2030-02-28' WHERE sales_order_id = 11").await;
    world.load().await;
    assert_eq!(world.warehouse("SELECT count(*) FROM etl.reject").await, "0");
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn more_bad_rows_than_the_limit_stop_the_batch_and_load_nothing() {
    let mut world = World::with_catalog(|text| text.replace("reject_limit = 100", "reject_limit = 2")).await;
    world.application("UPDATE sales_order SET agreed_payment_date = '2024-02-30' WHERE sales_order_id <= 3").await;
    let run = world.run().await;
    assert_eq!((run.status, run.failure.0.as_str()), (Status::Failed, "TransformFailed"));
    assert!(run.failure.1.contains("more than 2 rows of fact_sales_order cannot be taken"), "{}", run.failure.1);
    let told = "among them sales_order_id 1: agreed_payment_date is no date (YYYY-MM-DD); sales_order_id 2: ";
    assert!(run.failure.1.contains(told), "{}", run.failure.1);
    assert!(!run.failure.1.contains("2024-02-30"), "the value stays inside: {}", run.failure.1);
    assert_eq!(world.warehouse("SELECT to_regclass('fact_payment')").await, "NULL");
    world.application("UPDATE sales_order SET agreed_payment_date = '2024-02-29' WHERE sales_order_id <= 3").await;
    world.load().await;
    world.assert_same_as_source().await;
    world.stop().await;
}
