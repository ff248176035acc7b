//! The ledgers of other schemas in the same warehouse: what they remember, a pipeline with this one would not know of. It
//! would load a table of another pipeline, or after its ledger was renamed load everything as if it were new.

use catalog::ledger::LedgerTable;
use catalog::{Ident, Literal, Result, qualified};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::{Ledger, Made};

impl Ledger<'_> {
    /// Every target that stands in the warehouse and that another ledger notes, and this one does not: a sentence each, with
    /// what to do. Only those ledgers are asked that the role may read; without one nothing is.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn taken_elsewhere(&self, warehouse: &mut PgConnection, made: &Made) -> Result<Vec<String>> {
        let own = &self.catalog.warehouse.ledger;
        if made.readable.iter().all(|ledger| ledger == own) {
            return Ok(Vec::new());
        }
        let failed = |error| self.failed(error);
        let names: Vec<&str> = self.catalog.warehouse.targets.iter().map(|target| target.name.as_str()).collect();
        let rows = sqlx::query(AssertSqlSafe(noted_in(&made.readable)))
            .bind(self.catalog.warehouse.schema.as_str())
            .bind(names)
            .bind(own.as_str())
            .fetch_all(warehouse)
            .await
            .map_err(failed)?;
        let sentence = |row: sqlx::postgres::PgRow| {
            let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
            let (ledger, target, pipeline) = (text("ledger")?, text("target")?, text("pipeline")?);
            let is_own = pipeline == self.pipeline();
            let back = made.readable.iter().find(|other| is_own && other.as_str() == ledger);
            let cure = match back {
                Some(other) => format!(
                    ", and [warehouse] ledger is {own}: set it back to {other}, or rename the schema: ALTER SCHEMA {} RENAME TO {}",
                    other.sql(),
                    own.sql()
                ),
                None => String::new(),
            };
            Ok(format!("{target} belongs to the pipeline {pipeline} by the ledger in the schema {ledger}{cure}"))
        };
        rows.into_iter().map(sentence).collect()
    }
}

/// What the ledgers of those schemas note of the targets `$2` in the schema `$1`, where the one of the schema `$3` does not.
fn noted_in(ledgers: &[Ident]) -> String {
    let table = Ident::derived(&[LedgerTable::Target.name()]);
    let of_one = |ledger: &Ident| {
        let (name, table) = (Literal(ledger.as_str()), qualified(ledger, &table));
        format!("SELECT {name} AS ledger, target, pipeline FROM {table} WHERE schema_name = $1 AND target = ANY ($2)")
    };
    let all: Vec<String> = ledgers.iter().map(of_one).collect();
    format!(
        "WITH noted AS (
    {})
SELECT ledger::text AS ledger, target, pipeline FROM noted AS o
 WHERE ledger <> $3 AND NOT EXISTS (SELECT FROM noted AS own WHERE own.ledger = $3 AND own.target = o.target)
   AND EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = o.target)
 ORDER BY target, ledger",
        all.join("\n    UNION ALL\n    ")
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_ledger_is_asked_at_once() {
        let ledgers = ["etl", "the 'other' \"one\""].map(|name| Ident::new(name).unwrap());
        expect![[r#"
            WITH noted AS (
                SELECT 'etl' AS ledger, target, pipeline FROM "etl"."target" WHERE schema_name = $1 AND target = ANY ($2)
                UNION ALL
                SELECT 'the ''other'' "one"' AS ledger, target, pipeline FROM "the 'other' ""one"""."target" WHERE schema_name = $1 AND target = ANY ($2))
            SELECT ledger::text AS ledger, target, pipeline FROM noted AS o
             WHERE ledger <> $3 AND NOT EXISTS (SELECT FROM noted AS own WHERE own.ledger = $3 AND own.target = o.target)
               AND EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = o.target)
             ORDER BY target, ledger"#]].assert_eq(&noted_in(&ledgers));
    }
}
