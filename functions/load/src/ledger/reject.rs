//! Rejected rows: one a source key, with the reason, until the key is loaded.

use catalog::ledger::REJECT;
use catalog::manifest::Reject;
use catalog::{Batch, Literal, Result, Target};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::ledger::failed;
use crate::stage::Stage;
use crate::statement::{execute, list, list_of, rows_written};

/// The rejected rows of one target.
pub(crate) struct Rejects<'l> {
    pub(super) pipeline: &'l str,
    pub(super) target: &'l Target,
}

impl Rejects<'_> {
    /// How many they are.
    pub(crate) async fn count(&self, warehouse: &mut PgConnection) -> Result<i64> {
        sqlx::query_scalar(AssertSqlSafe(count()))
            .bind(self.pipeline)
            .bind(self.target.name.as_str())
            .fetch_one(warehouse)
            .await
            .map_err(failed)
    }

    /// Puts those that only lacked a dimension back on the stage, unless the batch brings their key itself. How many.
    pub(crate) async fn restage(&self, warehouse: &mut PgConnection, stage: &Stage<'_>) -> Result<u64> {
        let doing = format!("cannot stage the rejected rows of {}", self.target.name);
        rows_written(warehouse, &doing, self.restaging(stage)).await
    }

    /// What is on the stage now will be in the table: it is rejected no longer.
    pub(crate) async fn close(&self, warehouse: &mut PgConnection, stage: &Stage<'_>) -> Result<()> {
        let doing = format!("cannot close the rejected rows of {}", self.target.name);
        execute(warehouse, &doing, self.closing(stage)).await
    }

    /// Enters rows that the transform could not take; how many of them are new or not the same as before.
    pub(crate) async fn enter(&self, warehouse: &mut PgConnection, batch: &Batch, rejects: &[Reject]) -> Result<u64> {
        if rejects.is_empty() {
            return Ok(0);
        }
        let rows: Vec<Value> = rejects.iter().map(|reject| serde_json::json!(reject)).collect();
        let done = sqlx::query(AssertSqlSafe(entering()))
            .bind(self.pipeline)
            .bind(self.target.name.as_str())
            .bind(batch.name.as_str())
            .bind(Value::from(rows).to_string())
            .execute(warehouse)
            .await
            .map_err(failed)?;
        Ok(done.rows_affected())
    }

    /// A statement that enters the rows of a relation (`source_key`, `reason`, `target_row`), to stand in another one. It
    /// returns a row for each that is new or not the same as before.
    pub(crate) fn entering_from(&self, relation: &str, batch: &Batch) -> String {
        format!(
            "INSERT INTO {REJECT} AS known (pipeline, target, source_key, reason, source_row, target_row, batch)
             SELECT {pipeline}, {target}, m.source_key, m.reason, m.target_row, m.target_row, {batch} FROM {relation} AS m
             ON CONFLICT (pipeline, target, source_key) DO UPDATE
                SET reason = excluded.reason, source_row = excluded.source_row, target_row = excluded.target_row,
                    batch = excluded.batch, rejected_at = now()
              WHERE (known.reason, known.target_row) IS DISTINCT FROM (excluded.reason, excluded.target_row)
             RETURNING 1",
            pipeline = Literal(self.pipeline),
            target = Literal(self.target.name.as_str()),
            batch = Literal(batch.name.as_str()),
        )
    }

    fn restaging(&self, stage: &Stage<'_>) -> String {
        format!(
            "INSERT INTO {stage} ({columns})
             SELECT {fields} FROM {REJECT} AS r, LATERAL jsonb_populate_record(NULL::{stage}, r.target_row) AS o
              WHERE {own} AND r.target_row IS NOT NULL
                AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {key} = r.source_key)",
            stage = stage.name,
            columns = list(stage.columns()),
            fields = list_of("o", stage.columns()),
            own = self.own(),
            key = stage.key_text("s"),
        )
    }

    fn closing(&self, stage: &Stage<'_>) -> String {
        format!(
            "DELETE FROM {REJECT} AS r USING {stage} AS s WHERE {own} AND r.source_key = {key}",
            stage = stage.name,
            own = self.own(),
            key = stage.key_text("s"),
        )
    }

    fn own(&self) -> String {
        format!("r.pipeline = {} AND r.target = {}", Literal(self.pipeline), Literal(self.target.name.as_str()))
    }
}

