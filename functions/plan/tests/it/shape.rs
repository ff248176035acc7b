//! R9: a source of another shape than the catalogue's is an error that names every difference, before anything is written.

use catalog::Fault;
use catalog::message::Checkpoint;
use expect_test::{Expect, expect};
use testbed::{Testbed, batch};

use crate::{CATALOGUE, PLACES, THINGS, plan};

/// What plan says of a source.
async fn check(source: &[&str], expected: Expect) {
    let mut bed = Testbed::new(CATALOGUE).await;
    for statements in source {
        bed.source_does(statements).await;
    }
    let error = plan(&bed, batch("first", 0), &Checkpoint::default()).await.expect_err("the source has another shape");
    assert_eq!(error.fault(), Fault::SourceSchemaChanged);
    expected.assert_eq(&error.to_string().replace("; ", ";\n"));
    bed.end().await;
}

#[tokio::test]
async fn a_missing_table_is_named() {
    check(&[THINGS], expect!["place does not exist in schema public (pipeline.toml, line 4)"]).await;
}

#[tokio::test]
async fn a_missing_and_a_retyped_column_are_named_together() {
    let changed = "ALTER TABLE thing RENAME price TO cost; ALTER TABLE thing ALTER place_id TYPE bigint";
    check(
        &[PLACES, THINGS, changed],
        expect![[r#"
            thing.price does not exist (pipeline.toml, line 11);
            thing.place_id is bigint where the catalogue says integer (pipeline.toml, line 11)"#]],
    )
    .await;
}

#[tokio::test]
async fn a_key_without_a_unique_index_is_named() {
    let changed = "ALTER TABLE thing DROP CONSTRAINT thing_pkey; CREATE UNIQUE INDEX ON thing (id) WHERE price > 0;
                   CREATE INDEX ON thing (id); CREATE UNIQUE INDEX ON thing (id, place_id)";
    check(&[PLACES, THINGS, changed], expect!["thing has no unique index over its key (id) (pipeline.toml, line 8)"])
        .await;
}

#[tokio::test]
async fn a_domain_is_read_as_what_it_is_over_and_further_columns_do_not_matter() {
    let mut bed = Testbed::new(CATALOGUE).await;
    let domain = "CREATE DOMAIN money_of_ours AS numeric(10,2); ALTER TABLE thing ALTER price TYPE money_of_ours;
                  ALTER TABLE thing ADD colour text";
    for statements in [PLACES, THINGS, domain] {
        bed.source_does(statements).await;
    }
    plan(&bed, batch("first", 0), &Checkpoint::default()).await.expect("it is of the catalogue's shape");
    bed.end().await;
}
