//! The turns of rejected rows that wait: those whose dimensions are there now, at most one of a key at a time, the oldest
//! first.

use catalog::{Result, Side};
use host::postgres::classify;
use sqlx::{AssertSqlSafe, PgConnection};

use super::{Missing, Rejects};
use crate::statement::{join, rows_written};

impl Rejects<'_> {
    /// Puts the numbers of those whose dimensions are there now into the temporary table `turns`: turn by turn at most one of
    /// a key, the oldest first. The others are told what they lack now. How many rows each turn has.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn take_turns(&self, warehouse: &mut PgConnection, turns: &str, missing: &Missing) -> Result<Vec<u64>> {
        let doing = format!("cannot try the rejected rows of {} again", self.target.name);
        rows_written(warehouse, &doing, self.telling_lack(missing)).await?;
        rows_written(warehouse, &doing, self.making_turns(turns, missing)).await?;
        let counts: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(counting_turns(turns)))
            .fetch_all(warehouse)
            .await
            .map_err(|error| classify(Side::Warehouse, &doing, error))?;
        Ok(counts.into_iter().map(i64::unsigned_abs).collect())
    }

    /// The rows of one turn, as a relation of the target's columns to stand in a statement.
    #[must_use]
    pub fn turn(&self, turns: &str, turn: i64) -> String {
        let columns = join(self.columns(), ", ", |column| format!("w.{column}"));
        let number = self.number();
        format!(
            "(SELECT {columns} FROM {waiting} AS w JOIN {turns} AS t ON t.number = w.{number} WHERE t.turn = {turn})",
            waiting = self.waiting(),
        )
    }

    /// Takes those out that had their turn, and with each what is older of its key: it is overtaken.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn forget_turns(&self, warehouse: &mut PgConnection, turns: &str) -> Result<()> {
        let doing = format!("cannot close the rejected rows of {}", self.target.name);
        rows_written(warehouse, &doing, self.forgetting_turns(turns)).await.map(|_| ())
    }

    fn telling_lack(&self, missing: &Missing) -> String {
        let Missing { joins, condition, reason, .. } = missing;
        format!(
            "UPDATE {reject} AS r SET reason = m.reason
  FROM (SELECT s.{number} AS number, {reason} AS reason
          FROM {waiting} AS s {joins} WHERE {condition}) AS m
 WHERE r.number = m.number AND r.reason <> m.reason",
            reject = self.table(),
            number = self.number(),
            waiting = self.waiting(),
        )
    }

    fn making_turns(&self, turns: &str, missing: &Missing) -> String {
        let Missing { joins, condition, .. } = missing;
        format!(
            "CREATE TEMPORARY TABLE {turns} ON COMMIT DROP AS
SELECT s.{number} AS number, row_number() OVER (PARTITION BY {key} ORDER BY s.{number}) AS turn
  FROM {waiting} AS s {joins} WHERE NOT ({condition})",
            number = self.number(),
            key = self.key("s"),
            waiting = self.waiting(),
        )
    }

    fn forgetting_turns(&self, turns: &str) -> String {
        format!(
            "DELETE FROM {reject} AS r USING (SELECT w.source_key, max(w.number) AS number FROM {reject} AS w JOIN {turns} AS t USING (number)
                                   GROUP BY w.source_key) AS l
 WHERE {own} AND r.source_key = l.source_key AND r.number <= l.number",
            reject = self.table(),
            own = self.own(),
        )
    }
}

fn counting_turns(turns: &str) -> String {
    format!("SELECT count(*) FROM {turns} GROUP BY turn ORDER BY turn")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::Ledger;
    use crate::reject::tests::missing;
    use crate::samples::catalog;

    const TURNS: &str = "pg_temp.turns_2";

    #[test]
    fn what_waits_has_its_turn_oldest_first() {
        let catalog = catalog();
        let rejects = Ledger::of(&catalog).rejects(&catalog.warehouse.targets[1]);
        expect![[r#"(SELECT r.number AS "number", (r.target_row ->> 'left %')::integer AS "left %", (r.target_row ->> 'right "hand"')::text AS "right ""hand""", (r.target_row ->> 's')::integer AS "s" FROM "the ""ledger"""."reject" AS r WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND r.target_row IS NOT NULL AND r.definition = '83e00fe4b637aa0d')"#]].assert_eq(&rejects.waiting());
        expect![[r#"
            UPDATE "the ""ledger"""."reject" AS r SET reason = r.reason || '; the target is defined anew since: it is loaded once its source row is read again'
             WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND r.target_row IS NOT NULL AND r.definition <> '83e00fe4b637aa0d' AND strpos(r.reason, '; the target is defined anew since: it is loaded once its source row is read again') = 0"#]].assert_eq(&rejects.telling_outdated());
        expect![[r#"
            UPDATE "the ""ledger"""."reject" AS r SET reason = m.reason
              FROM (SELECT s."number" AS number, '…' AS reason
                      FROM (waiting) AS s LEFT JOIN d ON … WHERE …) AS m
             WHERE r.number = m.number AND r.reason <> m.reason"#]]
        .assert_eq(&rejects.telling_lack(&missing()).replace(&rejects.waiting(), "(waiting)"));
        expect![[r#"
            CREATE TEMPORARY TABLE pg_temp.turns_2 ON COMMIT DROP AS
            SELECT s."number" AS number, row_number() OVER (PARTITION BY ARRAY[s."left %"::text, CASE WHEN octet_length(s."right ""hand"""::text) > 1000 THEN left(s."right ""hand"""::text, 233) || '...' || encode(sha256(convert_to(s."right ""hand"""::text, 'UTF8')), 'hex') ELSE s."right ""hand"""::text END] ORDER BY s."number") AS turn
              FROM (waiting) AS s LEFT JOIN d ON … WHERE NOT (…)"#]].assert_eq(&rejects.making_turns(TURNS, &missing()).replace(&rejects.waiting(), "(waiting)"));
        expect!["SELECT count(*) FROM pg_temp.turns_2 GROUP BY turn ORDER BY turn"].assert_eq(&counting_turns(TURNS));
        expect![[r#"(SELECT w."left %", w."right ""hand""", w."s" FROM (waiting) AS w JOIN pg_temp.turns_2 AS t ON t.number = w."number" WHERE t.turn = 3)"#]].assert_eq(&rejects.turn(TURNS, 3).replace(&rejects.waiting(), "(waiting)"));
        expect![[r#"
            DELETE FROM "the ""ledger"""."reject" AS r USING (SELECT w.source_key, max(w.number) AS number FROM "the ""ledger"""."reject" AS w JOIN pg_temp.turns_2 AS t USING (number)
                                               GROUP BY w.source_key) AS l
             WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND r.source_key = l.source_key AND r.number <= l.number"#]].assert_eq(&rejects.forgetting_turns(TURNS));
    }
}