fn count() -> String {
    format!("SELECT count(*) FROM {REJECT} WHERE pipeline = $1 AND target = $2")
}

fn entering() -> String {
    // The newest of one key: a read in slices may meet a moved row twice.
    format!(
        "INSERT INTO {REJECT} AS known (pipeline, target, source_key, reason, source_row, batch)
         SELECT DISTINCT ON (r ->> 'key') $1, $2, r ->> 'key', r ->> 'reason', r -> 'row', $3
           FROM jsonb_array_elements($4::jsonb) WITH ORDINALITY AS e (r, place) ORDER BY r ->> 'key', place DESC
         ON CONFLICT (pipeline, target, source_key) DO UPDATE
            SET reason = excluded.reason, source_row = excluded.source_row, target_row = NULL,
                batch = excluded.batch, rejected_at = now()
          WHERE (known.reason, known.source_row) IS DISTINCT FROM (excluded.reason, excluded.source_row)"
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::ledger::Ledger;
    use crate::samples::{batch, catalog};

    #[test]
    fn rejected_rows_are_counted_and_entered() {
        expect!["SELECT count(*) FROM etl.reject WHERE pipeline = $1 AND target = $2"].assert_eq(&count());
        expect![[r#"
            INSERT INTO etl.reject AS known (pipeline, target, source_key, reason, source_row, batch)
                     SELECT DISTINCT ON (r ->> 'key') $1, $2, r ->> 'key', r ->> 'reason', r -> 'row', $3
                       FROM jsonb_array_elements($4::jsonb) WITH ORDINALITY AS e (r, place) ORDER BY r ->> 'key', place DESC
                     ON CONFLICT (pipeline, target, source_key) DO UPDATE
                        SET reason = excluded.reason, source_row = excluded.source_row, target_row = NULL,
                            batch = excluded.batch, rejected_at = now()
                      WHERE (known.reason, known.source_row) IS DISTINCT FROM (excluded.reason, excluded.source_row)"#]].assert_eq(&entering());
        let catalog = catalog();
        let ledger = Ledger::of(&catalog);
        let rejects = ledger.rejects(&catalog.warehouse.targets[2]);
        expect![[r#"
            INSERT INTO etl.reject AS known (pipeline, target, source_key, reason, source_row, target_row, batch)
                         SELECT 'shop', 'fact "pair"', m.source_key, m.reason, m.target_row, m.target_row, 'it''s-the-one' FROM missing AS m
                         ON CONFLICT (pipeline, target, source_key) DO UPDATE
                            SET reason = excluded.reason, source_row = excluded.source_row, target_row = excluded.target_row,
                                batch = excluded.batch, rejected_at = now()
                          WHERE (known.reason, known.target_row) IS DISTINCT FROM (excluded.reason, excluded.target_row)
                         RETURNING 1"#]].assert_eq(&rejects.entering_from("missing", &batch()));
    }

    #[test]
    fn rejected_rows_are_staged_again_and_closed() {
        let catalog = catalog();
        let ledger = Ledger::of(&catalog);
        let fact = &catalog.warehouse.targets[2];
        let stage = Stage::of(fact, 2);
        expect![[r#"
            INSERT INTO pg_temp.stage_2 ("left %", "right ""hand""", "s", "d0", "c", "reason", "known")
                         SELECT o."left %", o."right ""hand""", o."s", o."d0", o."c", o."reason", o."known" FROM etl.reject AS r, LATERAL jsonb_populate_record(NULL::pg_temp.stage_2, r.target_row) AS o
                          WHERE r.pipeline = 'shop' AND r.target = 'fact "pair"' AND r.target_row IS NOT NULL
                            AND NOT EXISTS (SELECT FROM pg_temp.stage_2 AS s WHERE concat_ws(',', s."left %", s."right ""hand""") = r.source_key)"#]].assert_eq(&ledger.rejects(fact).restaging(&stage));
        expect![[r#"DELETE FROM etl.reject AS r USING pg_temp.stage_2 AS s WHERE r.pipeline = 'shop' AND r.target = 'fact "pair"' AND r.source_key = concat_ws(',', s."left %", s."right ""hand""")"#]].assert_eq(&ledger.rejects(fact).closing(&stage));
    }
}
