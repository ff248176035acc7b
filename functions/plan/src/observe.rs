//! What the source says of itself: its identity and transaction horizon, and of every mapped table its shape and
//! counters. Reads the system catalogue alone, so that a table nobody may read is still planned, and its own extraction
//! fails and not the plan.

use std::collections::{BTreeMap, BTreeSet};

use catalog::state::{Counters, SourceIdentity};
use catalog::{Error, Fault, Horizon, Ident, Result, Side, Source, qualified};
use host::postgres::classify;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::decide::Doubt;

/// The first server version with 64-bit transaction ids in SQL.
const MIN_SERVER_VERSION: i32 = 130_000;

/// A table up to this size is asked itself: 64 MiB are read in some hundredths of a second. Of a larger one its counters
/// decide.
const ASK_BELOW_BYTES: i64 = 64 << 20;

/// The source at one moment.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The server and database.
    pub identity: SourceIdentity,
    /// The oldest transaction that may still commit: every older one is in every later read.
    pub horizon: Horizon,
    /// The next transaction id.
    pub next: Horizon,
    /// Whether counters are kept here at all (they are not on a replica).
    pub counts: bool,
    /// By name; a table that does not exist is missing.
    pub tables: BTreeMap<Ident, LiveTable>,
}

/// A table of the source.
#[derive(Clone, Debug, Default)]
pub struct LiveTable {
    /// Whether its rows carry a transaction id (tables, partitioned tables, materialized views).
    pub versioned: bool,
    /// Whether its counters tell of every change (not those of a partitioned table's parent).
    pub counted: bool,
    /// Its columns.
    pub columns: Vec<LiveColumn>,
    /// The column sets that a unique index covers.
    pub unique_keys: Vec<Vec<String>>,
    /// Its counters.
    pub counters: Option<Counters>,
}

/// A column of the source.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LiveColumn {
    /// Its name.
    pub name: String,
    /// Its type as `format_type` prints it, domains resolved.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it is a user-defined enumeration.
    pub is_enum: bool,
}

