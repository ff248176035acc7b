//! The source's write-ahead log: what a snapshot showed must be on the server's disk before anything is built upon it.

use std::time::Duration;

use catalog::{Result, Side};
use host::postgres::{classify, words};
use sqlx::{PgConnection, Row as _};
use tokio::time::Instant;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Where the log ended at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    /// `None` on a replica, which shows only what is on its primary's disk, and where the server does not tell.
    end: Option<String>,
    taken: Instant,
    /// After this the server has written every commit that it showed at that moment, also those that did not wait for it:
    /// three times its `wal_writer_delay` (Postgres' manual, "Asynchronous Commit").
    patience: Duration,
}

impl Position {
    /// Where it ends now.
    pub(crate) async fn now(connection: &mut PgConnection) -> Result<Self> {
        let query = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn()::text END AS position,
                            (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_writer_delay') AS delay";
        let taken = Instant::now();
        let row = match sqlx::query(query).fetch_one(connection).await {
            Ok(row) => row,
            Err(error @ sqlx::Error::Database(_)) => {
                tracing::warn!("the source does not tell where its write-ahead log ends: {}", words(&error));
                return Ok(Self { end: None, taken, patience: Duration::ZERO });
            }
            Err(error) => return Err(failed(error)),
        };
        let delay: i64 = row.try_get("delay").map_err(failed)?;
        let patience = Duration::from_millis(delay.unsigned_abs()) * 3 + LOOK;
        Ok(Self { end: row.try_get("position").map_err(failed)?, taken, patience })
    }

    /// Waits until every commit before it is on the server's disk: a crash cannot take it back.
    pub(crate) async fn is_written(&self, connection: &mut PgConnection) -> Result<()> {
        let Some(end) = &self.end else { return Ok(()) };
        // A position at the beginning of a page is told with the page's header, which nothing writes until a record follows.
        let query =
            "SELECT f >= i OR (i - f <= 40 AND i - f = (i - '0/0'::pg_lsn) % current_setting('wal_block_size')::int)
                       FROM (SELECT pg_current_wal_flush_lsn() AS f, $1::pg_lsn AS i) AS log";
        let mut looks = tokio::time::interval(LOOK);
        // What is no commit may stay unwritten for as long as nothing follows it, and need not be waited for.
        while self.taken.elapsed() < self.patience {
            looks.tick().await;
            let written: bool =
                sqlx::query_scalar(query).bind(end).fetch_one(&mut *connection).await.map_err(failed)?;
            if written {
                break;
            }
        }
        Ok(())
    }
}

fn failed(error: sqlx::Error) -> catalog::Error {
    classify(Side::Source, "cannot read the source's write-ahead log", error)
}
