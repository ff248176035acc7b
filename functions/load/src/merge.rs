//! New rows into a table, set by set: R3 for what is there already.

use catalog::{Catalog, Error, Fault, Ident, Result, Side, Target, TargetKind, ValueType, qualified};
use host::postgres::classify;
use ledger::statement::{counts, join, list, list_of, rows_written};
use sqlx::{AssertSqlSafe, PgConnection};

/// What a merge wrote.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// Keys that were new.
    pub(crate) added: u64,
    /// Versions of known keys, or rows that differed.
    pub(crate) updated: u64,
    /// Newest versions that were given the values of columns that are new.
    pub(crate) filled: u64,
}

/// Rows to merge.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'r> {
    /// A relation of the target's columns, as it stands in a statement.
    pub(crate) relation: &'r str,
    /// How many it has.
    pub(crate) count: u64,
}

/// Brings rows into the target's table; what is there already is not written again. `gained` are the columns that the table
/// had not at the last load.
///
/// # Errors
/// `Warehouse.Refused` where the warehouse took rows and did not keep them, else what it answers.
pub(crate) async fn merge(
    warehouse: &mut PgConnection,
    catalog: &Catalog,
    target: &Target,
    rows: Rows<'_>,
    gained: &[&Ident],
) -> Result<Merged> {
    let doing = format!("cannot merge {}", target.name);
    let failed = |error| classify(Side::Warehouse, &doing, error);
    let merge = Merge { table: qualified(&catalog.warehouse.schema, &target.name), target, rows: rows.relation };
    let asked = sqlx::query_scalar(AssertSqlSafe(merge.is_empty()));
    if asked.fetch_one(&mut *warehouse).await.map_err(failed)? {
        let written = rows_written(warehouse, &doing, merge.insert()).await?;
        if written < rows.count {
            let [there] = counts(warehouse, &doing, merge.counting()).await?;
            demand_all(&doing, rows.count, rows.count.saturating_sub(there))?;
        }
        return Ok(Merged { added: rows.count, ..Merged::default() });
    }
    let mut filled = 0;
    if let TargetKind::Fact { surrogate_key } = &target.kind
        && !gained.is_empty()
    {
        filled = rows_written(warehouse, &doing, merge.fill(surrogate_key, gained)).await?;
    }
    let [added, updated, written] = counts(warehouse, &doing, merge.write()).await?;
    if written < added + updated {
        let [left] = counts(warehouse, &doing, merge.counting_changed()).await?;
        demand_all(&doing, added + updated, left)?;
    }
    Ok(Merged { added, updated, filled })
}

/// Refuses a table that is without rows which it took. One whose trigger puts them into a child has them.
fn demand_all(doing: &str, meant: u64, missing: u64) -> Result<()> {
    if missing == 0 {
        return Ok(());
    }
    let rows = if meant == 1 { "row" } else { "rows" };
    let what = format!(
        "{doing}: the table did not keep {missing} of {meant} {rows} that it took: a trigger or rule of the warehouse \
         swallowed them"
    );
    Err(Error::new(Fault::WarehouseRefused, what))
}

/// The statements of one merge.
struct Merge<'m> {
    table: String,
    target: &'m Target,
    rows: &'m str,
}

