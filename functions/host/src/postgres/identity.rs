//! Which server and database this is, so that nothing that belongs to one is ever taken for another's.

use catalog::state::SourceIdentity;
use catalog::{Result, Side};
use sqlx::{PgConnection, Row as _};

use super::{classify, words};

/// The system identifier and the timeline; and the database, with the moment at which the server's statistics began.
const WHOLE: &str = "SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
        CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
             ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END::bigint AS timeline,
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
        CASE WHEN NOT pg_is_in_recovery() THEN (SELECT stats_reset::text FROM pg_stat_bgwriter) END AS began";

/// What every server tells.
const HIDDEN: &str = "SELECT ''::text AS system, 0::bigint AS timeline,
        (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
        CASE WHEN NOT pg_is_in_recovery() THEN (SELECT stats_reset::text FROM pg_stat_bgwriter) END AS began";

/// The identity of the database that is connected to. Some managed servers hide the system identifier and the timeline;
/// there the database's own id has to do. Not to be asked inside a transaction, which such a server's refusal would end.
///
/// # Errors
/// What the database answers.
pub async fn identity(connection: &mut PgConnection, side: Side) -> Result<SourceIdentity> {
    let failed = |error| classify(side, &format!("cannot read the {side}'s identity"), error);
    let row = match sqlx::query(WHOLE).fetch_one(&mut *connection).await {
        Ok(row) => row,
        Err(refusal @ sqlx::Error::Database(_)) => {
            tracing::warn!("the {side} does not tell its identity: {}", words(&refusal));
            sqlx::query(HIDDEN).fetch_one(connection).await.map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    Ok(SourceIdentity {
        system: row.try_get("system").map_err(failed)?,
        timeline: row.try_get("timeline").map_err(failed)?,
        database: row.try_get("database").map_err(failed)?,
        began: row.try_get("began").map_err(failed)?,
    })
}
