//! The pipeline's own schema in the warehouse: which batches are in it, and the rows that could not be taken.

use catalog::manifest::Reject;
use catalog::message::{LoadRequest, Loaded};
use catalog::state::Commit;
use catalog::{Batch, BatchName, Catalog, Error, Fault, Result, Side, Target};
use host::postgres::classify;
use serde_json::Value;
use sqlx::{PgConnection, Row as _};

use crate::execute;

/// What is made where it is missing. A warehouse may serve several pipelines.
const TABLES: &str = "
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
    COMMENT ON COLUMN etl.reject.target_row IS 'Present where only a dimension is missing: tried again by every load.';
";

pub(crate) struct Ledger {
    pub(crate) pipeline: String,
}

impl Ledger {
    /// Takes the pipeline's lock until the transaction ends, then makes what is missing.
    pub(crate) async fn open(warehouse: &mut PgConnection, catalog: &Catalog) -> Result<Self> {
        let pipeline = catalog.pipeline.name.clone();
        sqlx::query("SELECT pg_advisory_xact_lock(hashtext('datadetox'), hashtext($1))")
            .bind(&pipeline)
            .execute(&mut *warehouse)
            .await
            .map_err(|error| classify(Side::Warehouse, "another load of this pipeline does not end", error))?;
        let there: bool =
            sqlx::query_scalar("SELECT to_regclass('etl.batch') IS NOT NULL AND to_regclass('etl.reject') IS NOT NULL")
                .fetch_one(&mut *warehouse)
                .await
                .map_err(failed)?;
        if !there {
            execute(warehouse, "cannot make the schema etl", TABLES).await?;
        }
        Ok(Self { pipeline })
    }

    /// The result and the state of a batch that is in the warehouse.
    pub(crate) async fn find(&self, warehouse: &mut PgConnection, batch: &Batch) -> Result<Option<(Loaded, Commit)>> {
        let row = sqlx::query(
            "SELECT result::text AS result, state::text AS state FROM etl.batch WHERE pipeline = $1 AND batch = $2",
        )
        .bind(&self.pipeline)
        .bind(batch.name.as_str())
        .fetch_optional(warehouse)
        .await
        .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
        let damaged =
            |error| Error::because(Fault::WarehouseRefused, format!("cannot read batch {batch} in etl.batch"), error);
        let loaded = serde_json::from_str(&text("result")?).map_err(damaged)?;
        let commit = serde_json::from_str(&text("state")?).map_err(damaged)?;
        Ok(Some((loaded, commit)))
    }

    pub(crate) async fn holds(&self, warehouse: &mut PgConnection, batch: &BatchName) -> Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM etl.batch WHERE pipeline = $1 AND batch = $2)")
            .bind(&self.pipeline)
            .bind(batch.as_str())
            .fetch_one(warehouse)
            .await
            .map_err(failed)
    }

    /// A batch in the warehouse that this one must not follow: a newer one; or one that came in after this one began, and
    /// that it does not build on. That is an older one, redriven meanwhile: it may have read the source later.
    pub(crate) async fn overtaken_by(
        &self,
        warehouse: &mut PgConnection,
        batch: &Batch,
        base: Option<&BatchName>,
    ) -> Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT batch FROM etl.batch
              WHERE pipeline = $1
                AND ((started, batch) > ($2::timestamptz, $3)
                     OR (committed_at > $2::timestamptz AND batch IS DISTINCT FROM $4))
              ORDER BY started DESC, batch DESC LIMIT 1",
        )
        .bind(&self.pipeline)
        .bind(batch.started.to_rfc3339())
        .bind(batch.name.as_str())
        .bind(base.map(BatchName::as_str))
        .fetch_optional(warehouse)
        .await
        .map_err(failed)
    }

    /// How many rows of a target wait for a dimension.
    pub(crate) async fn open_rejects(&self, warehouse: &mut PgConnection, target: &Target) -> Result<i64> {
        sqlx::query_scalar("SELECT count(*) FROM etl.reject WHERE pipeline = $1 AND target = $2")
            .bind(&self.pipeline)
            .bind(target.name.as_str())
            .fetch_one(warehouse)
            .await
            .map_err(failed)
    }

    /// Puts rows aside that the transform could not take; how many of them are new or not the same as before.
    pub(crate) async fn put_aside(
        &self,
        warehouse: &mut PgConnection,
        target: &Target,
        batch: &Batch,
        rejects: &[Reject],
    ) -> Result<u64> {
        if rejects.is_empty() {
            return Ok(0);
        }
        // The newest of one key: a read in slices may meet a moved row twice.
        let rows: Vec<Value> = rejects.iter().map(|reject| serde_json::json!(reject)).collect();
        let done = sqlx::query(
            "INSERT INTO etl.reject AS known (pipeline, target, source_key, reason, source_row, batch)
             SELECT DISTINCT ON (r ->> 'key') $1, $2, r ->> 'key', r ->> 'reason', r -> 'row', $3
               FROM jsonb_array_elements($4::jsonb) WITH ORDINALITY AS e (r, place) ORDER BY r ->> 'key', place DESC
             ON CONFLICT (pipeline, target, source_key) DO UPDATE
                SET reason = excluded.reason, source_row = excluded.source_row, target_row = NULL,
                    batch = excluded.batch, rejected_at = now()
              WHERE (known.reason, known.source_row) IS DISTINCT FROM (excluded.reason, excluded.source_row)",
        )
        .bind(&self.pipeline)
        .bind(target.name.as_str())
        .bind(batch.name.as_str())
        .bind(Value::from(rows).to_string())
        .execute(warehouse)
        .await
        .map_err(failed)?;
        Ok(done.rows_affected())
    }

    /// Enters the batch, in the transaction that makes it visible.
    pub(crate) async fn enter(
        &self,
        warehouse: &mut PgConnection,
        request: &LoadRequest,
        loaded: &Loaded,
        commit: &Commit,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO etl.batch (pipeline, batch, started, base, committed_at, result, state)
             VALUES ($1, $2, $3::timestamptz, $4, $5::timestamptz, $6::jsonb, $7::jsonb)",
        )
        .bind(&self.pipeline)
        .bind(request.batch.name.as_str())
        .bind(request.batch.started.to_rfc3339())
        .bind(request.base.as_ref().map(BatchName::as_str))
        .bind(loaded.committed_at.to_rfc3339())
        .bind(serde_json::json!(loaded).to_string())
        .bind(serde_json::json!(commit).to_string())
        .execute(warehouse)
        .await
        .map(|_| ())
        .map_err(failed)
    }
}

fn failed(error: sqlx::Error) -> Error {
    classify(Side::Warehouse, "cannot use the schema etl", error)
}