/// Takes the horizon, then looks at the tables; a change in between counts as one after the horizon.
///
/// # Errors
/// What the source answers; `Source.Refused` for a server too old.
pub async fn source(connection: &mut PgConnection, source: &Source) -> Result<Observation> {
    let failed = |error| classify(Side::Source, "cannot take the transaction horizon", error);
    let row = sqlx::query(
        "SELECT current_setting('server_version_num')::int AS version,
                current_setting('server_version') AS version_name,
                current_setting('track_counts')::bool AND NOT pg_is_in_recovery() AS counts,
                (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database,
                (SELECT stats_reset::text FROM pg_stat_database WHERE datname = current_database()) AS since",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let version: i32 = row.try_get("version").map_err(failed)?;
    if version < MIN_SERVER_VERSION {
        let name: String = row.try_get("version_name").map_err(failed)?;
        return Err(Error::new(
            Fault::SourceRefused,
            format!("the source is PostgreSQL {name}; 13 or newer is needed"),
        ));
    }
    let (system, timeline) = identity(connection).await;
    let snapshot = sqlx::query(
        "SELECT pg_snapshot_xmin(s)::text AS horizon, pg_snapshot_xmax(s)::text AS next FROM pg_current_snapshot() AS s",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let transaction = |column: &str| -> Result<Horizon> {
        let text: String = snapshot.try_get(column).map_err(failed)?;
        text.parse().map_err(|error| Error::because(Fault::Bug, format!("{text:?} is no transaction id"), error))
    };
    let since: Option<String> = row.try_get("since").map_err(failed)?;
    Ok(Observation {
        identity: SourceIdentity { system, timeline, database: row.try_get("database").map_err(failed)? },
        horizon: transaction("horizon")?,
        next: transaction("next")?,
        counts: row.try_get("counts").map_err(failed)?,
        tables: tables(connection, source, since).await?,
    })
}

/// The cluster and its timeline: another one after a restore or a fail-over to a copy that may lack the newest
/// transactions. Some managed servers hide both; there the database's own id has to do.
async fn identity(connection: &mut PgConnection) -> (String, i64) {
    let query = "SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system,
                        CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
                             ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END::bigint AS timeline";
    match sqlx::query(query).fetch_one(connection).await {
        Ok(row) => (row.try_get("system").unwrap_or_default(), row.try_get("timeline").unwrap_or_default()),
        Err(error) => {
            tracing::warn!("the source does not tell its identity: {error}");
            (String::new(), 0)
        }
    }
}

async fn tables(
    connection: &mut PgConnection,
    source: &Source,
    since: Option<String>,
) -> Result<BTreeMap<Ident, LiveTable>> {
    let failed = |error| classify(Side::Source, "cannot read the source's catalogue", error);
    let names: Vec<&str> = source.tables.iter().map(|table| table.name.as_str()).collect();
    let rows = sqlx::query(
        "SELECT c.relname::text AS name, c.relkind::text AS kind, c.relfilenode::bigint AS file,
                pg_stat_get_tuples_inserted(c.oid) AS inserted,
                pg_stat_get_tuples_updated(c.oid) AS updated,
                pg_stat_get_tuples_deleted(c.oid) AS deleted,
                (SELECT coalesce(json_agg(json_build_object(
                            'name', a.attname,
                            'type', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod)
                                         ELSE format_type(a.atttypid, a.atttypmod) END,
                            'is_enum', coalesce(b.typtype, t.typtype) = 'e') ORDER BY a.attnum), '[]')::text
                   FROM pg_attribute a
                   JOIN pg_type t ON t.oid = a.atttypid
                   LEFT JOIN pg_type b ON b.oid = t.typbasetype
                  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
                (SELECT coalesce(json_agg((SELECT json_agg(a.attname)
                                             FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                                             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                                            WHERE k.place <= i.indnkeyatts)), '[]')::text
                   FROM pg_index i
                  WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
                    AND i.indpred IS NULL AND i.indexprs IS NULL) AS unique_keys
           FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p', 'm', 'v', 'f')",
    )
    .bind(source.schema.as_str())
    .bind(names)
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let mut tables = BTreeMap::new();
    for row in rows {
        let text = |column: &str| -> Result<String> { row.try_get(column).map_err(failed) };
        let number = |column: &str| -> Result<i64> { row.try_get(column).map_err(failed) };
        let damaged = |error| Error::because(Fault::Bug, "cannot read what the source's catalogue answered", error);
        let name = text("name")?;
        let kind = text("kind")?;
        let counters = Counters {
            inserted: number("inserted")?,
            updated: number("updated")?,
            deleted: number("deleted")?,
            file: number("file")?,
            since: since.clone(),
        };
        let live = LiveTable {
            versioned: matches!(kind.as_str(), "r" | "p" | "m"),
            counted: kind == "r",
            columns: serde_json::from_str(&text("columns")?).map_err(damaged)?,
            unique_keys: serde_json::from_str(&text("unique_keys")?).map_err(damaged)?,
            counters: Some(counters),
        };
        if let Some(table) = source.tables.iter().find(|table| table.name.as_str() == name) {
            tables.insert(table.name.clone(), live);
        }
    }
    Ok(tables)
}

/// Of the doubtful tables those that hold a row at or after their horizon, or that cannot be asked at once (locked, not
/// readable): their own extraction finds out.
pub(crate) async fn touched(connection: &mut PgConnection, schema: &Ident, doubts: &[Doubt]) -> BTreeSet<Ident> {
    if doubts.is_empty() {
        return BTreeSet::new();
    }
    let together = doubts.iter().map(|doubt| question(schema, doubt)).collect::<Vec<_>>().join(", ");
    if let Some(answers) = ask(connection, &format!("SELECT ARRAY[{together}]")).await {
        return doubts
            .iter()
            .zip(answers)
            .filter(|(_, touched)| *touched)
            .map(|(doubt, _)| doubt.table.clone())
            .collect();
    }
    // One of them cannot be asked: each for itself, so that it does not take the others with it.
    let mut touched = BTreeSet::new();
    for doubt in doubts {
        let answer = ask(connection, &format!("SELECT ARRAY[{}]", question(schema, doubt))).await;
        if answer.is_none_or(|answers| answers.contains(&true)) {
            touched.insert(doubt.table.clone());
        }
    }
    touched
}

fn question(schema: &Ident, doubt: &Doubt) -> String {
    let table = qualified(schema, &doubt.table);
    format!(
        "CASE WHEN pg_relation_size({}::regclass) <= {ASK_BELOW_BYTES} THEN EXISTS (SELECT FROM {table} WHERE {}) ELSE {} END",
        catalog::Literal(&table),
        doubt.horizon.written_since(),
        doubt.moved,
    )
}

async fn ask(connection: &mut PgConnection, query: &str) -> Option<Vec<bool>> {
    // A plan does not queue behind somebody's lock; outside of a transaction SET LOCAL would be forgotten at once.
    let ask = async {
        sqlx::raw_sql("BEGIN; SET LOCAL lock_timeout = '200ms'").execute(&mut *connection).await?;
        let answer =
            sqlx::query_scalar(AssertSqlSafe(query.to_owned())).persistent(false).fetch_one(&mut *connection).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
        answer
    };
    let answer: Result<Vec<bool>, sqlx::Error> = ask.await;
    answer.inspect_err(|error| tracing::info!("a table cannot be asked whether it changed: {error}")).ok()
}
