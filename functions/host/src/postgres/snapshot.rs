//! Which transactions a reader of the source sees.

use catalog::{Error, Fault, Horizon, Result, Side};
use sqlx::{PgConnection, Row as _};

use super::classify;

/// The transactions that the source shows at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The oldest that may still commit: every older one has ended.
    pub oldest: Horizon,
    /// The next one: no row is of it, or of a later one.
    pub next: Horizon,
}

/// Asks the source for it.
///
/// # Errors
/// What the source answers.
pub async fn snapshot(source: &mut PgConnection) -> Result<Snapshot> {
    let failed = |error| classify(Side::Source, "cannot read which transactions the source shows", error);
    let query =
        "SELECT pg_snapshot_xmin(s)::text AS oldest, pg_snapshot_xmax(s)::text AS next FROM pg_current_snapshot() AS s";
    let row = sqlx::query(query).fetch_one(source).await.map_err(failed)?;
    let transaction = |column: &str| -> Result<Horizon> {
        let text: String = row.try_get(column).map_err(failed)?;
        text.parse().map_err(|error| Error::because(Fault::Bug, format!("{text:?} is no transaction id"), error))
    };
    Ok(Snapshot { oldest: transaction("oldest")?, next: transaction("next")? })
}
