//! The server that is read is the one that was planned for, and has come so far: a name may lead to several.

use catalog::message::SourceAt;
use catalog::{Error, Fault, Horizon, Result, Side};
use host::postgres::{classify, identity};
use sqlx::PgConnection;

/// Refuses another server, one that was put back since it was planned for, and one that lags behind.
///
/// # Errors
/// `Source.Replaced`, `Source.Restarted`, `Source.Busy`; else what the source answers.
pub(crate) async fn has_come_to(connection: &mut PgConnection, planned: &SourceAt) -> Result<()> {
    let here = identity(connection, Side::Source).await?;
    if !here.is_same_database(&planned.identity) {
        let what = "the source is another server than the one that was planned for: its name leads to more than one";
        return Err(Error::new(Fault::SourceReplaced, what));
    }
    if !here.continues(&planned.identity) {
        let what = "the source crashed, was put back or failed over since this batch was planned";
        return Err(Error::new(Fault::SourceRestarted, what));
    }
    let failed = |error| classify(Side::Source, "cannot read how far the source has come", error);
    let query = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text";
    let text: String = sqlx::query_scalar(query).fetch_one(connection).await.map_err(failed)?;
    let oldest: Horizon =
        text.parse().map_err(|error| Error::because(Fault::Bug, format!("{text:?} is no transaction id"), error))?;
    if oldest < planned.horizon {
        let what = format!(
            "this server of the source lags behind: it is at transaction {oldest}, the plan at {}",
            planned.horizon
        );
        return Err(Error::new(Fault::SourceBusy, what));
    }
    Ok(())
}
