//! What is read, and how it is written.

use catalog::Horizon;
use catalog::message::{Read, StepStatus, TablePlan};
use expect_test::expect;
use sqlx::Connection as _;
use testbed::{Testbed, ask, execute};

use crate::{bed, csv, extract, host_of, ids, manifest, since, whole};

/// Right after everything that is committed now, whatever else runs on the server.
async fn now(bed: &mut Testbed) -> Horizon {
    bed.ask_source("pg_current_xact_id()").await.parse().expect("a transaction id")
}

#[tokio::test]
async fn a_table_is_read_whole() {
    let mut bed = bed().await;
    bed.source_does(r#"INSERT INTO "Thing's" VALUES (1, 'one'), (2, 'two')"#).await;
    let version = bed.ask_source(r#"SELECT max(xmin::text) FROM "Thing's""#).await;
    let host = host_of(&bed).await;
    let extracted = extract(&host, "first", whole()).await.expect("it is read");
    assert_eq!((extracted.status, extracted.rows), (StepStatus::Done, 2));
    let csv = csv(&host, "first").await;
    let expected = format!("id,\"A \"\"quoted\"\" näme\",_xmin\n1,one,{version}\n2,two,{version}\n");
    assert_eq!(csv, expected);
    assert_eq!(extracted.bytes, csv.len() as u64);
    let manifest = manifest(&host, "first").await;
    assert_eq!((manifest.rows, manifest.bytes, manifest.read), (2, extracted.bytes, Read::Whole));
    bed.end().await;
}

#[tokio::test]
async fn an_empty_table_is_a_manifest_without_parts() {
    let bed = bed().await;
    let host = host_of(&bed).await;
    let extracted = extract(&host, "first", whole()).await.expect("it is read");
    assert_eq!((extracted.status, extracted.rows, extracted.bytes), (StepStatus::Done, 0, 0));
    assert!(manifest(&host, "first").await.parts.is_empty());
    bed.end().await;
}

#[tokio::test]
async fn a_table_with_nothing_to_read_is_skipped_without_asking_anybody() {
    let bed = bed().await;
    let host = host_of(&bed).await;
    let extracted = extract(&host, "first", TablePlan { read: Read::Nothing, ..whole() }).await.expect("it is skipped");
    assert_eq!(extracted.status, StepStatus::Skipped);
    bed.end().await;
}

#[tokio::test]
async fn only_rows_written_since_the_horizon_are_read() {
    let mut bed = bed().await;
    bed.source_does(r#"INSERT INTO "Thing's" SELECT i, 'old' FROM generate_series(1, 5) i"#).await;
    let horizon = now(&mut bed).await;
    bed.source_does(r#"INSERT INTO "Thing's" VALUES (6, 'new')"#).await;
    bed.source_does(r#"UPDATE "Thing's" SET id = 2 WHERE id = 2"#).await;
    bed.source_does(r#"DELETE FROM "Thing's" WHERE id = 3"#).await;
    let host = host_of(&bed).await;
    assert_eq!(extract(&host, "second", since(horizon)).await.expect("it is read").rows, 2);
    let mut ids = ids(&host, "second").await;
    ids.sort_unstable();
    assert_eq!(ids, [2, 6]);
    bed.end().await;
}

#[tokio::test]
async fn a_transaction_still_open_is_read_after_its_commit_and_its_savepoints_with_it() {
    let mut bed = bed().await;
    let mut late = bed.hold(catalog::Side::Source, r#"INSERT INTO "Thing's" VALUES (1, 'late')"#).await;
    let horizon: Horizon = ask(&mut late, "pg_current_xact_id()").await.parse().expect("a transaction id");
    execute(&mut late, r#"SAVEPOINT s; INSERT INTO "Thing's" VALUES (2, 'later'); RELEASE s"#).await;
    bed.source_does(r#"INSERT INTO "Thing's" VALUES (3, 'first to commit')"#).await;
    let host = host_of(&bed).await;
    extract(&host, "first", since(horizon)).await.expect("it is read");
    assert_eq!(ids(&host, "first").await, [3]);
    execute(&mut late, "COMMIT").await;
    late.close().await.expect("a connection closes");
    extract(&host, "second", since(horizon)).await.expect("it is read");
    assert_eq!(ids(&host, "second").await, [1, 2, 3]);
    bed.end().await;
}

#[tokio::test]
async fn hostile_values_are_written_byte_by_byte_and_null_is_not_the_empty_text() {
    let mut bed = bed().await;
    bed.source_does(
        r#"INSERT INTO "Thing's" VALUES
           (1, NULL), (2, ''), (3, 'NULL'), (4, '\N'), (5, '\.'), (6, ' '), (7, '007'), (8, 'a "quoted", comma''d'),
           (9, E'two\nlines'), (10, E'and\r\nfour\ttabs'), (11, '"'), (12, 'Größe 🛍️ 手提袋'), (13, 'O''Keefe; DROP TABLE x; --')"#,
    )
    .await;
    let version = bed.ask_source(r#"SELECT max(xmin::text) FROM "Thing's""#).await;
    let host = host_of(&bed).await;
    extract(&host, "first", whole()).await.expect("it is read");
    let csv = csv(&host, "first").await.replace(&format!(",{version}\n"), ",·\n").replace('\r', "␍");
    expect![[r#"
        id,"A ""quoted"" näme",_xmin
        1,,·
        2,"",·
        3,NULL,·
        4,\N,·
        5,\.,·
        6, ,·
        7,007,·
        8,"a ""quoted"", comma'd",·
        9,"two
        lines",·
        10,"and␍
        four	tabs",·
        11,"""",·
        12,Größe 🛍️ 手提袋,·
        13,O'Keefe; DROP TABLE x; --,·
    "#]]
    .assert_eq(&csv);
    bed.end().await;
}

#[tokio::test]
async fn the_rows_of_a_view_carry_no_transaction_id() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    bed.source_does(r#"CREATE VIEW "Thing's" AS SELECT 1 AS id, 'one'::text AS "A ""quoted"" näme""#).await;
    let host = host_of(&bed).await;
    let plan = TablePlan { versioned: false, ..whole() };
    assert_eq!(extract(&host, "first", plan).await.expect("it is read").rows, 1);
    assert!(csv(&host, "first").await.ends_with("_xmin\n1,one,\n"));
    bed.end().await;
}