impl Merge<'_> {
    fn columns(&self) -> impl Iterator<Item = &Ident> {
        self.target.columns.iter().map(|column| &column.name)
    }

    /// Values as they are compared: two that Postgres prints differently differ, whatever its `=` says of them.
    fn compared<'n>(&self, alias: &str, names: impl IntoIterator<Item = &'n Ident>) -> String {
        let exact = |name: &Ident| {
            let value = self.target.column(name.as_str()).map(|column| column.value);
            let name = format!("{alias}.{}", name.sql());
            match value {
                // A json has no equality, a jsonb takes 1.0 for 1.00, a float -0 for 0.
                Some(ValueType::Json | ValueType::JsonB | ValueType::Real | ValueType::Double) => {
                    format!("{name}::text")
                }
                // A column of the client's own may have a collation that takes A for a.
                Some(ValueType::Text) => format!("{name} COLLATE \"C\""),
                _ => name,
            }
        };
        let compared: Vec<String> = names.into_iter().map(exact).collect();
        format!("({})", compared.join(", "))
    }

    fn is_empty(&self) -> String {
        format!("SELECT NOT EXISTS (SELECT FROM {})", self.table)
    }

    /// Nothing is there yet: no version to compare with, no conflict to look for.
    fn insert(&self) -> String {
        let columns = list(self.columns());
        format!("INSERT INTO {} ({columns}) SELECT {columns} FROM {} AS s", self.table, self.rows)
    }

    fn counting(&self) -> String {
        format!("SELECT count(*) FROM {}", self.table)
    }

    /// Writes what [`Merge::changed`] finds; how many keys are new, how many are known, and how many rows were written.
    fn write(&self) -> String {
        let columns = list(self.columns());
        let rest = match &self.target.kind {
            TargetKind::Dimension => format!(" ON CONFLICT ({}) {}", list(&self.target.key), self.on_conflict()),
            TargetKind::Fact { .. } => format!(" ORDER BY {}", list(&self.target.key)),
        };
        format!(
            "WITH changed AS MATERIALIZED (
             {changed}),
         written AS (INSERT INTO {table} ({columns}) SELECT {columns} FROM changed{rest} RETURNING 1)
         SELECT count(*) FILTER (WHERE ctid IS NULL), count(*) FILTER (WHERE ctid IS NOT NULL), (SELECT count(*) FROM written) FROM changed",
            changed = self.changed(),
            table = self.table,
        )
    }

    fn counting_changed(&self) -> String {
        format!("SELECT count(*) FROM ({}) AS c", self.changed())
    }

    /// The rows that differ from what is there, each with the place of what it differs from: `ctid` is a name that no column
    /// can have.
    fn changed(&self) -> String {
        match &self.target.kind {
            TargetKind::Dimension => self.changed_rows(),
            TargetKind::Fact { surrogate_key } => self.changed_versions(surrogate_key),
        }
    }

    /// R3 for dimensions: a row is written only where it differs.
    fn changed_rows(&self) -> String {
        let values: Vec<&Ident> = self.values().collect();
        let differs = if values.is_empty() {
            String::new()
        } else {
            let (known, staged) = (self.compared("k", values.iter().copied()), self.compared("s", values));
            format!(" OR {known} IS DISTINCT FROM {staged}")
        };
        format!(
            "SELECT {staged}, k.ctid
               FROM {rows} AS s
               LEFT JOIN {table} AS k ON {same_key}
              WHERE k.ctid IS NULL{differs}",
            staged = list_of("s", self.columns()),
            rows = self.rows,
            table = self.table,
            same_key = join(&self.target.key, " AND ", |column| format!("k.{column} = s.{column}")),
        )
    }

    /// R3 for facts: a version is added only where it differs from the newest of its key, so that A → B → A gives three
    /// versions and A → A one.
    fn changed_versions(&self, surrogate_key: &Ident) -> String {
        format!(
            "SELECT {staged}, n.ctid
               FROM {rows} AS s
               LEFT JOIN LATERAL ({newest}) AS n ON true
              WHERE n.ctid IS NULL OR {of_newest} IS DISTINCT FROM {of_staged}",
            staged = list_of("s", self.columns()),
            rows = self.rows,
            newest = self.newest(surrogate_key),
            of_newest = self.compared("n", self.columns()),
            of_staged = self.compared("s", self.columns()),
        )
    }

    fn values(&self) -> impl Iterator<Item = &Ident> {
        self.columns().filter(|column| !self.target.key.contains(column))
    }

    fn on_conflict(&self) -> String {
        let values = join(self.values(), ", ", |column| format!("{column} = excluded.{column}"));
        if values.is_empty() { "DO NOTHING".to_owned() } else { format!("DO UPDATE SET {values}") }
    }

    /// The values of new columns into the newest version of each key, where the others are what they were.
    fn fill(&self, surrogate_key: &Ident, gained: &[&Ident]) -> String {
        let kept = || self.columns().filter(|column| !gained.contains(column));
        format!(
            "UPDATE {table} AS f SET {values}
   FROM (SELECT {new}, n.tableoid, n.ctid
           FROM {rows} AS s CROSS JOIN LATERAL ({newest}) AS n
          WHERE {kept_of_newest} IS NOT DISTINCT FROM {kept_of_staged} AND {new_of_newest} IS DISTINCT FROM {new_of_staged}) AS s
  WHERE (f.tableoid, f.ctid) = (s.tableoid, s.ctid)",
            table = self.table,
            values = join(gained.iter().copied(), ", ", |column| format!("{column} = s.{column}")),
            new = list_of("s", gained.iter().copied()),
            rows = self.rows,
            newest = self.newest(surrogate_key),
            kept_of_newest = self.compared("n", kept()),
            kept_of_staged = self.compared("s", kept()),
            new_of_newest = self.compared("n", gained.iter().copied()),
            new_of_staged = self.compared("s", gained.iter().copied()),
        )
    }

    /// The newest version of the key of `s`. It is told by its place in the table: `ctid` and `tableoid` are names that no
    /// column can have.
    fn newest(&self, surrogate_key: &Ident) -> String {
        format!(
            "SELECT {versions}, f.tableoid, f.ctid FROM {table} AS f
                                   WHERE {same_key} ORDER BY f.{surrogate_key} DESC LIMIT 1",
            versions = list_of("f", self.columns()),
            table = self.table,
            same_key = join(&self.target.key, " AND ", |column| format!("f.{column} = s.{column}")),
            surrogate_key = surrogate_key.sql(),
        )
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::samples::catalog;

    fn merge(target: &Target) -> Merge<'_> {
        Merge { table: "\"s\".\"t\"".to_owned(), target, rows: "new_rows" }
    }

    #[test]
    fn an_empty_table_is_filled() {
        let catalog = catalog();
        let merge = merge(&catalog.warehouse.targets[0]);
        expect![[r#"SELECT NOT EXISTS (SELECT FROM "s"."t")"#]].assert_eq(&merge.is_empty());
        expect![[r#"INSERT INTO "s"."t" ("the id", "reason", "excluded") SELECT "the id", "reason", "excluded" FROM new_rows AS s"#]].assert_eq(&merge.insert());
        expect![[r#"SELECT count(*) FROM "s"."t""#]].assert_eq(&merge.counting());
    }

    #[test]
    fn a_dimension_is_written_where_it_differs() {
        let catalog = catalog();
        expect![[r#"
            WITH changed AS MATERIALIZED (
                         SELECT s."the id", s."reason", s."excluded", k.ctid
                           FROM new_rows AS s
                           LEFT JOIN "s"."t" AS k ON k."the id" = s."the id"
                          WHERE k.ctid IS NULL OR (k."reason" COLLATE "C", k."excluded") IS DISTINCT FROM (s."reason" COLLATE "C", s."excluded")),
                     written AS (INSERT INTO "s"."t" ("the id", "reason", "excluded") SELECT "the id", "reason", "excluded" FROM changed ON CONFLICT ("the id") DO UPDATE SET "reason" = excluded."reason", "excluded" = excluded."excluded" RETURNING 1)
                     SELECT count(*) FILTER (WHERE ctid IS NULL), count(*) FILTER (WHERE ctid IS NOT NULL), (SELECT count(*) FROM written) FROM changed"#]].assert_eq(&merge(&catalog.warehouse.targets[0]).write());
        // A key and nothing else cannot differ.
        expect![[r#"
            WITH changed AS MATERIALIZED (
                         SELECT s."s", k.ctid
                           FROM new_rows AS s
                           LEFT JOIN "s"."t" AS k ON k."s" = s."s"
                          WHERE k.ctid IS NULL),
                     written AS (INSERT INTO "s"."t" ("s") SELECT "s" FROM changed ON CONFLICT ("s") DO NOTHING RETURNING 1)
                     SELECT count(*) FILTER (WHERE ctid IS NULL), count(*) FILTER (WHERE ctid IS NOT NULL), (SELECT count(*) FROM written) FROM changed"#]]
        .assert_eq(&merge(&catalog.warehouse.targets[1]).write());
    }

    #[test]
    fn a_fact_gets_the_versions_that_differ_from_the_newest_and_the_values_of_new_columns() {
        let catalog = catalog();
        let fact = &catalog.warehouse.targets[2];
        let TargetKind::Fact { surrogate_key } = &fact.kind else { panic!("{} is a fact", fact.name) };
        expect![[r#"
            WITH changed AS MATERIALIZED (
                         SELECT s."left %", s."right ""hand""", s."s", s."d0", s."c", s."reason", s."known", n.ctid
                           FROM new_rows AS s
                           LEFT JOIN LATERAL (SELECT f."left %", f."right ""hand""", f."s", f."d0", f."c", f."reason", f."known", f.tableoid, f.ctid FROM "s"."t" AS f
                                               WHERE f."left %" = s."left %" AND f."right ""hand""" = s."right ""hand""" ORDER BY f."n o" DESC LIMIT 1) AS n ON true
                          WHERE n.ctid IS NULL OR (n."left %", n."right ""hand""" COLLATE "C", n."s", n."d0", n."c", n."reason" COLLATE "C", n."known" COLLATE "C") IS DISTINCT FROM (s."left %", s."right ""hand""" COLLATE "C", s."s", s."d0", s."c", s."reason" COLLATE "C", s."known" COLLATE "C")),
                     written AS (INSERT INTO "s"."t" ("left %", "right ""hand""", "s", "d0", "c", "reason", "known") SELECT "left %", "right ""hand""", "s", "d0", "c", "reason", "known" FROM changed ORDER BY "left %", "right ""hand""" RETURNING 1)
                     SELECT count(*) FILTER (WHERE ctid IS NULL), count(*) FILTER (WHERE ctid IS NOT NULL), (SELECT count(*) FROM written) FROM changed"#]].assert_eq(&merge(fact).write());
        let gained: Vec<&Ident> = fact.columns.iter().map(|column| &column.name).skip(5).collect();
        expect![[r#"
            UPDATE "s"."t" AS f SET "reason" = s."reason", "known" = s."known"
               FROM (SELECT s."reason", s."known", n.tableoid, n.ctid
                       FROM new_rows AS s CROSS JOIN LATERAL (SELECT f."left %", f."right ""hand""", f."s", f."d0", f."c", f."reason", f."known", f.tableoid, f.ctid FROM "s"."t" AS f
                                               WHERE f."left %" = s."left %" AND f."right ""hand""" = s."right ""hand""" ORDER BY f."n o" DESC LIMIT 1) AS n
                      WHERE (n."left %", n."right ""hand""" COLLATE "C", n."s", n."d0", n."c") IS NOT DISTINCT FROM (s."left %", s."right ""hand""" COLLATE "C", s."s", s."d0", s."c") AND (n."reason" COLLATE "C", n."known" COLLATE "C") IS DISTINCT FROM (s."reason" COLLATE "C", s."known" COLLATE "C")) AS s
              WHERE (f.tableoid, f.ctid) = (s.tableoid, s.ctid)"#]].assert_eq(&merge(fact).fill(surrogate_key, &gained));
    }

    #[test]
    fn values_that_postgres_takes_for_one_are_compared_as_it_prints_them() {
        let text = "[pipeline]\nname = 'p'\n[source.tables.t]\nkey = 'id'\ncapture = 'changes'\n[source.tables.t.columns]\n\
                    id = 'integer'\na = 'json'\nb = 'jsonb'\nc = 'real'\nd = 'double precision'\ne = 'text'\n\
                    [dimensions.d]\nfrom = 't'\ncolumns = { id = 'id', a = 'a', b = 'b', c = 'c', d = 'd', e = 'e' }\n";
        let catalog = Catalog::parse("p", text).unwrap_or_else(|problems| panic!("{problems}"));
        let merge = merge(&catalog.warehouse.targets[0]);
        expect![[r#"(n."id", n."a"::text, n."b"::text, n."c"::text, n."d"::text, n."e" COLLATE "C")"#]]
            .assert_eq(&merge.compared("n", merge.columns()));
    }
}
