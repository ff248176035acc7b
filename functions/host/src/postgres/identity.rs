//! Which server and database a connection leads to, and whether that server could have lost what it showed.

use catalog::state::SourceIdentity;
use catalog::{Result, Side};
use sqlx::{PgConnection, Row as _};

use super::classify;

/// The database that a connection leads to.
///
/// Some managed servers hide system identifier and timeline; there the database's own id has to do.
///
/// # Errors
/// What the database answers.
pub async fn identity(connection: &mut PgConnection, side: Side) -> Result<SourceIdentity> {
    let failed = |error| classify(side, &format!("cannot read the {side}'s identity"), error);
    let row = sqlx::query(
        "SELECT (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
                CASE WHEN NOT pg_is_in_recovery() THEN (SELECT stats_reset::text FROM pg_stat_bgwriter) END AS began",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let hidden = "SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
                         CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
                              ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END::bigint AS timeline";
    let (system, timeline) = match sqlx::query(hidden).fetch_one(connection).await {
        Ok(row) => (row.try_get("system").map_err(failed)?, row.try_get("timeline").map_err(failed)?),
        Err(sqlx::Error::Database(error)) => {
            tracing::warn!("the {side} does not tell which server it is: {}", error.message());
            (String::new(), 0)
        }
        Err(error) => return Err(failed(error)),
    };
    let database = row.try_get("database").map_err(failed)?;
    Ok(SourceIdentity { system, timeline, database, began: row.try_get("began").map_err(failed)? })
}
