//! What the next batch builds on, and what it has to make anew.

use catalog::message::Base;
use catalog::{Side, message::Checkpoint};
use host::postgres::identity;

use crate::shop::{Shop, name, source};

#[tokio::test]
async fn in_an_empty_warehouse_there_is_nothing_to_build_on_and_nothing_to_mend() {
    let mut shop = Shop::empty().await;
    let own = identity(&mut shop.bed.warehouse, Side::Warehouse).await.expect("it answers");
    assert_eq!(shop.looks().await, Checkpoint { warehouse: Some(own), ..Checkpoint::default() });
    let made = "SELECT count(*) FROM pg_namespace WHERE nspname = 'etl'";
    assert_eq!(shop.bed.ask_warehouse(made).await, "0", "it writes nothing");
    shop.close().await;
}

#[tokio::test]
async fn the_newest_batch_is_the_last_one_entered_whatever_the_clocks_say() {
    let mut shop = Shop::loaded().await;
    shop.notes("two").await;
    shop.bed.warehouse_does("UPDATE etl.batch SET committed_at = now() - interval '1 year' WHERE batch = 'two'").await;
    let found = shop.looks().await;
    let base = Base { batch: name("two"), source: source(), state: "_states/two-a.json".to_owned() };
    assert_eq!(found.base, Some(base));
    assert!(found.rebuild.is_empty() && found.alerts.is_empty(), "{found:?}");
    shop.close().await;
}

#[tokio::test]
async fn a_target_that_was_dropped_or_lost_rows_is_made_anew() {
    for (harm, expected) in [
        ("DROP TABLE fact_line", "fact_line is not in the warehouse"),
        ("TRUNCATE fact_line", "fact_line has 0 rows where 11 were loaded"),
        ("DELETE FROM fact_line", "fact_line has 0 rows where 11 were loaded"),
        ("DROP TABLE dim_staff CASCADE", "dim_staff is not in the warehouse"),
        (
            "ALTER TABLE fact_line RENAME TO mine; CREATE TABLE fact_line (LIKE mine INCLUDING ALL);
             INSERT INTO fact_line SELECT * FROM mine LIMIT 3",
            "fact_line has 3 rows where 11 were loaded",
        ),
        (
            "CREATE TABLE older (LIKE dim_staff INCLUDING ALL); INSERT INTO older SELECT * FROM dim_staff;
             DROP TABLE dim_staff CASCADE; ALTER TABLE older RENAME TO dim_staff",
            "dim_staff is another table than was loaded",
        ),
    ] {
        let mut shop = Shop::loaded().await;
        assert_eq!(shop.rebuilds().await, Vec::<String>::new());
        shop.bed.warehouse_does(harm).await;
        assert_eq!(shop.rebuilds().await, [expected], "{harm}");
        assert!(shop.looks().await.base.is_some(), "the others are as they were");
        shop.close().await;
    }
}

#[tokio::test]
async fn a_target_that_was_put_back_whole_or_grew_by_itself_stays() {
    let mut shop = Shop::loaded().await;
    let harmless = [
        "ALTER TABLE fact_line RENAME TO away",
        "ALTER TABLE away RENAME TO fact_line",
        "CLUSTER fact_line USING fact_line_pkey",
        "INSERT INTO dim_staff VALUES (3, 'theirs')",
        "CREATE TABLE restored (LIKE fact_line INCLUDING ALL); INSERT INTO restored SELECT * FROM fact_line;
         ALTER SEQUENCE fact_line_version_seq OWNED BY restored.version; DROP TABLE fact_line; ALTER TABLE restored RENAME TO fact_line",
        "DELETE FROM dim_staff WHERE id = 2",
    ];
    for harmless in harmless {
        shop.bed.warehouse_does(harmless).await;
        if harmless.ends_with("away") {
            assert_eq!(shop.rebuilds().await, ["fact_line is not in the warehouse"]);
        } else {
            assert_eq!(shop.rebuilds().await, Vec::<String>::new(), "{harmless}");
        }
    }
    shop.close().await;
}

#[tokio::test]
async fn an_emptied_ledger_or_one_that_lost_a_table_is_no_base() {
    for harm in ["DELETE FROM etl.batch", "DROP TABLE etl.reject", "DROP SCHEMA etl CASCADE"] {
        let mut shop = Shop::loaded().await;
        shop.bed.warehouse_does(&format!("{harm}; DROP TABLE fact_line")).await;
        let found = shop.looks().await;
        assert_eq!((found.base, found.rebuild.len()), (None, 0), "{harm}: everything is read anyhow");
        shop.close().await;
    }
}

#[tokio::test]
async fn a_target_of_which_nothing_is_noted_is_whole_unless_it_is_empty() {
    let mut shop = Shop::loaded().await;
    shop.bed.warehouse_does("DELETE FROM etl.target").await;
    assert_eq!(shop.rebuilds().await, Vec::<String>::new());
    shop.bed.warehouse_does("TRUNCATE fact_line").await;
    assert_eq!(shop.rebuilds().await, ["fact_line is empty, and nothing is noted of it"]);
    shop.notes("two").await;
    assert_eq!(shop.rebuilds().await, Vec::<String>::new(), "none were loaded");
    shop.close().await;
}

#[tokio::test]
async fn a_partition_that_is_emptied_is_noticed() {
    let mut shop = Shop::empty().await;
    let tables = "CREATE TABLE dim_staff (id integer PRIMARY KEY, name varchar) PARTITION BY HASH (id);
                  CREATE TABLE even PARTITION OF dim_staff FOR VALUES WITH (MODULUS 2, REMAINDER 0);
                  CREATE TABLE odd PARTITION OF dim_staff FOR VALUES WITH (MODULUS 2, REMAINDER 1);
                  INSERT INTO dim_staff SELECT i, 'n' FROM generate_series(1, 40) AS i;
                  CREATE TABLE fact_line (version serial PRIMARY KEY, number integer NOT NULL, seller integer)";
    shop.bed.warehouse_does(tables).await;
    shop.notes("one").await;
    assert_eq!(shop.rebuilds().await, Vec::<String>::new());
    shop.bed.warehouse_does("TRUNCATE even").await;
    let found = shop.rebuilds().await;
    assert!(found[0].ends_with(" rows where 40 were loaded") && found.len() == 1, "{found:?}");
    shop.close().await;
}

#[tokio::test]
async fn rows_that_wait_are_counted_and_a_batch_of_the_future_is_told() {
    let mut shop = Shop::loaded().await;
    shop.bed
        .warehouse_does(
            "INSERT INTO etl.reject (pipeline, target, source_key, reason, source_row, definition, batch)
             SELECT pipeline, 'fact_line', '{7}', 'why', '{}', 'd', 'one' FROM unnest(ARRAY['shop', 'shop', 'another']) AS p (pipeline);
             UPDATE etl.batch SET committed_at = '2999-01-02 03:04:05Z'",
        )
        .await;
    let found = shop.looks().await;
    assert_eq!(found.waiting, 2);
    let alert = "the newest batch one was committed at 2999-01-02 03:04:05 UTC, in the future: a clock was put back";
    assert_eq!(found.alerts, [alert]);
    shop.bed.warehouse_does("UPDATE etl.batch SET committed_at = now() + interval '30 seconds'").await;
    assert_eq!(shop.looks().await.alerts, Vec::<String>::new(), "clocks differ a little");
    shop.close().await;
}
