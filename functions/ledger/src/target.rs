//! The tables that a pipeline loads: whose each is, and whether it still has what was loaded into it.

use std::collections::BTreeMap;

use catalog::ledger::LedgerTable;
use catalog::{Batch, Error, Fault, Ident, Literal, Result, Side, Target, qualified};
use host::postgres::classify;
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::Ledger;

/// Where a table lies: it is another one where this differs, or the same one written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Object id of the table.
    pub relation: i64,
    /// Its file; of a partitioned table the sum of those of its partitions.
    pub file: i64,
}

/// What the ledger says of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Whose it is.
    pub pipeline: String,
    /// Where it lay at the last load.
    pub place: Place,
    /// How many rows it had then, at least.
    pub rows: u64,
    /// The columns that it has had from the catalogue, those apart that are no longer the ones that were loaded.
    pub columns: Vec<String>,
    /// Columns that were dropped since then and added again: what was loaded into them is gone.
    pub replaced: Vec<String>,
    /// How many rows of it had ever been deleted then, by the server's statistics.
    pub deleted: i64,
}

/// A target as it is, and as the ledger says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Where it lies; `None` where there is none.
    pub place: Option<Place>,
    /// What is noted of it; `None` where nothing is.
    pub noted: Option<Noted>,
    /// How many rows of it have ever been deleted, by the server's statistics.
    pub deleted: i64,
}

impl Seen {
    /// Whether it lies where it lay at the last load.
    #[must_use]
    pub fn is_where_it_was(&self) -> bool {
        self.noted.as_ref().is_some_and(|noted| Some(noted.place) == self.place)
    }

    /// Whether another table stands under its name.
    fn is_another_table(&self) -> bool {
        let noted = self.noted.as_ref().map(|noted| noted.place.relation);
        self.place.is_some_and(|place| noted.is_some_and(|noted| noted != place.relation))
    }

    /// Whether nothing tells that it could have lost rows: the pipeline itself deletes none.
    fn is_untouched(&self) -> bool {
        self.is_where_it_was() && self.noted.as_ref().is_some_and(|noted| noted.deleted == self.deleted)
    }

    /// What it has to be asked before it is called whole: whether it has a row, or how many.
    fn question(&self, table: &str) -> Option<String> {
        self.place?;
        if self.is_untouched() || self.noted.is_none() {
            let expects_none = self.noted.as_ref().is_some_and(|noted| noted.rows == 0);
            return (!expects_none).then(|| format!("(SELECT count(*) FROM (SELECT FROM {table} LIMIT 1) AS one)"));
        }
        Some(counting(table))
    }

    /// What is missing of a target of that name, where `rows` is the answer.
    fn lost(&self, name: &Ident, rows: u64) -> Option<String> {
        if self.place.is_none() {
            return Some(format!("{name} is not in the warehouse"));
        }
        match &self.noted {
            None => (rows == 0).then(|| format!("{name} is empty, and nothing is noted of it")),
            Some(noted) => {
                // One that is untouched was asked for a single row.
                let expected = if self.is_untouched() { noted.rows.min(1) } else { noted.rows };
                (rows < expected).then(|| format!("{name} has {} where {} were loaded", counted(rows), noted.rows))
            }
        }
    }
}

