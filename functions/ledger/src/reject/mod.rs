//! Rejected rows: every version of a source key that cannot be taken, in order, with the reason, until the key is loaded.
//!
//! There are two kinds. One that *waits* lacks only a dimension: what it would be in the target is kept (`target_row`, each
//! value as text, so that none is altered), and every load tries it again, as long as the target is defined as it was then.
//! One that was *refused* has a value that the warehouse cannot take, and only its source row can mend it. What can never be
//! loaded is replaced by what is newer of its key; what waits is kept beside it.

mod turns;

use std::collections::BTreeMap;

use catalog::ledger::LedgerTable;
use catalog::manifest::Reject;
use catalog::{Batch, Catalog, Ident, Literal, Origin, Result, Target, ToldKey, ValueType};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::failed;
use crate::statement::{join, rows_written};

/// The longest key as the ledger has it, in bytes: beside it the index has the names of pipeline and target.
const MAX_KEY_BYTES: usize = 2_000;
/// What a part of a key may always have.
const MIN_PART_BYTES: usize = 80;
/// `...` and a hash in hexadecimal digits.
const HASH_BYTES: usize = 67;

/// The rejected rows of one target.
#[derive(Clone, Copy, Debug)]
pub struct Rejects<'l> {
    pub(crate) catalog: &'l Catalog,
    pub(crate) target: &'l Target,
}

/// How rows are told whose dimension is missing: in terms of a row `s` of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The joins that look for the dimensions.
    pub joins: String,
    /// Whether one is missing.
    pub condition: String,
    /// Which ones, for the reject table: with the key that is missing.
    pub reason: String,
    /// Which ones, for messages: without it.
    pub lack: String,
}

