//! What changes rows without a transaction id of its own is seen by a table's fingerprint: it is read whole (R1).

use catalog::message::{PlanStatus, Read};
use testbed::Testbed;

use crate::{CATALOGUE, PLACES, commit, committed, first, read, second, settle};

/// What is read of `thing` after some statements in the source, which write no row.
async fn after(statements: &[&str]) -> (Read, String) {
    let (mut bed, checkpoint) = committed().await;
    for statement in statements {
        bed.source_does(statement).await;
    }
    settle(&mut bed).await;
    let plan = second(&bed, &checkpoint).await;
    let (read, reason) = read(&plan, "thing");
    let answer = (read, reason.to_owned());
    bed.end().await;
    answer
}

fn whole() -> (Read, String) {
    (Read::Whole, "its table is not what it was".to_owned())
}

#[tokio::test]
async fn tables_that_swapped_their_names() {
    let other =
        "CREATE TABLE thing_new (id integer PRIMARY KEY, price numeric(10,2) NOT NULL, place_id integer NOT NULL)";
    let swap = "ALTER TABLE thing RENAME TO thing_old; ALTER TABLE thing_new RENAME TO thing";
    assert_eq!(after(&[other, swap]).await, whole());
}

#[tokio::test]
async fn a_column_that_took_the_place_of_another() {
    let backfilled = "ALTER TABLE thing ADD price_new numeric(10,2) NOT NULL DEFAULT 7";
    let swap = "ALTER TABLE thing DROP price; ALTER TABLE thing RENAME price_new TO price";
    assert_eq!(after(&[backfilled, swap]).await, whole());
}

#[tokio::test]
async fn a_column_dropped_and_added_with_a_default() {
    let anew = "ALTER TABLE thing DROP price; ALTER TABLE thing ADD price numeric(10,2) NOT NULL DEFAULT 9";
    assert_eq!(after(&[anew]).await, whole());
}

#[tokio::test]
async fn a_table_that_inherits() {
    let child = "CREATE TABLE child (id integer NOT NULL, price numeric(10,2) NOT NULL, place_id integer NOT NULL);
                 INSERT INTO child VALUES (99, 1, 1); ALTER TABLE child INHERIT thing";
    assert_eq!(after(&[child]).await, whole());
}

#[tokio::test]
async fn a_truncated_table_and_a_rewritten_one() {
    assert_eq!(after(&["TRUNCATE thing"]).await, whole());
    assert_eq!(after(&["VACUUM FULL thing"]).await, whole());
}

#[tokio::test]
async fn row_security_put_on() {
    let policy = "CREATE POLICY half ON thing USING (id < 5); ALTER TABLE thing ENABLE ROW LEVEL SECURITY";
    assert_eq!(after(&[policy]).await, whole());
}

#[tokio::test]
async fn a_column_more_changes_nothing() {
    assert_eq!(
        after(&["ALTER TABLE thing ADD colour text DEFAULT 'red'"]).await,
        (Read::Nothing, "unchanged".to_owned())
    );
}

/// What is read of `thing`, which is made by `make`, after `change`.
async fn made(make: &str, catalogue: &str, change: &str) -> (Read, String) {
    let mut bed = Testbed::new(catalogue).await;
    bed.source_does(PLACES).await;
    bed.source_does(make).await;
    settle(&mut bed).await;
    let checkpoint = commit(&bed, &first(&bed).await).await;
    assert_eq!(second(&bed, &checkpoint).await.status, PlanStatus::UpToDate);
    bed.source_does(change).await;
    settle(&mut bed).await;
    let plan = second(&bed, &checkpoint).await;
    let (read, reason) = read(&plan, "thing");
    let answer = (read, reason.to_owned());
    bed.end().await;
    answer
}

#[tokio::test]
async fn a_partition_that_was_attached() {
    let columns = "(id integer PRIMARY KEY, price numeric(10,2) NOT NULL, place_id integer NOT NULL)";
    let make = format!(
        "CREATE TABLE thing {columns} PARTITION BY RANGE (id);
         CREATE TABLE low PARTITION OF thing FOR VALUES FROM (0) TO (100);
         CREATE TABLE high {columns}; INSERT INTO high VALUES (101, 1, 1)"
    );
    let attach = "ALTER TABLE thing ATTACH PARTITION high FOR VALUES FROM (100) TO (200)";
    assert_eq!(made(&make, CATALOGUE, attach).await, whole());
}

#[tokio::test]
async fn a_value_of_an_enumeration_that_took_another_name() {
    let catalogue = CATALOGUE.replace("price = 'numeric(10,2)'", "price = 'numeric(10,2)', mood = 'text'");
    let make = "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE DOMAIN feeling AS mood;
                CREATE TABLE thing (id integer PRIMARY KEY, price numeric(10,2) NOT NULL, place_id integer NOT NULL,
                                    mood feeling NOT NULL);
                INSERT INTO thing VALUES (1, 1, 1, 'bad')";
    let rename = "ALTER TYPE mood RENAME VALUE 'bad' TO 'awful'";
    assert_eq!(made(make, &catalogue, rename).await, whole());
}

#[tokio::test]
async fn a_materialized_view_that_took_the_place_of_a_table() {
    let make = "CREATE TABLE thing (id integer PRIMARY KEY, price numeric(10,2) NOT NULL, place_id integer NOT NULL)";
    let replace =
        "DROP TABLE thing; CREATE MATERIALIZED VIEW thing AS SELECT 1 AS id, 2::numeric(10,2) AS price, 1 AS place_id;
                   CREATE UNIQUE INDEX ON thing (id)";
    assert_eq!(made(make, CATALOGUE, replace).await, whole());
}
