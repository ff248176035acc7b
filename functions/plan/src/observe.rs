//! What the source says of itself: its identity and transaction horizon, and of every mapped table its shape, fingerprint
//! and counters. Reads the system catalogue alone, so that a table nobody may read is still planned, and its own extraction
//! fails and not the plan.

use std::collections::BTreeMap;

use catalog::state::{Counters, SourceIdentity};
use catalog::{Horizon, Ident, Result, Side, Source};
use host::postgres::inspect::{self, LiveTable};
use host::postgres::{Snapshot, classify, fingerprints, identity, snapshot};
use sqlx::{PgConnection, Row as _};

use crate::life::Told;

/// The source at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    /// The server and database.
    pub(crate) identity: SourceIdentity,
    /// The oldest transaction that may still commit: every older one is in every later read.
    pub(crate) horizon: Horizon,
    /// The next transaction id.
    pub(crate) next: Horizon,
    /// Whether counters are kept here at all (they are not on a replica).
    pub(crate) counts: bool,
    /// Whether every session has told the counters all that it did.
    pub(crate) reported: bool,
    /// By name; a table that does not exist is missing.
    pub(crate) tables: BTreeMap<Ident, LiveTable>,
    /// What else decides what is seen of each.
    pub(crate) fingerprints: BTreeMap<Ident, String>,
    /// The counters of each.
    pub(crate) counters: BTreeMap<Ident, Counters>,
    /// Since when the server runs; `None` on a replica.
    pub(crate) told: Option<Told>,
}

/// Takes the horizon, then looks at the tables; a change in between counts as one after the horizon.
///
/// # Errors
/// What the source answers; `Source.Refused` for a server too old.
pub(crate) async fn source(connection: &mut PgConnection, source: &Source) -> Result<Observation> {
    inspect::refuse_old(connection, Side::Source).await?;
    let identity = identity(connection, Side::Source).await?;
    let Snapshot { oldest, next } = snapshot(connection).await?;
    let names = source.tables.iter().map(|table| &table.name);
    let statistics = statistics(connection).await?;
    Ok(Observation {
        identity,
        horizon: oldest,
        next,
        counts: statistics.counts,
        reported: statistics.reported,
        tables: inspect::tables(connection, Side::Source, &source.schema, names).await?,
        fingerprints: fingerprints(connection, source).await?,
        counters: counters(connection, source, statistics.since).await?,
        told: Told::by(connection, next).await?,
    })
}

/// What counters are worth.
struct Statistics {
    counts: bool,
    reported: bool,
    since: Option<String>,
}

/// A session tells the counters what it did when a transaction of its ends, at most once a second, and from PostgreSQL 15
/// on after ten seconds of rest. One that is in a transaction, or whose state this role may not see, may hold back more.
async fn statistics(connection: &mut PgConnection) -> Result<Statistics> {
    let failed = |error| classify(Side::Source, "cannot read the source's statistics", error);
    let row = sqlx::query(
        "SELECT current_setting('track_counts')::bool AND NOT pg_is_in_recovery() AS counts,
                (SELECT stats_reset::text FROM pg_stat_database WHERE datname = current_database()) AS since,
                NOT EXISTS (SELECT FROM pg_stat_activity AS a
                             WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL
                               AND NOT coalesce(current_setting('server_version_num')::int >= 150000 AND a.state = 'idle'
                                                AND a.state_change < clock_timestamp() - interval '1 minute', false)) AS reported",
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    Ok(Statistics {
        counts: row.try_get("counts").map_err(failed)?,
        reported: row.try_get("reported").map_err(failed)?,
        since: row.try_get("since").map_err(failed)?,
    })
}

/// By table; one that does not exist is missing.
async fn counters(
    connection: &mut PgConnection,
    source: &Source,
    since: Option<String>,
) -> Result<BTreeMap<Ident, Counters>> {
    let failed = |error| classify(Side::Source, "cannot read the source's counters", error);
    let names: Vec<&str> = source.tables.iter().map(|table| table.name.as_str()).collect();
    let rows = sqlx::query(
        "SELECT c.relname::text AS name,
                pg_stat_get_tuples_inserted(c.oid) AS inserted,
                pg_stat_get_tuples_updated(c.oid) AS updated,
                pg_stat_get_tuples_deleted(c.oid) AS deleted
           FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 AND c.relname = ANY ($2)",
    )
    .bind(source.schema.as_str())
    .bind(names)
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let mut counters = BTreeMap::new();
    for row in rows {
        let number = |column: &str| -> Result<i64> { row.try_get(column).map_err(failed) };
        let name: String = row.try_get("name").map_err(failed)?;
        if let Some(table) = source.tables.iter().find(|table| table.name.as_str() == name) {
            let of_table = Counters {
                inserted: number("inserted")?,
                updated: number("updated")?,
                deleted: number("deleted")?,
                since: since.clone(),
            };
            counters.insert(table.name.clone(), of_table);
        }
    }
    Ok(counters)
}
