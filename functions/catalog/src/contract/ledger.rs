//! The tables of the pipeline's own schema in the warehouse, by name: for whoever is told to look into them. The statements
//! on them are the loader's.

/// The schema.
pub const SCHEMA: &str = "etl";
/// A row a batch, entered in the transaction that shows it.
pub const BATCH: &str = "etl.batch";
/// A row a source key that cannot be taken, with the reason.
pub const REJECT: &str = "etl.reject";

/// The question which rows of a pipeline are rejected, and why.
#[must_use]
pub fn rejects_of(pipeline: &str) -> String {
    format!("SELECT * FROM {REJECT} WHERE pipeline = '{pipeline}' ORDER BY rejected_at DESC")
}
