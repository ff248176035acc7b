//! The server that is read is the one that was planned for, and has come so far: a name may lead to several.

use catalog::message::SourceAt;
use catalog::{Error, Fault, Result, Side};
use host::postgres::{identity, snapshot};
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
    let oldest = snapshot(connection).await?.oldest;
    if oldest < planned.horizon {
        let what = format!(
            "this server of the source lags behind: it is at transaction {oldest}, the plan at {}",
            planned.horizon
        );
        return Err(Error::new(Fault::SourceBusy, what));
    }
    Ok(())
}
