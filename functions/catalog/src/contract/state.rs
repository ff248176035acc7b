//! What the pipeline knows of the source after a batch: what the next plan starts from.
//!
//! It lies in an object of its own that the ledger's row of the batch names. It is worth nothing until that row is
//! committed; where it is missing or damaged everything is read.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::contract::batch::{Batch, BatchName};
use crate::contract::horizon::Horizon;
use crate::sql::Ident;

/// The state of the pipeline after a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The batch.
    pub batch: Batch,
    /// The server the horizons belong to.
    pub source: SourceIdentity,
    /// How far that server had come, and since when it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<Life>,
    /// By source table.
    pub tables: BTreeMap<Ident, TableState>,
    /// By target: the fingerprint of its definition.
    pub targets: BTreeMap<Ident, String>,
}

/// What the pipeline knows of a source table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// The batch that read it last; for a snapshot the one that holds its newest whole copy.
    pub batch: BatchName,
    /// The transaction horizon of that read: rows at or after it are read next time.
    pub horizon: Horizon,
    /// The table's counters then; `None` when they prove nothing.
    pub counters: Option<Counters>,
    /// Of everything that changes rows without a transaction id of its own: another one, and the table is read whole.
    pub fingerprint: String,
    /// The newest value of its cursor then, as Postgres prints it; `None` where it is asked without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// When it was read.
    pub read_at: DateTime<Utc>,
}

/// The server a transaction horizon belongs to. Horizons of different servers do not compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// `pg_control_system()`'s identifier: a decimal number, kept as text because JSON numbers are floats elsewhere. Empty
    /// where the server does not tell it.
    pub system: String,
    /// The timeline: another one after a fail-over to a copy that may lack the last transactions.
    pub timeline: i64,
    /// Object id of the database.
    pub database: i64,
    /// When the server's statistics began: anew after a crash or on a volume that was put back, not after a clean restart.
    /// `None` on a replica, which replays and loses nothing that it showed.
    pub began: Option<String>,
}

/// A server from its start to its end, as far as it had come: what it showed before a restart may be gone after it, where a
/// copy of its files was put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// When it was started.
    pub started: String,
    /// Where its write-ahead log ended, in bytes.
    pub log: u64,
    /// The next transaction.
    pub next: Horizon,
}

impl SourceIdentity {
    /// Whether it is a database of the same server, whatever became of that server meanwhile.
    #[must_use]
    pub fn is_same_database(&self, other: &Self) -> bool {
        (&self.system, self.database) == (&other.system, other.database)
    }

    /// Whether transaction ids of the one mean the same on the other: the same database, and nothing between them that
    /// could have taken back what was seen.
    #[must_use]
    pub fn continues(&self, earlier: &Self) -> bool {
        let began = match (&earlier.began, &self.began) {
            (Some(earlier), Some(now)) => earlier == now,
            // A replica has none.
            (None, _) | (_, None) => true,
        };
        self.is_same_database(earlier) && self.timeline == earlier.timeline && began
    }
}

/// A table's cumulative statistics; equal ones prove that no row was written in between, as long as no session holds back
/// what it has not reported yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Rows inserted, updated and deleted since the statistics began.
    pub inserted: i64,
    /// See `inserted`.
    pub updated: i64,
    /// See `inserted`.
    pub deleted: i64,
    /// When the statistics began.
    pub since: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(timeline: i64, began: Option<&str>) -> SourceIdentity {
        SourceIdentity { system: "7".to_owned(), timeline, database: 5, began: began.map(str::to_owned) }
    }

    #[test]
    fn a_server_continues_unless_something_could_have_taken_back_what_was_seen() {
        let before = server(1, Some("Monday"));
        assert!(server(1, Some("Monday")).continues(&before));
        assert!(server(1, None).continues(&before), "its replica");
        assert!(!server(1, Some("Tuesday")).continues(&before), "it crashed");
        assert!(!server(2, Some("Monday")).continues(&before), "a copy was promoted");
        let other = SourceIdentity { database: 6, ..before.clone() };
        assert!(!other.continues(&before) && !other.is_same_database(&before));
        assert!(server(2, None).is_same_database(&before));
    }
}
