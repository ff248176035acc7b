//! The pipeline's own schema in the warehouse: which batches are in it, and the rows that it could not take. Every statement
//! on that schema is built here.

mod batch;
mod reject;

use catalog::ledger::{BATCH, REJECT, SCHEMA};
use catalog::{Catalog, Error, Literal, Result, Side, Target};
use host::postgres::classify;
use sqlx::{AssertSqlSafe, PgConnection};

pub(crate) use reject::Rejects;

use crate::statement::execute;

/// Takes a pipeline's lock until the transaction ends.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('datadetox'), hashtext($1))";

/// The batches of one pipeline. A warehouse may serve several.
pub(crate) struct Ledger {
    pipeline: String,
}

impl Ledger {
    /// Takes the pipeline's lock until the transaction ends, then makes what is missing.
    pub(crate) async fn open(warehouse: &mut PgConnection, catalog: &Catalog) -> Result<Self> {
        let ledger = Self::of(catalog);
        sqlx::query(LOCK)
            .bind(&ledger.pipeline)
            .execute(&mut *warehouse)
            .await
            .map_err(|error| classify(Side::Warehouse, "another load of this pipeline does not end", error))?;
        let there = sqlx::query_scalar(AssertSqlSafe(is_there()));
        let there: bool = there.fetch_one(&mut *warehouse).await.map_err(failed)?;
        if !there {
            execute(warehouse, &format!("cannot make the schema {SCHEMA}"), tables()).await?;
        }
        Ok(ledger)
    }

    /// The ledger of a catalogue's pipeline.
    pub(crate) fn of(catalog: &Catalog) -> Self {
        Self { pipeline: catalog.pipeline.name.clone() }
    }

    /// The rejected rows of a target.
    pub(crate) fn rejects<'l>(&'l self, target: &'l Target) -> Rejects<'l> {
        Rejects { pipeline: &self.pipeline, target }
    }
}

fn failed(error: sqlx::Error) -> Error {
    classify(Side::Warehouse, &format!("cannot use the schema {SCHEMA}"), error)
}

fn is_there() -> String {
    format!("SELECT to_regclass({}) IS NOT NULL AND to_regclass({}) IS NOT NULL", Literal(BATCH), Literal(REJECT))
}

/// What is made where it is missing.
fn tables() -> String {
    format!(
        "CREATE SCHEMA IF NOT EXISTS {SCHEMA};
         CREATE TABLE IF NOT EXISTS {BATCH} (
             pipeline     text        NOT NULL,
             batch        text        NOT NULL,
             started      timestamptz NOT NULL,
             base         text,
             committed_at timestamptz NOT NULL,
             result       jsonb       NOT NULL,
             state        jsonb       NOT NULL,
             PRIMARY KEY (pipeline, batch)
         );
         CREATE INDEX IF NOT EXISTS batch_newest_idx ON {BATCH} (pipeline, started DESC, batch DESC);
         CREATE TABLE IF NOT EXISTS {REJECT} (
             pipeline    text        NOT NULL,
             target      text        NOT NULL,
             source_key  text        NOT NULL,
             reason      text        NOT NULL,
             source_row  jsonb       NOT NULL,
             target_row  jsonb,
             batch       text        NOT NULL,
             rejected_at timestamptz NOT NULL DEFAULT now(),
             PRIMARY KEY (pipeline, target, source_key)
         );
         COMMENT ON TABLE {BATCH} IS 'Batches in the warehouse: entered in the transaction that made them visible.';
         COMMENT ON TABLE {REJECT} IS 'Rows that could not be taken: one a source key, gone once the key is loaded.';
         COMMENT ON COLUMN {REJECT}.target_row IS 'Present where only a dimension is missing: tried again by every load.';"
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_schema_is_looked_for_and_made() {
        expect!["SELECT to_regclass('etl.batch') IS NOT NULL AND to_regclass('etl.reject') IS NOT NULL"]
            .assert_eq(&is_there());
        expect![[r#"
            CREATE SCHEMA IF NOT EXISTS etl;
                     CREATE TABLE IF NOT EXISTS etl.batch (
                         pipeline     text        NOT NULL,
                         batch        text        NOT NULL,
                         started      timestamptz NOT NULL,
                         base         text,
                         committed_at timestamptz NOT NULL,
                         result       jsonb       NOT NULL,
                         state        jsonb       NOT NULL,
                         PRIMARY KEY (pipeline, batch)
                     );
                     CREATE INDEX IF NOT EXISTS batch_newest_idx ON etl.batch (pipeline, started DESC, batch DESC);
                     CREATE TABLE IF NOT EXISTS etl.reject (
                         pipeline    text        NOT NULL,
                         target      text        NOT NULL,
                         source_key  text        NOT NULL,
                         reason      text        NOT NULL,
                         source_row  jsonb       NOT NULL,
                         target_row  jsonb,
                         batch       text        NOT NULL,
                         rejected_at timestamptz NOT NULL DEFAULT now(),
                         PRIMARY KEY (pipeline, target, source_key)
                     );
                     COMMENT ON TABLE etl.batch IS 'Batches in the warehouse: entered in the transaction that made them visible.';
                     COMMENT ON TABLE etl.reject IS 'Rows that could not be taken: one a source key, gone once the key is loaded.';
                     COMMENT ON COLUMN etl.reject.target_row IS 'Present where only a dimension is missing: tried again by every load.';"#]].assert_eq(&tables());
    }
}
