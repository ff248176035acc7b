//! The tables of the pipeline's own schema in the warehouse, by name: for whoever is told to look into them. The schema is
//! the catalogue's; the statements are those of the room `ledger`.

use crate::model::{Catalog, Warehouse};
use crate::sql::qualified;

/// The name of the schema, unless the catalogue says another.
pub const SCHEMA: &str = "etl";

/// A table of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerTable {
    /// A row a batch, entered in the transaction that shows it; the one with the highest number is what the next run
    /// builds on.
    Batch,
    /// A row a target: whose it is, and what of it the pipeline has written.
    Target,
    /// A row that cannot be taken, with the reason.
    Reject,
}

impl LedgerTable {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Batch, Self::Target, Self::Reject];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Target => "target",
            Self::Reject => "reject",
        }
    }

    /// Its name with that of the schema, as a statement has it.
    #[must_use]
    pub fn of(self, warehouse: &Warehouse) -> String {
        qualified(&warehouse.ledger, &crate::sql::Ident::derived(&[self.name()]))
    }

    /// The same as a person reads it: `etl.reject`.
    #[must_use]
    pub fn shown(self, warehouse: &Warehouse) -> String {
        format!("{}.{}", warehouse.ledger, self.name())
    }
}

/// The question which rows of a pipeline are rejected, and why.
#[must_use]
pub fn rejects_of(catalog: &Catalog) -> String {
    let reject = LedgerTable::Reject.shown(&catalog.warehouse);
    format!("SELECT * FROM {reject} WHERE pipeline = '{}' ORDER BY number", catalog.pipeline.name)
}
