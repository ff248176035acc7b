//! Rejected rows: every version of a source key that cannot be taken, with the reason, until the key is loaded.

use catalog::ledger::LedgerTable;
use catalog::manifest::Reject;
use catalog::{Batch, Catalog, Literal, Result, Target};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::failed;
use crate::statement::{execute, join, list, list_of, rows_written};

/// The rejected rows of one target.
#[derive(Clone, Copy, Debug)]
pub struct Rejects<'l> {
    pub(crate) catalog: &'l Catalog,
    pub(crate) target: &'l Target,
}

impl Rejects<'_> {
    /// How many they are.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn count(&self, warehouse: &mut PgConnection) -> Result<i64> {
        sqlx::query_scalar(AssertSqlSafe(self.counting()))
            .bind(&self.catalog.pipeline.name)
            .bind(self.target.name.as_str())
            .fetch_one(warehouse)
            .await
            .map_err(|error| failed(self.catalog, error))
    }

    /// Puts those that only lacked a dimension back on the stage, unless the batch brings their key itself. How many.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn restage(&self, warehouse: &mut PgConnection, stage: &str) -> Result<u64> {
        let doing = format!("cannot stage the rejected rows of {}", self.target.name);
        rows_written(warehouse, &doing, self.restaging(stage)).await
    }

    /// What is on the stage now will be in the table: it is rejected no longer.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn close(&self, warehouse: &mut PgConnection, stage: &str) -> Result<()> {
        let doing = format!("cannot close the rejected rows of {}", self.target.name);
        execute(warehouse, &doing, self.closing(stage)).await
    }

    /// Enters rows that the transform could not take; how many of them are new or not the same as before.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn enter(&self, warehouse: &mut PgConnection, batch: &Batch, rejects: &[Reject]) -> Result<u64> {
        if rejects.is_empty() {
            return Ok(0);
        }
        let rows: Vec<Value> = rejects.iter().map(|reject| serde_json::json!(reject)).collect();
        let done = sqlx::query(AssertSqlSafe(self.entering()))
            .bind(&self.catalog.pipeline.name)
            .bind(self.target.name.as_str())
            .bind(self.catalog.fingerprint(self.target))
            .bind(batch.name.as_str())
            .bind(Value::from(rows).to_string())
            .execute(warehouse)
            .await
            .map_err(|error| failed(self.catalog, error))?;
        Ok(done.rows_affected())
    }

    /// A statement that enters the rows of a relation (`source_key`, `reason`, `target_row`), to stand in another one. It
    /// returns a row for each that is new or not the same as before.
    #[must_use]
    pub fn entering_from(&self, relation: &str, batch: &Batch) -> String {
        format!(
            "INSERT INTO {reject} (pipeline, target, source_key, reason, source_row, target_row, definition, batch)
             SELECT {pipeline}, {target}, m.source_key, m.reason, m.target_row, m.target_row, {definition}, {batch} FROM {relation} AS m
              WHERE NOT EXISTS (SELECT FROM {reject} AS r WHERE {own} AND r.source_key = m.source_key
                                   AND r.reason = m.reason AND r.target_row = m.target_row)
             RETURNING 1",
            reject = self.table(),
            pipeline = Literal(&self.catalog.pipeline.name),
            target = Literal(self.target.name.as_str()),
            definition = Literal(&self.catalog.fingerprint(self.target)),
            batch = Literal(batch.name.as_str()),
            own = self.own(),
        )
    }

    /// The source key of a row of `alias`, as it stands in the ledger.
    #[must_use]
    pub fn key(&self, alias: &str) -> String {
        format!("ARRAY[{}]", join(&self.target.key, ", ", |column| format!("{alias}.{column}::text")))
    }

    fn table(&self) -> String {
        LedgerTable::Reject.of(&self.catalog.warehouse)
    }

    fn counting(&self) -> String {
        format!("SELECT count(*) FROM {} WHERE pipeline = $1 AND target = $2", self.table())
    }

    fn entering(&self) -> String {
        format!(
            "INSERT INTO {reject} (pipeline, target, source_key, reason, source_row, definition, batch)
             SELECT $1, $2, e.source_key, e.reason, e.source_row, $3, $4
               FROM (SELECT ARRAY(SELECT jsonb_array_elements_text(j.r -> 'key')) AS source_key, j.r ->> 'reason' AS reason,
                            j.r -> 'row' AS source_row, j.place
                       FROM jsonb_array_elements($5::jsonb) WITH ORDINALITY AS j (r, place)) AS e
              WHERE NOT EXISTS (SELECT FROM {reject} AS r WHERE r.pipeline = $1 AND r.target = $2 AND r.source_key = e.source_key
                                   AND r.reason = e.reason AND r.source_row = e.source_row)
              ORDER BY e.place",
            reject = self.table()
        )
    }

    fn restaging(&self, stage: &str) -> String {
        let columns = || self.target.columns.iter().map(|column| &column.name);
        format!(
            "INSERT INTO {stage} ({columns})
             SELECT {fields} FROM (SELECT DISTINCT ON (r.source_key) r.source_key, r.target_row FROM {reject} AS r
                                    WHERE {own} AND r.target_row IS NOT NULL ORDER BY r.source_key, r.number DESC) AS w,
                    LATERAL jsonb_populate_record(NULL::{stage}, w.target_row) AS o
              WHERE NOT EXISTS (SELECT FROM {stage} AS s WHERE {key} = w.source_key)",
            columns = list(columns()),
            fields = list_of("o", columns()),
            reject = self.table(),
            own = self.own(),
            key = self.key("s"),
        )
    }

    fn closing(&self, stage: &str) -> String {
        format!(
            "DELETE FROM {reject} AS r USING {stage} AS s WHERE {own} AND r.source_key = {key}",
            reject = self.table(),
            own = self.own(),
            key = self.key("s"),
        )
    }

    fn own(&self) -> String {
        let target = self.target.name.as_str();
        format!("r.pipeline = {} AND r.target = {}", Literal(&self.catalog.pipeline.name), Literal(target))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use crate::Ledger;
    use crate::samples::{batch, catalog};

    #[test]
    fn rejected_rows_are_counted_and_entered() {
        let catalog = catalog();
        let rejects = Ledger::of(&catalog).rejects(&catalog.warehouse.targets[1]);
        expect![[r#"SELECT count(*) FROM "the ""ledger"""."reject" WHERE pipeline = $1 AND target = $2"#]]
            .assert_eq(&rejects.counting());
        expect![[r#"
            INSERT INTO "the ""ledger"""."reject" (pipeline, target, source_key, reason, source_row, definition, batch)
                         SELECT $1, $2, e.source_key, e.reason, e.source_row, $3, $4
                           FROM (SELECT ARRAY(SELECT jsonb_array_elements_text(j.r -> 'key')) AS source_key, j.r ->> 'reason' AS reason,
                                        j.r -> 'row' AS source_row, j.place
                                   FROM jsonb_array_elements($5::jsonb) WITH ORDINALITY AS j (r, place)) AS e
                          WHERE NOT EXISTS (SELECT FROM "the ""ledger"""."reject" AS r WHERE r.pipeline = $1 AND r.target = $2 AND r.source_key = e.source_key
                                               AND r.reason = e.reason AND r.source_row = e.source_row)
                          ORDER BY e.place"#]].assert_eq(&rejects.entering());
        expect![[r#"
            INSERT INTO "the ""ledger"""."reject" (pipeline, target, source_key, reason, source_row, target_row, definition, batch)
                         SELECT 'shop', 'fact "pair"', m.source_key, m.reason, m.target_row, m.target_row, '83e00fe4b637aa0d', 'it''s-the-one' FROM missing AS m
                          WHERE NOT EXISTS (SELECT FROM "the ""ledger"""."reject" AS r WHERE r.pipeline = 'shop' AND r.target = 'fact "pair"' AND r.source_key = m.source_key
                                               AND r.reason = m.reason AND r.target_row = m.target_row)
                         RETURNING 1"#]].assert_eq(&rejects.entering_from("missing", &batch()));
    }

    #[test]
    fn rejected_rows_are_staged_again_and_closed() {
        let catalog = catalog();
        let rejects = Ledger::of(&catalog).rejects(&catalog.warehouse.targets[1]);
        expect![[r#"
            INSERT INTO pg_temp.stage_2 ("left %", "right ""hand""", "s")
                         SELECT o."left %", o."right ""hand""", o."s" FROM (SELECT DISTINCT ON (r.source_key) r.source_key, r.target_row FROM "the ""ledger"""."reject" AS r
                                                WHERE r.pipeline = 'shop' AND r.target = 'fact "pair"' AND r.target_row IS NOT NULL ORDER BY r.source_key, r.number DESC) AS w,
                                LATERAL jsonb_populate_record(NULL::pg_temp.stage_2, w.target_row) AS o
                          WHERE NOT EXISTS (SELECT FROM pg_temp.stage_2 AS s WHERE ARRAY[s."left %"::text, s."right ""hand"""::text] = w.source_key)"#]].assert_eq(&rejects.restaging("pg_temp.stage_2"));
        expect![[r#"DELETE FROM "the ""ledger"""."reject" AS r USING pg_temp.stage_2 AS s WHERE r.pipeline = 'shop' AND r.target = 'fact "pair"' AND r.source_key = ARRAY[s."left %"::text, s."right ""hand"""::text]"#]].assert_eq(&rejects.closing("pg_temp.stage_2"));
    }
}
