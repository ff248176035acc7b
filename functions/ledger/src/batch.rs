//! Batches in the warehouse: a row is entered in the transaction that makes its batch visible.

use catalog::ledger::LedgerTable;
use catalog::message::{Base, LoadRequest, Loaded};
use catalog::state::SourceIdentity;
use catalog::{Batch, BatchName, Error, Fault, Result, told_json};
use chrono::{DateTime, Utc};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::Ledger;

/// The newest batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its place: the next one's is one more.
    pub number: i64,
    /// Its name.
    pub batch: BatchName,
    /// What the next batch builds on; `None` for a batch of version 1, whose state is used no longer.
    pub base: Option<Base>,
    /// When it became visible.
    pub committed_at: DateTime<Utc>,
    /// Whether that is in the future, by more than a minute of the warehouse's own clock.
    pub is_ahead: bool,
}

impl Ledger<'_> {
    /// The newest batch: no clock decides which.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn newest(&self, warehouse: &mut PgConnection) -> Result<Option<Newest>> {
        let failed = |error| self.failed(error);
        let found = sqlx::query(AssertSqlSafe(self.finding_newest())).bind(self.pipeline());
        let Some(row) = found.fetch_optional(warehouse).await.map_err(failed)? else { return Ok(None) };
        let text = |column: &str| row.try_get::<Option<String>, _>(column).map_err(failed);
        let name = text("batch")?.unwrap_or_default();
        let batch = BatchName::new(name.clone()).map_err(|error| self.damaged(&name, error))?;
        let base = match (text("source")?, text("state_key")?) {
            (Some(source), Some(state)) => {
                let source: SourceIdentity =
                    serde_json::from_str(&source).map_err(|error| self.damaged(&name, told_json(&error)))?;
                Some(Base { batch: batch.clone(), source, state })
            }
            _ => None,
        };
        let committed_at = text("committed_at")?.unwrap_or_default();
        Ok(Some(Newest {
            number: row.try_get("number").map_err(failed)?,
            batch,
            base,
            committed_at: committed_at.parse().map_err(|error| self.damaged(&name, error))?,
            is_ahead: row.try_get("is_ahead").map_err(failed)?,
        }))
    }

    /// The result of a batch that is in the warehouse.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn find(&self, warehouse: &mut PgConnection, batch: &Batch) -> Result<Option<Loaded>> {
        let found = sqlx::query_scalar(AssertSqlSafe(self.finding())).bind(self.pipeline()).bind(batch.name.as_str());
        let result: Option<String> = found.fetch_optional(warehouse).await.map_err(|error| self.failed(error))?;
        let read = |result: String| serde_json::from_str(&result);
        result.map(read).transpose().map_err(|error| self.damaged(batch.name.as_str(), told_json(&error)))
    }

    /// Enters a batch after the newest one, in the transaction that makes it visible. `state` is the key of what it knows of
    /// the source.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn enter(
        &self,
        warehouse: &mut PgConnection,
        request: &LoadRequest,
        newest: Option<&Newest>,
        state: &str,
        loaded: &Loaded,
    ) -> Result<()> {
        sqlx::query(AssertSqlSafe(self.entering()))
            .bind(self.pipeline())
            .bind(newest.map_or(1, |newest| newest.number + 1))
            .bind(request.batch.name.as_str())
            .bind(request.batch.started.to_rfc3339())
            .bind(request.base.as_ref().map(BatchName::as_str))
            .bind(loaded.committed_at.map(|at| at.to_rfc3339()))
            .bind(serde_json::json!(request.next.source).to_string())
            .bind(state)
            .bind(serde_json::json!(loaded).to_string())
            .execute(warehouse)
            .await
            .map(|_| ())
            .map_err(|error| self.failed(error))
    }

    fn damaged(&self, batch: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        let table = LedgerTable::Batch.shown(&self.catalog.warehouse);
        Error::because(Fault::WarehouseRefused, format!("cannot read the batch {batch} in {table}"), error)
    }

    fn finding_newest(&self) -> String {
        format!(
            "SELECT number, batch, source::text AS source, state_key,
        to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS committed_at,
        committed_at > clock_timestamp() + interval '1 minute' AS is_ahead
   FROM {} WHERE pipeline = $1 ORDER BY number DESC LIMIT 1",
            self.table(LedgerTable::Batch)
        )
    }

    fn finding(&self) -> String {
        format!("SELECT result::text FROM {} WHERE pipeline = $1 AND batch = $2", self.table(LedgerTable::Batch))
    }

    fn entering(&self) -> String {
        format!(
            "INSERT INTO {} (pipeline, number, batch, started, base, committed_at, source, state_key, result)
VALUES ($1, $2, $3, $4::timestamptz, $5, $6::timestamptz, $7::jsonb, $8, $9::jsonb)",
            self.table(LedgerTable::Batch)
        )
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::samples::catalog;

    #[test]
    fn batches_are_looked_for_and_entered() {
        let catalog = catalog();
        let ledger = Ledger::of(&catalog);
        expect![[r#"
            SELECT number, batch, source::text AS source, state_key,
                    to_char(committed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS committed_at,
                    committed_at > clock_timestamp() + interval '1 minute' AS is_ahead
               FROM "the ""ledger"""."batch" WHERE pipeline = $1 ORDER BY number DESC LIMIT 1"#]]
        .assert_eq(&ledger.finding_newest());
        expect![[r#"SELECT result::text FROM "the ""ledger"""."batch" WHERE pipeline = $1 AND batch = $2"#]]
            .assert_eq(&ledger.finding());
        expect![[r#"
            INSERT INTO "the ""ledger"""."batch" (pipeline, number, batch, started, base, committed_at, source, state_key, result)
            VALUES ($1, $2, $3, $4::timestamptz, $5, $6::timestamptz, $7::jsonb, $8, $9::jsonb)"#]].assert_eq(&ledger.entering());
    }
}
