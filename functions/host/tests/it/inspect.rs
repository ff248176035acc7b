//! Tables are seen as Postgres holds them, on both sides alike.

use std::collections::BTreeMap;

use catalog::{Fault, Ident, Side};
use expect_test::expect;
use host::postgres::inspect::{self, Kind, LiveTable};
use testbed::Testbed;

/// Those of the tables that exist in the source's schema `public`.
async fn tables(bed: &mut Testbed, names: &[&str]) -> BTreeMap<Ident, LiveTable> {
    let ident = |name: &&str| Ident::new(*name).expect("a name");
    let (schema, names) = (ident(&"public"), names.iter().map(ident).collect::<Vec<_>>());
    inspect::tables(&mut bed.source, Side::Source, &schema, names.iter()).await.expect("the source answers")
}

fn words(live: &LiveTable) -> String {
    let columns = live.columns.iter().map(|column| {
        let marks = [(column.is_enum, " enum"), (column.not_null, " not null"), (column.filled, " filled")];
        let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
        format!("{}: {} ({}){marks}\n", column.name, column.type_name, column.base_type)
    });
    let columns: String = columns.collect();
    let sorted = |mut lists: Vec<Vec<String>>| {
        lists.sort();
        lists
    };
    format!(
        "{columns}indexes: {:?}\nunique: {:?}\nreferences: {:?}\n",
        sorted(live.indexes.clone()),
        sorted(live.unique.clone()),
        live.references
    )
}

#[tokio::test]
async fn columns_indexes_and_references_are_seen_as_they_are() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    bed.source_does(
        "CREATE TYPE mood AS ENUM ('good', 'bad');
         CREATE DOMAIN feeling AS mood;
         CREATE DOMAIN price AS numeric(10,2);
         CREATE TABLE place (id integer PRIMARY KEY);
         CREATE TABLE thing (id serial PRIMARY KEY, price price NOT NULL, feels feeling, gone text, mood mood DEFAULT 'bad',
                             place_id integer REFERENCES place, n integer GENERATED ALWAYS AS IDENTITY, \"Größe\" varchar(3)[]);
         ALTER TABLE thing DROP COLUMN gone;
         CREATE UNIQUE INDEX ON thing (place_id, price);
         CREATE INDEX ON thing (price) INCLUDE (id);
         CREATE UNIQUE INDEX ON thing (n) WHERE price > 0;
         CREATE UNIQUE INDEX ON thing (abs(n))",
    )
    .await;
    let tables = tables(&mut bed, &["thing", "nothing"]).await;
    assert_eq!(tables.len(), 1, "what does not exist is missing");
    expect![[r#"
        id: integer (integer) not null filled
        price: price (numeric(10,2)) not null
        feels: feeling (mood) enum filled
        mood: mood (mood) enum filled
        place_id: integer (integer) filled
        n: integer (integer) not null filled
        Größe: character varying(3)[] (character varying(3)[]) filled
        indexes: [["id"], ["place_id", "price"], ["price"]]
        unique: [["id"], ["place_id", "price"]]
        references: {("place_id", "place")}
    "#]]
    .assert_eq(&tables.values().map(words).collect::<String>());
    bed.end().await;
}

#[tokio::test]
async fn what_stands_under_a_name_is_told_apart() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    bed.source_does(
        "CREATE TABLE a (id integer PRIMARY KEY);
         CREATE TABLE b (id integer) PARTITION BY RANGE (id);
         CREATE MATERIALIZED VIEW c AS SELECT 1 AS id;
         CREATE VIEW d AS SELECT 1 AS id;
         CREATE SEQUENCE e",
    )
    .await;
    let tables = tables(&mut bed, &["a", "b", "c", "d", "e", "a_pkey"]).await;
    let kinds: Vec<(&str, Kind)> = tables.iter().map(|(name, live)| (name.as_str(), live.kind)).collect();
    let expected = [
        ("a", Kind::Table),
        ("a_pkey", Kind::Other),
        ("b", Kind::Partitioned),
        ("c", Kind::MaterializedView),
        ("d", Kind::View),
        ("e", Kind::Other),
    ];
    assert_eq!(kinds, expected);
    bed.end().await;
}

#[tokio::test]
async fn a_foreign_table_beneath_another_is_seen_however_deep() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    let server = format!(
        "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER other FOREIGN DATA WRAPPER nothing;
         GRANT USAGE ON FOREIGN SERVER other TO {}",
        local::APPLICATION
    );
    testbed::execute(&mut bed.superuser(Side::Source).await, &server).await;
    bed.source_does(
        "CREATE SCHEMA far;
         CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b () INHERITS (a);
         CREATE FOREIGN TABLE far.\"C\" () INHERITS (b) SERVER other;
         CREATE TABLE d (id integer) PARTITION BY RANGE (id);
         CREATE FOREIGN TABLE e PARTITION OF d FOR VALUES FROM (0) TO (9) SERVER other;
         CREATE TABLE f (id integer PRIMARY KEY); CREATE TABLE g () INHERITS (f)",
    )
    .await;
    let tables = tables(&mut bed, &["a", "b", "d", "e", "f"]).await;
    let foreign = |name: &str| tables[&Ident::new(name).expect("a name")].foreign.as_deref();
    assert_eq!(["a", "b", "d", "e", "f"].map(foreign), [Some("far.\"C\""), Some("far.\"C\""), Some("e"), None, None]);
    let versioned = tables.iter().filter(|(_, live)| live.is_versioned()).map(|(name, _)| name.as_str());
    assert_eq!(versioned.collect::<Vec<_>>(), ["f"]);
    bed.end().await;
}

#[tokio::test]
async fn a_connection_that_broke_is_named_by_its_side() {
    let mut bed = Testbed::new(crate::CATALOGUE).await;
    let backend = bed.ask_warehouse("pg_backend_pid()").await;
    let mut server = bed.superuser(Side::Warehouse).await;
    testbed::execute(&mut server, &format!("SELECT pg_terminate_backend({backend})")).await;
    let schema = Ident::new("public").expect("a name");
    let error = inspect::tables(&mut bed.warehouse, Side::Warehouse, &schema, [].into_iter()).await;
    let error = error.expect_err("its connection broke");
    assert_eq!(error.fault(), Fault::WarehouseUnavailable);
    assert!(error.report().starts_with("cannot read the warehouse's catalogue: "), "{}", error.report());
    bed.warehouse = server;
    bed.end().await;
}
