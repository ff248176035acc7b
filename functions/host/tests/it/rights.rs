//! What a role lacks to read the source is named with what gives it, and giving it is enough.

use catalog::Side;
use expect_test::{Expect, expect};
use host::postgres::{classify, rights};
use local::READER;
use sqlx::{ConnectOptions as _, Connection as _};
use testbed::Testbed;

const TABLE: &str = "CREATE TABLE thing (id integer PRIMARY KEY, secret text)";

/// What the reader lacks after statements of a superuser.
async fn missing(bed: &mut Testbed, statements: &[&str]) -> Vec<String> {
    let mut superuser = bed.superuser(Side::Source).await;
    for statement in statements {
        testbed::execute(&mut superuser, statement).await;
    }
    superuser.close().await.expect("a connection closes");
    let mut reader = bed.options(READER, Side::Source).await.connect().await.expect("the source answers");
    let missing = rights::missing(&mut reader, &bed.catalog().source).await.expect("the source answers");
    reader.close().await.expect("a connection closes");
    missing
}

async fn check(statements: &[&str], expected: &Expect) {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    bed.source_does(TABLE).await;
    assert_eq!(missing(&mut bed, &[]).await, Vec::<String>::new(), "the test bed gives everything");
    let missing = missing(&mut bed, statements).await;
    expected.assert_eq(&missing.join("\n"));
    bed.end().await;
}

#[tokio::test]
async fn a_schema_that_may_not_be_used_is_named_with_its_grant() {
    check(
        &["REVOKE USAGE ON SCHEMA public FROM PUBLIC, reader"],
        &expect![[r#"the role reader may not use the schema public: GRANT USAGE ON SCHEMA "public" TO "reader""#]],
    )
    .await;
}

#[tokio::test]
async fn a_table_that_may_not_be_read_is_named_with_its_grant() {
    check(
        &["REVOKE SELECT ON thing FROM reader"],
        &expect![[r#"the role reader may not read thing: GRANT SELECT ON "public"."thing" TO "reader""#]],
    )
    .await;
}

#[tokio::test]
async fn a_table_whose_rows_a_policy_may_hide_is_named() {
    check(&["ALTER TABLE thing ENABLE ROW LEVEL SECURITY"], &expect![[r#"row security of thing may hide rows from the role reader, which is an error when it is read: ALTER ROLE "reader" BYPASSRLS"#]]).await;
}

#[tokio::test]
async fn a_read_that_a_policy_refuses_is_told_with_the_remedy_of_the_check_and_not_of_a_right_that_is_missing() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    bed.source_does(TABLE).await;
    missing(&mut bed, &["ALTER TABLE thing ENABLE ROW LEVEL SECURITY"]).await;
    let mut reader = bed.options(READER, Side::Source).await.connect().await.expect("the source answers");
    testbed::execute(&mut reader, "SET row_security = off").await;
    let error = sqlx::query("SELECT id FROM thing").execute(&mut reader).await.expect_err("a policy is in the way");
    let report = classify(Side::Source, "cannot read thing", error).report();
    reader.close().await.expect("a connection closes");
    bed.end().await;
    assert!(report.contains("BYPASSRLS") && report.ends_with(", then redrive)"), "{report}");
    assert!(!report.contains("grant") && !report.contains("GRANT"), "{report}");
}

#[tokio::test]
async fn the_mapped_columns_and_the_row_version_are_enough() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    bed.source_does(TABLE).await;
    let some = missing(&mut bed, &["REVOKE SELECT ON thing FROM reader", "GRANT SELECT (id) ON thing TO reader"]).await;
    assert_eq!(some.len(), 1, "xmin is read too: {some:?}");
    let mut reader = bed.options(READER, Side::Source).await.connect().await.expect("the source answers");
    let read = "SELECT id, xmin FROM thing";
    assert!(sqlx::query(read).execute(&mut reader).await.is_err(), "Postgres agrees");
    assert_eq!(missing(&mut bed, &["GRANT SELECT (xmin) ON thing TO reader"]).await, Vec::<String>::new());
    sqlx::query(read).execute(&mut reader).await.expect("Postgres agrees");
    reader.close().await.expect("a connection closes");
    bed.end().await;
}

#[tokio::test]
async fn a_table_that_does_not_exist_lacks_no_right() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    assert_eq!(missing(&mut bed, &[]).await, Vec::<String>::new());
    bed.end().await;
}
