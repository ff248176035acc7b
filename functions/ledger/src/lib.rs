//! The pipeline's own schema in the warehouse: the only memory that it has. Which batches are in, whose the targets are and
//! what of them was written, which rows wait. Every statement on that schema is built here.
//!
//! ```no_run
//! # async fn example(catalog: &catalog::Catalog, warehouse: &mut sqlx::PgConnection) -> catalog::Result<()> {
//! let ledger = ledger::Ledger::of(catalog);
//! ledger.prepare(warehouse).await?;
//! let newest = ledger.newest(warehouse).await?;
//! # Ok(())
//! # }
//! ```

mod batch;
mod elsewhere;
mod reject;
pub mod rights;
#[cfg(test)]
mod samples;
pub mod statement;
mod tables;
mod target;
pub mod trust;

use catalog::ledger::LedgerTable;
use catalog::{Catalog, Error, Result, Side, Target};
use host::postgres::classify;
use sqlx::{AssertSqlSafe, PgConnection};

pub use batch::Newest;
pub use reject::{Missing, Rejects};
pub use tables::Made;
pub use target::{Lost, Noted, Place, Seen};

/// Takes a pipeline's lock until the transaction ends.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext('datadetox'), hashtext($1))";

/// What a warehouse remembers of one pipeline. It may serve several.
#[derive(Clone, Copy, Debug)]
pub struct Ledger<'c> {
    catalog: &'c Catalog,
}

impl<'c> Ledger<'c> {
    /// The ledger of a catalogue's pipeline.
    #[must_use]
    pub fn of(catalog: &'c Catalog) -> Self {
        Self { catalog }
    }

    /// Takes the pipeline's lock until the transaction ends: one load at a time.
    ///
    /// # Errors
    /// `Warehouse.Busy` when another one does not end, else what the warehouse answers.
    pub async fn lock(&self, warehouse: &mut PgConnection) -> Result<()> {
        let locked = sqlx::query(LOCK).bind(self.pipeline()).execute(warehouse).await;
        let doing = "another load of this pipeline does not end";
        locked.map(|_| ()).map_err(|error| classify(Side::Warehouse, doing, error))
    }

    /// The rejected rows of a target.
    #[must_use]
    pub fn rejects<'l>(&self, target: &'l Target) -> Rejects<'l>
    where
        'c: 'l,
    {
        Rejects { catalog: self.catalog, target }
    }

    /// How many rows wait, over all targets.
    ///
    /// # Errors
    /// What the warehouse answers.
    pub async fn waiting(&self, warehouse: &mut PgConnection) -> Result<u64> {
        let count = sqlx::query_scalar(AssertSqlSafe(self.counting_the_waiting())).bind(self.pipeline());
        let count: i64 = count.fetch_one(warehouse).await.map_err(|error| self.failed(error))?;
        Ok(count.unsigned_abs())
    }

    fn counting_the_waiting(&self) -> String {
        format!("SELECT count(*) FROM {} WHERE pipeline = $1", self.table(LedgerTable::Reject))
    }

    fn pipeline(&self) -> &'c str {
        &self.catalog.pipeline.name
    }

    fn table(&self, table: LedgerTable) -> String {
        table.of(&self.catalog.warehouse)
    }

    fn failed(&self, error: sqlx::Error) -> Error {
        failed(self.catalog, error)
    }
}

fn failed(catalog: &Catalog, error: sqlx::Error) -> Error {
    classify(Side::Warehouse, &format!("cannot use the schema {}", catalog.warehouse.ledger), error)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::samples::catalog;

    #[test]
    fn what_waits_is_counted() {
        expect![[r#"SELECT count(*) FROM "the ""ledger"""."reject" WHERE pipeline = $1"#]]
            .assert_eq(&Ledger::of(&catalog()).counting_the_waiting());
    }
}