impl Rejects<'_> {
    /// How many they are.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn count(&self, warehouse: &mut PgConnection) -> Result<i64> {
        sqlx::query_scalar(AssertSqlSafe(self.counting()))
            .fetch_one(warehouse)
            .await
            .map_err(|error| failed(self.catalog, error))
    }

    /// Takes those out whose key is gone from the source, where a batch has the whole of it: the rows on the stage and those
    /// that the transform refused. How many.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn forget_gone(&self, warehouse: &mut PgConnection, stage: &str, refused: &[Reject]) -> Result<u64> {
        let done = sqlx::query(AssertSqlSafe(self.forgetting_gone(stage))).bind(json(refused)).execute(warehouse).await;
        done.map(|done| done.rows_affected()).map_err(|error| failed(self.catalog, error))
    }

    /// Takes those out whose key the stage has: it goes into the table now.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn forget_loaded(&self, warehouse: &mut PgConnection, stage: &str) -> Result<()> {
        let doing = format!("cannot close the rejected rows of {}", self.target.name);
        rows_written(warehouse, &doing, self.forgetting_loaded(stage)).await.map(|_| ())
    }

    /// Says of those that wait, but under another definition of the target, that they can no longer be loaded as they are.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn tell_outdated(&self, warehouse: &mut PgConnection) -> Result<()> {
        let doing = format!("cannot look at the rejected rows of {}", self.target.name);
        rows_written(warehouse, &doing, self.telling_outdated()).await.map(|_| ())
    }

    /// Enters rows that the transform could not take; how many of them are new or not the same as before.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn enter(&self, warehouse: &mut PgConnection, batch: &Batch, refused: &[Reject]) -> Result<u64> {
        if refused.is_empty() {
            return Ok(0);
        }
        let done = sqlx::query(AssertSqlSafe(self.entering(batch))).bind(json(refused)).execute(warehouse).await;
        done.map(|done| done.rows_affected()).map_err(|error| failed(self.catalog, error))
    }

    /// A part of a statement that enters the rows of a relation (`source_key`, `reason`, `target_row`, in the order of `place`): the common tables
    /// `replaced` and `entered`, the second with a row for each that is new or not the same as before.
    #[must_use]
    pub fn entering_from(&self, relation: &str, batch: &Batch) -> String {
        format!(
            "replaced AS (DELETE FROM {reject} AS r USING {relation} AS m
                       WHERE {own} AND r.source_key = m.source_key AND {is_dead}),
         entered AS (INSERT INTO {reject} (pipeline, target, source_key, reason, source_row, target_row, definition, batch)
                     SELECT {values}, m.source_key, m.reason, m.target_row, m.target_row, {definition}, {batch} FROM {relation} AS m
                      WHERE NOT EXISTS (SELECT FROM ({newest}) AS n
                                         WHERE n.target_row = m.target_row AND n.definition = {definition})
                      ORDER BY m.place
                     RETURNING 1)",
            reject = self.table(),
            own = self.own(),
            is_dead = self.is_dead(),
            values = self.values(),
            definition = self.definition(),
            batch = Literal(batch.name.as_str()),
            newest = self.newest("m"),
        )
    }

    /// The first three that a batch entered, for messages: each by its key and why, without a value. `refused` are those of
    /// them that the transform could not take.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn first_of(
        &self,
        warehouse: &mut PgConnection,
        batch: &Batch,
        refused: &[Reject],
        missing: Option<&Missing>,
    ) -> Result<Vec<String>> {
        let failed = |error| failed(self.catalog, error);
        let found = sqlx::query(AssertSqlSafe(self.finding_first(batch, missing)));
        let rows = found.fetch_all(warehouse).await.map_err(failed)?;
        let shown = rows.into_iter().map(|row| {
            let text = |column: &str| row.try_get::<Option<String>, _>(column).map_err(failed);
            let (kept, reason, lack) = (text("source_row")?.unwrap_or_default(), text("reason")?, text("lack")?);
            let kept: Option<BTreeMap<String, Option<String>>> = serde_json::from_str(&kept).ok();
            let is_it = |other: &&Reject| Some(&other.row) == kept.as_ref() && Some(&other.reason) == reason.as_ref();
            if let (Some(refused), Origin::Table(derivation)) = (refused.iter().find(is_it), &self.target.origin) {
                return Ok(refused.shown(&derivation.table));
            }
            let key: Vec<Option<String>> = row.try_get("source_key").map_err(failed)?;
            Ok(format!("{}: {}", self.told_key(&key), lack.unwrap_or_default()))
        });
        shown.collect()
    }

    /// A source key for messages.
    fn told_key(&self, key: &[Option<String>]) -> ToldKey {
        let value = |name: &Ident| self.target.column(name.as_str()).map_or(ValueType::Text, |column| column.value);
        ToldKey::of(self.target.key.iter().zip(key).map(|(name, text)| (name, value(name), text.as_deref())))
    }

    /// The source key of a row of `alias`, as it stands in the ledger.
    #[must_use]
    pub fn key(&self, alias: &str) -> String {
        let part = |name: &Ident| {
            let text = format!("{alias}.{}::text", name.sql());
            let is_text = self.target.column(name.as_str()).is_some_and(|column| column.value == ValueType::Text);
            if is_text { self.shortened(&text) } else { text }
        };
        format!("ARRAY[{}]", self.target.key.iter().map(part).collect::<Vec<_>>().join(", "))
    }

    /// A part of a key as the ledger has it. An index takes no row of more than 2,704 bytes: what is longer than the part's
    /// share of it stands as its beginning and its hash, and whole in the row.
    fn shortened(&self, text: &str) -> String {
        let most = (MAX_KEY_BYTES / self.target.key.len().max(1)).max(MIN_PART_BYTES);
        // A letter has four bytes at most.
        let beginning = (most - HASH_BYTES) / 4;
        format!(
            "CASE WHEN octet_length({text}) > {most} THEN left({text}, {beginning}) || '...' || encode(sha256(convert_to({text}, 'UTF8')), 'hex') ELSE {text} END"
        )
    }

    /// What a row of `alias` would be in the target, as it stands in the ledger.
    #[must_use]
    pub fn row(&self, alias: &str) -> String {
        let names = self.columns().map(|column| Literal(column.as_str()).to_string()).collect::<Vec<_>>().join(", ");
        let texts = join(self.columns(), ", ", |column| format!("{alias}.{column}::text"));
        format!("jsonb_object(ARRAY[{names}], ARRAY[{texts}])")
    }

    fn columns(&self) -> impl Iterator<Item = &Ident> {
        self.target.columns.iter().map(|column| &column.name)
    }

    /// The name of the column that numbers the waiting rows, which no column of the target has.
    fn number(&self) -> String {
        let mut name = "number".to_owned();
        while self.target.column(&name).is_some() {
            name.push('_');
        }
        format!("\"{name}\"")
    }

    /// Those that wait under the present definition, as rows of the target with their number.
    fn waiting(&self) -> String {
        let columns = self.target.columns.iter();
        let columns: String = columns
            .map(|column| {
                let (key, name) = (Literal(column.name.as_str()).to_string(), column.name.sql());
                format!(", (r.target_row ->> {key})::{} AS {name}", column.value.stage_sql())
            })
            .collect();
        format!(
            "(SELECT r.number AS {number}{columns} FROM {reject} AS r WHERE {own} AND r.target_row IS NOT NULL AND r.definition = {definition})",
            number = self.number(),
            reject = self.table(),
            own = self.own(),
            definition = self.definition(),
        )
    }

    fn table(&self) -> String {
        LedgerTable::Reject.of(&self.catalog.warehouse)
    }

    fn definition(&self) -> String {
        Literal(&self.catalog.fingerprint(self.target)).to_string()
    }

    fn values(&self) -> String {
        format!("{}, {}", Literal(&self.catalog.pipeline.name), Literal(self.target.name.as_str()))
    }

    fn own(&self) -> String {
        format!("(r.pipeline, r.target) = ({})", self.values())
    }

    /// Whether a row can never be loaded.
    fn is_dead(&self) -> String {
        format!("(r.target_row IS NULL OR r.definition <> {})", self.definition())
    }

    /// The newest row of the key of `alias`.
    fn newest(&self, alias: &str) -> String {
        format!(
            "SELECT r.* FROM {} AS r WHERE {} AND r.source_key = {alias}.source_key ORDER BY r.number DESC LIMIT 1",
            self.table(),
            self.own()
        )
    }

    fn counting(&self) -> String {
        format!("SELECT count(*) FROM {} AS r WHERE {}", self.table(), self.own())
    }

    fn forgetting_gone(&self, stage: &str) -> String {
        format!(
            "DELETE FROM {reject} AS r
 WHERE {own}
   AND NOT EXISTS (SELECT FROM {stage} AS s WHERE {key} = r.source_key)
   AND NOT EXISTS (SELECT FROM {refused} AS e
                    WHERE e.source_key = r.source_key AND (NOT e.is_nameless OR e.source_row = r.source_row))",
            reject = self.table(),
            own = self.own(),
            key = self.key("s"),
            refused = self.refused(),
        )
    }

    fn forgetting_loaded(&self, stage: &str) -> String {
        format!(
            "DELETE FROM {reject} AS r USING {stage} AS s WHERE {own} AND r.source_key = {key}",
            reject = self.table(),
            own = self.own(),
            key = self.key("s"),
        )
    }

    fn telling_outdated(&self) -> String {
        let remark =
            Literal("; the target is defined anew since: it is loaded once its source row is read again").to_string();
        format!(
            "UPDATE {reject} AS r SET reason = r.reason || {remark}
 WHERE {own} AND r.target_row IS NOT NULL AND r.definition <> {definition} AND strpos(r.reason, {remark}) = 0",
            reject = self.table(),
            own = self.own(),
            definition = self.definition(),
        )
    }

    fn entering(&self, batch: &Batch) -> String {
        // Of a key that stands twice (a read in slices may meet a moved row again) the last; where a part of the key is null
        // it names no row, and every row counts.
        format!(
            "WITH e AS (
    SELECT i.*, row_number() OVER (PARTITION BY i.source_key ORDER BY i.place DESC) AS from_last,
           row_number() OVER (PARTITION BY i.source_key, i.reason, i.source_row ORDER BY i.place) AS nth
      FROM {refused} AS i),
replaced AS (
    DELETE FROM {reject} AS r USING e
     WHERE {own} AND r.source_key = e.source_key AND NOT e.is_nameless AND e.from_last = 1
       AND (r.reason, r.source_row) IS DISTINCT FROM (e.reason, e.source_row) AND {is_dead})
INSERT INTO {reject} (pipeline, target, source_key, reason, source_row, definition, batch)
SELECT {values}, e.source_key, e.reason, e.source_row, {definition}, {batch}
  FROM e
 WHERE CASE WHEN e.is_nameless
            THEN (SELECT count(*) FROM {reject} AS r
                   WHERE {own} AND (r.source_key, r.reason, r.source_row) = (e.source_key, e.reason, e.source_row)) < e.nth
            ELSE e.from_last = 1
                 AND NOT EXISTS (SELECT FROM ({newest}) AS n
                                  WHERE n.target_row IS NULL AND (n.reason, n.source_row) = (e.reason, e.source_row)) END
 ORDER BY e.place",
            reject = self.table(),
            own = self.own(),
            is_dead = self.is_dead(),
            values = self.values(),
            definition = self.definition(),
            batch = Literal(batch.name.as_str()),
            newest = self.newest("e"),
            refused = self.refused(),
        )
    }

    fn finding_first(&self, batch: &Batch, missing: Option<&Missing>) -> String {
        let lack = missing.map_or("NULL".to_owned(), |Missing { joins, lack, .. }| {
            let (waiting, number) = (self.waiting(), self.number());
            format!("(SELECT {lack} FROM {waiting} AS s {joins} WHERE s.{number} = r.number)")
        });
        format!(
            "SELECT r.source_key, r.reason, r.source_row::text AS source_row, {lack} AS lack
   FROM {} AS r WHERE {} AND r.batch = {} ORDER BY r.number LIMIT 3",
            self.table(),
            self.own(),
            Literal(batch.name.as_str())
        )
    }

    /// The rows of `$1`, which are refused rows as JSON.
    fn refused(&self) -> String {
        format!(
            "(SELECT k.source_key, array_position(k.source_key, NULL) IS NOT NULL AS is_nameless,
                    j.r ->> 'reason' AS reason, j.r -> 'row' AS source_row, j.place
               FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS j (r, place),
                    LATERAL (SELECT array_agg({part} ORDER BY p.place) AS source_key
                               FROM jsonb_array_elements_text(j.r -> 'key') WITH ORDINALITY AS p (part, place)) AS k)",
            part = self.shortened("p.part"),
        )
    }
}

