//! What the pipeline knows of the source after a batch: what the next plan starts from.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::contract::batch::{Batch, BatchName};
use crate::contract::horizon::Horizon;
use crate::sql::Ident;

/// The state of the pipeline after a batch: what the next plan starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The batch.
    pub batch: Batch,
    /// The server the horizons belong to.
    pub source: SourceIdentity,
    /// By source table.
    pub tables: BTreeMap<Ident, TableState>,
    /// By target: the fingerprint of its definition.
    pub targets: BTreeMap<Ident, String>,
    /// Whether nothing before this may be built upon: the warehouse lost what it held, the next plan reads everything.
    #[serde(default)]
    pub reset: bool,
}

/// What the pipeline knows of a source table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableState {
    /// The batch that read it last; for a snapshot the one that holds its newest whole copy.
    pub batch: BatchName,
    /// The transaction horizon of that batch: rows at or after it are read next time.
    pub horizon: Horizon,
    /// The table's counters then; `None` when they prove nothing.
    pub counters: Option<Counters>,
    /// When it was read.
    pub read_at: DateTime<Utc>,
}

/// The server a transaction horizon belongs to. Horizons of different servers do not compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// `pg_control_system()`'s identifier: a decimal number, kept as text because JSON numbers are floats elsewhere.
    pub system: String,
    /// The timeline: another one after a fail-over to a copy that may lack the last transactions.
    pub timeline: i64,
    /// Object id of the database.
    pub database: i64,
}

/// A table's cumulative statistics; equal ones prove that no row was written in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Rows inserted, updated and deleted since the statistics began.
    pub inserted: i64,
    /// See `inserted`.
    pub updated: i64,
    /// See `inserted`.
    pub deleted: i64,
    /// The file the table is in: another one after TRUNCATE or a rewrite.
    pub file: i64,
    /// When the statistics began.
    pub since: Option<String>,
}
