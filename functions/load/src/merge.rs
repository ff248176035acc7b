//! A stage into its table, set by set: R3 for what is there already.

use catalog::{Catalog, Ident, Result, Side, Target, TargetKind, qualified};
use host::postgres::classify;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::stage::Stage;
use crate::statement::{counts, join, list, list_of, rows_written};

/// What a merge wrote.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// Keys that were new.
    pub(crate) added: u64,
    /// Versions of known keys, or rows that differed.
    pub(crate) updated: u64,
}

/// Brings what is on the stage into the table; what is there already is not written again.
pub(crate) async fn merge(warehouse: &mut PgConnection, catalog: &Catalog, stage: &Stage<'_>) -> Result<Merged> {
    let doing = format!("cannot merge {}", stage.target.name);
    let failed = |error| classify(Side::Warehouse, &doing, error);
    let table = qualified(&catalog.warehouse.schema, &stage.target.name);
    let asked = sqlx::query_scalar(AssertSqlSafe(is_empty(&table)));
    if asked.fetch_one(&mut *warehouse).await.map_err(failed)? {
        let added = rows_written(warehouse, &doing, insert(&table, stage)).await?;
        return Ok(Merged { added, updated: 0 });
    }
    let statement = match &stage.target.kind {
        TargetKind::Dimension => upsert(&table, stage),
        TargetKind::Fact { surrogate_key } => append_versions(&table, stage, surrogate_key),
    };
    let [added, updated] = counts(warehouse, &doing, statement).await?;
    Ok(Merged { added, updated })
}

fn is_empty(table: &str) -> String {
    format!("SELECT NOT EXISTS (SELECT FROM {table})")
}

/// Nothing is there yet: no version to compare with, no conflict to look for.
fn insert(table: &str, stage: &Stage<'_>) -> String {
    let columns = list(stage.columns());
    format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {}", stage.name)
}

/// R3 for dimensions: a row is written only where it differs.
fn upsert(table: &str, stage: &Stage<'_>) -> String {
    let columns = list(stage.columns());
    let values: Vec<&Ident> = stage.columns().filter(|column| !stage.target.key.contains(column)).collect();
    let on_conflict = if values.is_empty() {
        "DO NOTHING".to_owned()
    } else {
        format!(
            "DO UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})",
            join(values.iter().copied(), ", ", |column| format!("{column} = excluded.{column}")),
            list_of("known", values.iter().copied()),
            list_of("excluded", values.iter().copied()),
        )
    };
    // A row that was inserted, not updated, has no xmax.
    format!(
        "WITH merged AS (INSERT INTO {table} AS known ({columns}) SELECT {columns} FROM {stage}
                         ON CONFLICT ({key}) {on_conflict} RETURNING known.xmax = 0 AS added)
         SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM merged",
        stage = stage.name,
        key = list(&stage.target.key),
    )
}

/// R3 for facts: a version is added only where it differs from the newest of its key, so that A → B → A gives three versions
/// and A → A one.
///
/// A known version is told by its place in the table: `ctid` is a name that no column can have.
fn append_versions(table: &str, stage: &Stage<'_>, surrogate_key: &Ident) -> String {
    let Target { key, .. } = stage.target;
    let (columns, staged, newest) =
        (list(stage.columns()), list_of("s", stage.columns()), list_of("n", stage.columns()));
    format!(
        "WITH changed AS MATERIALIZED (
             SELECT {staged}, n.ctid
               FROM {stage} AS s
               LEFT JOIN LATERAL (SELECT {versions}, f.ctid FROM {table} AS f
                                   WHERE {same_key} ORDER BY f.{surrogate_key} DESC LIMIT 1) AS n ON true
              WHERE n.ctid IS NULL OR ({newest}) IS DISTINCT FROM ({staged})),
         added AS (INSERT INTO {table} ({columns}) SELECT {columns} FROM changed ORDER BY {order})
         SELECT count(*) FILTER (WHERE ctid IS NULL), count(*) FILTER (WHERE ctid IS NOT NULL) FROM changed",
        stage = stage.name,
        versions = list_of("f", stage.columns()),
        same_key = join(key, " AND ", |column| format!("f.{column} = s.{column}")),
        surrogate_key = surrogate_key.sql(),
        order = list(key),
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::samples::catalog;

    #[test]
    fn an_empty_table_is_filled() {
        let catalog = catalog();
        let stage = Stage::of(&catalog.warehouse.targets[0], 0);
        expect![[r#"SELECT NOT EXISTS (SELECT FROM "s"."t")"#]].assert_eq(&is_empty("\"s\".\"t\""));
        expect![[r#"INSERT INTO "s"."t" ("the id", "reason", "excluded") SELECT "the id", "reason", "excluded" FROM pg_temp.stage_0"#]].assert_eq(&insert("\"s\".\"t\"", &stage));
    }

    #[test]
    fn a_dimension_is_written_where_it_differs() {
        let catalog = catalog();
        expect![[r#"
            WITH merged AS (INSERT INTO "s"."t" AS known ("the id", "reason", "excluded") SELECT "the id", "reason", "excluded" FROM pg_temp.stage_0
                                     ON CONFLICT ("the id") DO UPDATE SET "reason" = excluded."reason", "excluded" = excluded."excluded" WHERE (known."reason", known."excluded") IS DISTINCT FROM (excluded."reason", excluded."excluded") RETURNING known.xmax = 0 AS added)
                     SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM merged"#]].assert_eq(&upsert("\"s\".\"t\"", &Stage::of(&catalog.warehouse.targets[0], 0)));
        // A key and nothing else cannot differ.
        expect![[r#"
            WITH merged AS (INSERT INTO "s"."t" AS known ("s") SELECT "s" FROM pg_temp.stage_1
                                     ON CONFLICT ("s") DO NOTHING RETURNING known.xmax = 0 AS added)
                     SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM merged"#]]
        .assert_eq(&upsert("\"s\".\"t\"", &Stage::of(&catalog.warehouse.targets[1], 1)));
    }

    #[test]
    fn a_fact_gets_the_versions_that_differ_from_the_newest() {
        let catalog = catalog();
        let fact = &catalog.warehouse.targets[2];
        let TargetKind::Fact { surrogate_key } = &fact.kind else { panic!("{} is a fact", fact.name) };
        expect![[r#"
            WITH changed AS MATERIALIZED (
                         SELECT s."left %", s."right ""hand""", s."s", s."d0", s."c", s."reason", s."known", n.ctid
                           FROM pg_temp.stage_2 AS s
                           LEFT JOIN LATERAL (SELECT f."left %", f."right ""hand""", f."s", f."d0", f."c", f."reason", f."known", f.ctid FROM "s"."t" AS f
                                               WHERE f."left %" = s."left %" AND f."right ""hand""" = s."right ""hand""" ORDER BY f."n o" DESC LIMIT 1) AS n ON true
                          WHERE n.ctid IS NULL OR (n."left %", n."right ""hand""", n."s", n."d0", n."c", n."reason", n."known") IS DISTINCT FROM (s."left %", s."right ""hand""", s."s", s."d0", s."c", s."reason", s."known")),
                     added AS (INSERT INTO "s"."t" ("left %", "right ""hand""", "s", "d0", "c", "reason", "known") SELECT "left %", "right ""hand""", "s", "d0", "c", "reason", "known" FROM changed ORDER BY "left %", "right ""hand""")
                     SELECT count(*) FILTER (WHERE ctid IS NULL), count(*) FILTER (WHERE ctid IS NOT NULL) FROM changed"#]].assert_eq(&append_versions("\"s\".\"t\"", &Stage::of(fact, 2), surrogate_key));
    }
}