fn json(refused: &[Reject]) -> String {
    let rows: Vec<Value> = refused.iter().map(|reject| serde_json::json!(reject)).collect();
    Value::from(rows).to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::Ledger;
    use crate::samples::{batch, catalog};

    const STAGE: &str = "pg_temp.stage_2";

    pub(super) fn missing() -> Missing {
        Missing {
            joins: "LEFT JOIN d ON …".to_owned(),
            condition: "…".to_owned(),
            reason: "'…'".to_owned(),
            lack: "'...'".to_owned(),
        }
    }

    #[test]
    fn rejected_rows_are_counted_entered_and_shown() {
        let catalog = catalog();
        let rejects = Ledger::of(&catalog).rejects(&catalog.warehouse.targets[1]);
        expect![[r#"SELECT count(*) FROM "the ""ledger"""."reject" AS r WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"')"#]].assert_eq(&rejects.counting());
        expect![[r#"
            WITH e AS (
                SELECT i.*, row_number() OVER (PARTITION BY i.source_key ORDER BY i.place DESC) AS from_last,
                       row_number() OVER (PARTITION BY i.source_key, i.reason, i.source_row ORDER BY i.place) AS nth
                  FROM (SELECT k.source_key, array_position(k.source_key, NULL) IS NOT NULL AS is_nameless,
                                j.r ->> 'reason' AS reason, j.r -> 'row' AS source_row, j.place
                           FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS j (r, place),
                                LATERAL (SELECT array_agg(CASE WHEN octet_length(p.part) > 1000 THEN left(p.part, 233) || '...' || encode(sha256(convert_to(p.part, 'UTF8')), 'hex') ELSE p.part END ORDER BY p.place) AS source_key
                                           FROM jsonb_array_elements_text(j.r -> 'key') WITH ORDINALITY AS p (part, place)) AS k) AS i),
            replaced AS (
                DELETE FROM "the ""ledger"""."reject" AS r USING e
                 WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND r.source_key = e.source_key AND NOT e.is_nameless AND e.from_last = 1
                   AND (r.reason, r.source_row) IS DISTINCT FROM (e.reason, e.source_row) AND (r.target_row IS NULL OR r.definition <> '83e00fe4b637aa0d'))
            INSERT INTO "the ""ledger"""."reject" (pipeline, target, source_key, reason, source_row, definition, batch)
            SELECT 'shop', 'fact "pair"', e.source_key, e.reason, e.source_row, '83e00fe4b637aa0d', 'it''s-the-one'
              FROM e
             WHERE CASE WHEN e.is_nameless
                        THEN (SELECT count(*) FROM "the ""ledger"""."reject" AS r
                               WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND (r.source_key, r.reason, r.source_row) = (e.source_key, e.reason, e.source_row)) < e.nth
                        ELSE e.from_last = 1
                             AND NOT EXISTS (SELECT FROM (SELECT r.* FROM "the ""ledger"""."reject" AS r WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND r.source_key = e.source_key ORDER BY r.number DESC LIMIT 1) AS n
                                              WHERE n.target_row IS NULL AND (n.reason, n.source_row) = (e.reason, e.source_row)) END
             ORDER BY e.place"#]].assert_eq(&rejects.entering(&batch()));
        expect![[r#"
            replaced AS (DELETE FROM "the ""ledger"""."reject" AS r USING rejected AS m
                                   WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND r.source_key = m.source_key AND (r.target_row IS NULL OR r.definition <> '83e00fe4b637aa0d')),
                     entered AS (INSERT INTO "the ""ledger"""."reject" (pipeline, target, source_key, reason, source_row, target_row, definition, batch)
                                 SELECT 'shop', 'fact "pair"', m.source_key, m.reason, m.target_row, m.target_row, '83e00fe4b637aa0d', 'it''s-the-one' FROM rejected AS m
                                  WHERE NOT EXISTS (SELECT FROM (SELECT r.* FROM "the ""ledger"""."reject" AS r WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND r.source_key = m.source_key ORDER BY r.number DESC LIMIT 1) AS n
                                                     WHERE n.target_row = m.target_row AND n.definition = '83e00fe4b637aa0d')
                                  ORDER BY m.place
                                 RETURNING 1)"#]].assert_eq(&rejects.entering_from("rejected", &batch()));
        expect![[r#"jsonb_object(ARRAY['left %', 'right "hand"', 's'], ARRAY[s."left %"::text, s."right ""hand"""::text, s."s"::text])"#]].assert_eq(&rejects.row("s"));
        expect![[r#"
            SELECT r.source_key, r.reason, r.source_row::text AS source_row, (SELECT '...' FROM (waiting) AS s LEFT JOIN d ON … WHERE s."number" = r.number) AS lack
               FROM "the ""ledger"""."reject" AS r WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND r.batch = 'it''s-the-one' ORDER BY r.number LIMIT 3"#]].assert_eq(&rejects.finding_first(&batch(), Some(&missing())).replace(&rejects.waiting(), "(waiting)"));
    }

    #[test]
    fn what_is_loaded_or_gone_is_rejected_no_longer() {
        let catalog = catalog();
        let rejects = Ledger::of(&catalog).rejects(&catalog.warehouse.targets[1]);
        expect![[r#"DELETE FROM "the ""ledger"""."reject" AS r USING pg_temp.stage_2 AS s WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"') AND r.source_key = ARRAY[s."left %"::text, CASE WHEN octet_length(s."right ""hand"""::text) > 1000 THEN left(s."right ""hand"""::text, 233) || '...' || encode(sha256(convert_to(s."right ""hand"""::text, 'UTF8')), 'hex') ELSE s."right ""hand"""::text END]"#]].assert_eq(&rejects.forgetting_loaded(STAGE));
        expect![[r#"
            DELETE FROM "the ""ledger"""."reject" AS r
             WHERE (r.pipeline, r.target) = ('shop', 'fact "pair"')
               AND NOT EXISTS (SELECT FROM pg_temp.stage_2 AS s WHERE ARRAY[s."left %"::text, CASE WHEN octet_length(s."right ""hand"""::text) > 1000 THEN left(s."right ""hand"""::text, 233) || '...' || encode(sha256(convert_to(s."right ""hand"""::text, 'UTF8')), 'hex') ELSE s."right ""hand"""::text END] = r.source_key)
               AND NOT EXISTS (SELECT FROM (SELECT k.source_key, array_position(k.source_key, NULL) IS NOT NULL AS is_nameless,
                                j.r ->> 'reason' AS reason, j.r -> 'row' AS source_row, j.place
                           FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS j (r, place),
                                LATERAL (SELECT array_agg(CASE WHEN octet_length(p.part) > 1000 THEN left(p.part, 233) || '...' || encode(sha256(convert_to(p.part, 'UTF8')), 'hex') ELSE p.part END ORDER BY p.place) AS source_key
                                           FROM jsonb_array_elements_text(j.r -> 'key') WITH ORDINALITY AS p (part, place)) AS k) AS e
                                WHERE e.source_key = r.source_key AND (NOT e.is_nameless OR e.source_row = r.source_row))"#]].assert_eq(&rejects.forgetting_gone(STAGE));
    }
}