fn counted(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

fn counting(table: &str) -> String {
    format!("(SELECT count(*) FROM {table})")
}

/// By target: what of it is missing, a sentence.
pub type Lost = BTreeMap<Ident, String>;

impl Ledger<'_> {
    /// Every target of the catalogue.
    ///
    /// # Errors
    /// `Warehouse.TargetTaken` where one belongs to another pipeline, else what the warehouse answers.
    pub async fn targets(&self, warehouse: &mut PgConnection) -> Result<BTreeMap<Ident, Seen>> {
        let failed = |error| self.failed(error);
        let targets = &self.catalog.warehouse.targets;
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let rows = sqlx::query(AssertSqlSafe(self.seeing()))
            .bind(self.catalog.warehouse.schema.as_str())
            .bind(names)
            .fetch_all(warehouse)
            .await
            .map_err(failed)?;
        let mut seen = BTreeMap::new();
        for row in rows {
            let number = |column: &str| row.try_get::<Option<i64>, _>(column).map_err(failed);
            let place = |relation: Option<i64>, file: Option<i64>| {
                Some(Place { relation: relation?, file: file.unwrap_or_default() })
            };
            let pipeline: Option<String> = row.try_get("pipeline").map_err(failed)?;
            let columns: Option<Vec<String>> = row.try_get("columns").map_err(failed)?;
            let numbers = |column: &str| row.try_get::<Option<Vec<Option<i16>>>, _>(column).map_err(failed);
            let (then, now) = (numbers("numbers")?.unwrap_or_default(), numbers("numbers_now")?.unwrap_or_default());
            let live = place(number("relation")?, number("file")?);
            let rows = number("rows")?.unwrap_or_default().unsigned_abs();
            let noted_at = place(number("noted_relation")?, number("noted_file")?);
            let noted = match (pipeline, noted_at) {
                (Some(pipeline), Some(place)) => {
                    // In a table that was restored they are numbered anew.
                    let is_same_table = live.is_some_and(|live| live.relation == place.relation);
                    let is_replaced = |at: usize| is_same_table && then.get(at) != now.get(at);
                    let (replaced, columns): (Vec<_>, Vec<_>) =
                        columns.unwrap_or_default().into_iter().enumerate().partition(|(at, _)| is_replaced(*at));
                    let names = |columns: Vec<(usize, String)>| columns.into_iter().map(|(_, name)| name).collect();
                    let deleted = number("noted_deleted")?.unwrap_or_default();
                    Some(Noted { pipeline, place, rows, columns: names(columns), replaced: names(replaced), deleted })
                }
                _ => None,
            };
            let of_one = Seen { place: live, noted, deleted: number("deleted")?.unwrap_or_default() };
            let name: String = row.try_get("name").map_err(failed)?;
            if let Some(target) = targets.iter().find(|target| target.name.as_str() == name) {
                seen.insert(target.name.clone(), of_one);
            }
        }
        let owners = seen.iter().filter_map(|(name, seen)| Some((name, &seen.noted.as_ref()?.pipeline)));
        let taken: Vec<String> = owners
            .filter(|(_, pipeline)| *pipeline != self.pipeline())
            .map(|(name, pipeline)| format!("{name} belongs to the pipeline {pipeline}"))
            .collect();
        if taken.is_empty() { Ok(seen) } else { Err(Error::new(Fault::WarehouseTargetTaken, taken.join("; "))) }
    }

    /// Those of the targets that are missing or have lost rows. One that lies where it lay is whole unless it is empty; one
    /// that does not (it was restored, or written anew), or of which somebody deleted rows, is counted. So is one lost of
    /// which a column was dropped and added again.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn lost(&self, warehouse: &mut PgConnection, seen: &BTreeMap<Ident, Seen>) -> Result<Lost> {
        let questions = seen.iter().filter_map(|(name, seen)| Some((name, seen.question(&self.qualified(name))?)));
        let rows = ask(warehouse, questions.collect()).await?;
        let lost = seen.iter().filter_map(|(name, seen)| {
            let rows = rows.get(name).copied().unwrap_or_default();
            let target = self.catalog.target(name.as_str())?;
            let replaced =
                seen.noted.iter().flat_map(|noted| &noted.replaced).find(|column| target.column(column).is_some());
            let replaced = replaced.map(|column| format!("{name}.{column} is not the column that was loaded"));
            // A dimension that was put back may have as many rows, and older ones.
            let is_other = || !target.is_fact() && seen.is_another_table();
            let other = is_other().then(|| format!("{name} is another table than was loaded"));
            Some((name.clone(), seen.lost(name, rows).or(replaced).or(other)?))
        });
        Ok(lost.collect())
    }

    /// Notes every target of the catalogue as it is after a batch, and forgets those that left the catalogue. `added` says
    /// how many rows the batch added to each; what was made anew, or does not lie where it lay, is counted.
    ///
    /// # Errors
    /// `Warehouse.TargetTaken` where another pipeline was first, else what the warehouse answers.
    pub async fn note(
        &self,
        warehouse: &mut PgConnection,
        batch: &Batch,
        added: &BTreeMap<Ident, u64>,
        anew: impl Fn(&Ident) -> bool,
    ) -> Result<()> {
        let seen = self.targets(warehouse).await?;
        let unknown = seen.iter().filter(|(name, seen)| anew(name) || !seen.is_untouched());
        let questions = unknown.map(|(name, _)| (name, counting(&self.qualified(name)))).collect();
        let counted = ask(warehouse, questions).await?;
        let row = |target: &std::sync::Arc<Target>| {
            let name = &target.name;
            let (place, noted) = seen.get(name).map(|seen| (seen.place, seen.noted.as_ref()))?;
            let place = place?;
            let grown = noted.map_or(0, |noted| noted.rows) + added.get(name).copied().unwrap_or_default();
            // One that left the catalogue is remembered: it is none that the table gains when it comes back.
            let left = noted.iter().flat_map(|noted| &noted.columns).filter(|name| target.column(name).is_none());
            let columns: Vec<&str> =
                target.columns.iter().map(|column| column.name.as_str()).chain(left.map(String::as_str)).collect();
            Some(serde_json::json!({
                "name": name, "relation": place.relation, "file": place.file, "deleted": seen[name].deleted,
                "rows": counted.get(name).copied().unwrap_or(grown), "columns": columns,
            }))
        };
        let rows: Vec<Value> = self.catalog.warehouse.targets.iter().filter_map(row).collect();
        let written: Vec<String> = sqlx::query_scalar(AssertSqlSafe(self.noting()))
            .bind(self.catalog.warehouse.schema.as_str())
            .bind(self.pipeline())
            .bind(batch.name.as_str())
            .bind(Value::from(rows).to_string())
            .fetch_all(&mut *warehouse)
            .await
            .map_err(|error| self.failed(error))?;
        let is_missing = |name: &&Ident| seen[*name].place.is_some() && !written.iter().any(|own| own == name.as_str());
        if let Some(name) = seen.keys().find(is_missing) {
            let what = format!("{name} was taken by another pipeline in this moment");
            return Err(Error::new(Fault::WarehouseTargetTaken, what));
        }
        let names: Vec<&str> = seen.keys().map(Ident::as_str).collect();
        sqlx::query(AssertSqlSafe(self.releasing()))
            .bind(self.catalog.warehouse.schema.as_str())
            .bind(self.pipeline())
            .bind(names)
            .execute(warehouse)
            .await
            .map(|_| ())
            .map_err(|error| self.failed(error))
    }

    fn qualified(&self, target: &Ident) -> String {
        qualified(&self.catalog.warehouse.schema, target)
    }

    fn seeing(&self) -> String {
        format!(
            "SELECT w.name, c.oid::bigint AS relation,
        CASE WHEN c.relkind = 'p' THEN (SELECT sum(pg_relation_filenode(p.relid)::bigint)::bigint FROM pg_partition_tree(c.oid) AS p)
             ELSE pg_relation_filenode(c.oid)::bigint END AS file,
        CASE WHEN c.relkind = 'p' THEN (SELECT sum(pg_stat_get_tuples_deleted(p.relid))::bigint FROM pg_partition_tree(c.oid) AS p)
             ELSE pg_stat_get_tuples_deleted(c.oid) END AS deleted,
        t.pipeline, t.relation::bigint AS noted_relation, t.file AS noted_file, t.rows, t.deleted AS noted_deleted, t.columns, t.numbers,
        ARRAY(SELECT a.attnum FROM unnest(t.columns) WITH ORDINALITY AS k (name, place)
                LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = k.name AND NOT a.attisdropped
               ORDER BY k.place) AS numbers_now
   FROM unnest($2::text[]) AS w (name)
   LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $1) ON c.relname = w.name
   LEFT JOIN {} AS t ON t.schema_name = $1 AND t.target = w.name",
            self.table(LedgerTable::Target)
        )
    }

    fn noting(&self) -> String {
        format!(
            "INSERT INTO {} AS known (schema_name, target, pipeline, relation, file, rows, deleted, columns, numbers, batch)
SELECT $1, w.name, $2, w.relation, w.file, w.rows, w.deleted, k.names, k.numbers, $3
  FROM jsonb_to_recordset($4::jsonb) AS w (name text, relation oid, file bigint, rows bigint, deleted bigint, columns jsonb),
       LATERAL (SELECT array_agg(a.attname::text ORDER BY a.attnum) AS names, array_agg(a.attnum ORDER BY a.attnum) AS numbers
                  FROM pg_attribute AS a
                 WHERE a.attrelid = w.relation AND NOT a.attisdropped AND w.columns ? a.attname::text) AS k
    ON CONFLICT (schema_name, target) DO UPDATE
   SET relation = excluded.relation, file = excluded.file, rows = excluded.rows, deleted = excluded.deleted,
       columns = excluded.columns, numbers = excluded.numbers, batch = excluded.batch
 WHERE known.pipeline = excluded.pipeline
RETURNING target",
            self.table(LedgerTable::Target)
        )
    }

    fn releasing(&self) -> String {
        format!(
            "DELETE FROM {} WHERE pipeline = $2 AND NOT (schema_name = $1 AND target = ANY ($3))",
            self.table(LedgerTable::Target)
        )
    }
}

