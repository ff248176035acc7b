//! Since when the source runs, and whether it goes on from where it was seen last: files that were put back while it was
//! stopped are those of the same server, on the same timeline, cleanly shut down, and hold less than was read.

use catalog::state::Life;
use catalog::{Horizon, Result, Side};
use host::postgres::{classify, words};
use sqlx::{PgConnection, Row as _};

/// What a server tells of its life.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) life: Life,
    /// Where the log ended when it was shut down last; `None` once another checkpoint has taken the place of that one.
    pub(crate) shut_down: Option<u64>,
}

impl Told {
    /// Asks for it; `None` on a replica, and where the server does not tell.
    pub(crate) async fn by(connection: &mut PgConnection, next: Horizon) -> Result<Option<Self>> {
        let query = "SELECT pg_postmaster_start_time()::text AS started,
                            CASE WHEN NOT pg_is_in_recovery() THEN (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint END AS log,
                            CASE WHEN checkpoint_time <= pg_postmaster_start_time()
                                 THEN (checkpoint_lsn - '0/0'::pg_lsn)::bigint END AS shut_down
                       FROM pg_control_checkpoint()";
        let failed = |error| classify(Side::Source, "cannot read since when the source runs", error);
        let row = match sqlx::query(query).fetch_one(connection).await {
            Ok(row) => row,
            Err(error @ sqlx::Error::Database(_)) => {
                tracing::warn!("the source does not tell since when it runs: {}", words(&error));
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        let bytes = |column: &str| row.try_get::<Option<i64>, _>(column).map_err(failed);
        let Some(log) = bytes("log")? else { return Ok(None) };
        let started = row.try_get("started").map_err(failed)?;
        let life = Life { started, log: log.unsigned_abs(), next };
        Ok(Some(Self { life, shut_down: bytes("shut_down")?.map(i64::unsigned_abs) }))
    }

    /// Whether everything that was seen in an earlier life is here: it is the same life, or it was shut down after that.
    pub(crate) fn continues(&self, earlier: &Life) -> bool {
        self.life.started == earlier.started || self.shut_down.is_some_and(|end| end >= earlier.log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_no_loss_unless_files_were_put_back() {
        let life = |started: &str, log| Life { started: started.to_owned(), log, next: Horizon::new(9) };
        let told = |started: &str, log, shut_down| Told { life: life(started, log), shut_down };
        let seen = life("Monday", 1_000);
        assert!(told("Monday", 2_000, None).continues(&seen), "the same life");
        assert!(told("Tuesday", 1_100, Some(1_050)).continues(&seen), "shut down after that");
        assert!(!told("Tuesday", 1_100, Some(900)).continues(&seen), "shut down before it");
        assert!(!told("Tuesday", 9_000, None).continues(&seen), "nobody knows any more");
    }
}
