//! Batches in the warehouse: a row is entered in the transaction that makes its batch visible.

use catalog::ledger::BATCH;
use catalog::message::{LoadRequest, Loaded};
use catalog::state::Commit;
use catalog::{Batch, BatchName, Error, Fault, Result};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::ledger::{Ledger, failed};

impl Ledger {
    /// The result and the state of a batch that is in the warehouse.
    pub(crate) async fn find(&self, warehouse: &mut PgConnection, batch: &Batch) -> Result<Option<(Loaded, Commit)>> {
        let found = sqlx::query(AssertSqlSafe(find()))
            .bind(&self.pipeline)
            .bind(batch.name.as_str())
            .fetch_optional(warehouse)
            .await
            .map_err(failed)?;
        let Some(row) = found else { return Ok(None) };
        let text = |column: &str| row.try_get::<String, _>(column).map_err(failed);
        let damaged =
            |error| Error::because(Fault::WarehouseRefused, format!("cannot read batch {batch} in {BATCH}"), error);
        let loaded = serde_json::from_str(&text("result")?).map_err(damaged)?;
        let commit = serde_json::from_str(&text("state")?).map_err(damaged)?;
        Ok(Some((loaded, commit)))
    }

    pub(crate) async fn holds(&self, warehouse: &mut PgConnection, batch: &BatchName) -> Result<bool> {
        sqlx::query_scalar(AssertSqlSafe(holds()))
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
        sqlx::query_scalar(AssertSqlSafe(overtaken_by()))
            .bind(&self.pipeline)
            .bind(batch.started.to_rfc3339())
            .bind(batch.name.as_str())
            .bind(base.map(BatchName::as_str))
            .fetch_optional(warehouse)
            .await
            .map_err(failed)
    }

    /// Enters the batch, in the transaction that makes it visible.
    pub(crate) async fn enter(
        &self,
        warehouse: &mut PgConnection,
        request: &LoadRequest,
        loaded: &Loaded,
        commit: &Commit,
    ) -> Result<()> {
        sqlx::query(AssertSqlSafe(enter()))
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

fn find() -> String {
    format!("SELECT result::text AS result, state::text AS state FROM {BATCH} WHERE pipeline = $1 AND batch = $2")
}

fn holds() -> String {
    format!("SELECT EXISTS (SELECT FROM {BATCH} WHERE pipeline = $1 AND batch = $2)")
}

fn overtaken_by() -> String {
    format!(
        "SELECT batch FROM {BATCH}
          WHERE pipeline = $1
            AND ((started, batch) > ($2::timestamptz, $3)
                 OR (committed_at > $2::timestamptz AND batch IS DISTINCT FROM $4))
          ORDER BY started DESC, batch DESC LIMIT 1"
    )
}

fn enter() -> String {
    format!(
        "INSERT INTO {BATCH} (pipeline, batch, started, base, committed_at, result, state)
         VALUES ($1, $2, $3::timestamptz, $4, $5::timestamptz, $6::jsonb, $7::jsonb)"
    )
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn batches_are_looked_for_and_entered() {
        expect![
            "SELECT result::text AS result, state::text AS state FROM etl.batch WHERE pipeline = $1 AND batch = $2"
        ]
        .assert_eq(&find());
        expect!["SELECT EXISTS (SELECT FROM etl.batch WHERE pipeline = $1 AND batch = $2)"].assert_eq(&holds());
        expect![[r#"
            SELECT batch FROM etl.batch
                      WHERE pipeline = $1
                        AND ((started, batch) > ($2::timestamptz, $3)
                             OR (committed_at > $2::timestamptz AND batch IS DISTINCT FROM $4))
                      ORDER BY started DESC, batch DESC LIMIT 1"#]]
        .assert_eq(&overtaken_by());
        expect![[r#"
            INSERT INTO etl.batch (pipeline, batch, started, base, committed_at, result, state)
                     VALUES ($1, $2, $3::timestamptz, $4, $5::timestamptz, $6::jsonb, $7::jsonb)"#]]
        .assert_eq(&enter());
    }
}