/// The answers to questions, each a number, in one statement.
async fn ask(warehouse: &mut PgConnection, questions: Vec<(&Ident, String)>) -> Result<BTreeMap<Ident, u64>> {
    if questions.is_empty() {
        return Ok(BTreeMap::new());
    }
    let statement = asking(&questions);
    let names: Vec<&str> = questions.iter().map(|(name, _)| name.as_str()).collect();
    let doing = format!("cannot count the rows of {}", names.join(", "));
    let failed = |error| classify(Side::Warehouse, &doing, error);
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(warehouse).await.map_err(failed)?;
    let mut answers = BTreeMap::new();
    for row in rows {
        let name: String = row.try_get("name").map_err(failed)?;
        let number: i64 = row.try_get("number").map_err(failed)?;
        if let Some((target, _)) = questions.iter().find(|(target, _)| target.as_str() == name) {
            answers.insert((*target).clone(), number.unsigned_abs());
        }
    }
    Ok(answers)
}

fn asking(questions: &[(&Ident, String)]) -> String {
    let each = questions
        .iter()
        .map(|(name, question)| format!("SELECT {}::text AS name, {question} AS number", Literal(name.as_str())));
    each.collect::<Vec<_>>().join("\nUNION ALL ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::samples::catalog;

    const HERE: Place = Place { relation: 1, file: 2 };

    fn seen(place: Option<Place>, rows: Option<u64>) -> Seen {
        let noted = |rows| Noted {
            pipeline: "p".to_owned(),
            place: HERE,
            rows,
            columns: Vec::new(),
            replaced: Vec::new(),
            deleted: 0,
        };
        Seen { place, noted: rows.map(noted), deleted: 0 }
    }

    #[test]
    fn a_target_is_whole_or_is_said_to_be_not() {
        let name = Ident::new("dim_staff").unwrap();
        let other = Some(Place { file: 3, ..HERE });
        let cases = [
            (seen(None, None), 0),
            (seen(None, Some(11)), 0),
            (seen(Some(HERE), None), 0),
            (seen(Some(HERE), None), 1),
            (seen(Some(HERE), Some(11)), 1),
            (seen(Some(HERE), Some(11)), 0),
            (seen(Some(HERE), Some(0)), 0),
            (seen(other, Some(11)), 11),
            (seen(other, Some(11)), 12),
            (seen(other, Some(11)), 3),
            (seen(other, Some(11)), 1),
            (seen(other, Some(0)), 0),
            (Seen { deleted: 5, ..seen(Some(HERE), Some(11)) }, 6),
            (Seen { deleted: 5, ..seen(Some(HERE), Some(11)) }, 11),
        ];
        let say = |(seen, rows): &(Seen, u64)| {
            let question = seen.question("t").unwrap_or_else(|| "nothing is asked".to_owned());
            format!("{question}: {}\n", seen.lost(&name, *rows).unwrap_or_else(|| "whole".to_owned()))
        };
        expect![[r#"
            nothing is asked: dim_staff is not in the warehouse
            nothing is asked: dim_staff is not in the warehouse
            (SELECT count(*) FROM (SELECT FROM t LIMIT 1) AS one): dim_staff is empty, and nothing is noted of it
            (SELECT count(*) FROM (SELECT FROM t LIMIT 1) AS one): whole
            (SELECT count(*) FROM (SELECT FROM t LIMIT 1) AS one): whole
            (SELECT count(*) FROM (SELECT FROM t LIMIT 1) AS one): dim_staff has 0 rows where 11 were loaded
            nothing is asked: whole
            (SELECT count(*) FROM t): whole
            (SELECT count(*) FROM t): whole
            (SELECT count(*) FROM t): dim_staff has 3 rows where 11 were loaded
            (SELECT count(*) FROM t): dim_staff has 1 row where 11 were loaded
            (SELECT count(*) FROM t): whole
            (SELECT count(*) FROM t): dim_staff has 6 rows where 11 were loaded
            (SELECT count(*) FROM t): whole
        "#]]
        .assert_eq(&cases.iter().map(say).collect::<String>());
    }

    #[test]
    fn targets_are_seen_counted_noted_and_released() {
        let catalog = catalog();
        let ledger = Ledger::of(&catalog);
        expect![[r#"
            SELECT w.name, c.oid::bigint AS relation,
                    CASE WHEN c.relkind = 'p' THEN (SELECT sum(pg_relation_filenode(p.relid)::bigint)::bigint FROM pg_partition_tree(c.oid) AS p)
                         ELSE pg_relation_filenode(c.oid)::bigint END AS file,
                    CASE WHEN c.relkind = 'p' THEN (SELECT sum(pg_stat_get_tuples_deleted(p.relid))::bigint FROM pg_partition_tree(c.oid) AS p)
                         ELSE pg_stat_get_tuples_deleted(c.oid) END AS deleted,
                    t.pipeline, t.relation::bigint AS noted_relation, t.file AS noted_file, t.rows, t.deleted AS noted_deleted, t.columns, t.numbers,
                    ARRAY(SELECT a.attnum FROM unnest(t.columns) WITH ORDINALITY AS k (name, place)
                            LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = k.name AND NOT a.attisdropped
                           ORDER BY k.place) AS numbers_now
               FROM unnest($2::text[]) AS w (name)
               LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = $1) ON c.relname = w.name
               LEFT JOIN "the ""ledger"""."target" AS t ON t.schema_name = $1 AND t.target = w.name"#]].assert_eq(&ledger.seeing());
        let names = [&catalog.warehouse.targets[0].name, &catalog.warehouse.targets[1].name];
        let questions = names.map(|name| (name, counting(&ledger.qualified(name))));
        expect![[r#"
            SELECT 'dim ''thing'''::text AS name, (SELECT count(*) FROM "the ""star"""."dim 'thing'") AS number
            UNION ALL SELECT 'fact "pair"'::text AS name, (SELECT count(*) FROM "the ""star"""."fact ""pair""") AS number"#]].assert_eq(&asking(&questions));
        expect![[r#"
            INSERT INTO "the ""ledger"""."target" AS known (schema_name, target, pipeline, relation, file, rows, deleted, columns, numbers, batch)
            SELECT $1, w.name, $2, w.relation, w.file, w.rows, w.deleted, k.names, k.numbers, $3
              FROM jsonb_to_recordset($4::jsonb) AS w (name text, relation oid, file bigint, rows bigint, deleted bigint, columns jsonb),
                   LATERAL (SELECT array_agg(a.attname::text ORDER BY a.attnum) AS names, array_agg(a.attnum ORDER BY a.attnum) AS numbers
                              FROM pg_attribute AS a
                             WHERE a.attrelid = w.relation AND NOT a.attisdropped AND w.columns ? a.attname::text) AS k
                ON CONFLICT (schema_name, target) DO UPDATE
               SET relation = excluded.relation, file = excluded.file, rows = excluded.rows, deleted = excluded.deleted,
                   columns = excluded.columns, numbers = excluded.numbers, batch = excluded.batch
             WHERE known.pipeline = excluded.pipeline
            RETURNING target"#]].assert_eq(&ledger.noting());
        expect![[r#"DELETE FROM "the ""ledger"""."target" WHERE pipeline = $2 AND NOT (schema_name = $1 AND target = ANY ($3))"#]].assert_eq(&ledger.releasing());
    }
}
