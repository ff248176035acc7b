//! What the functions say to each other through the state machine: keys and counts, never rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::contract::batch::{Batch, BatchName};
use crate::contract::horizon::Horizon;
use crate::contract::state::Commit;
use crate::sql::Ident;

/// What `plan` is asked. Every member comes from the context object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanRequest {
    /// ARN of the state machine.
    pub state_machine: String,
    /// ARN of the execution.
    pub execution: String,
    /// Name and start of the execution.
    pub batch: Batch,
    /// The execution's input.
    #[serde(default)]
    pub input: RunInput,
}

/// The input of an execution. Unknown members are left alone: schedulers add their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunInput {
    /// Read every table in full, whatever changed.
    pub full: bool,
}

/// What `plan` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// There is something to read.
    Changed,
    /// Nothing changed since the last commit.
    UpToDate,
    /// An older execution still runs; this one ends.
    AlreadyRunning,
}

/// What `plan` decided. Tables, targets and `next` are empty unless something changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// What was found.
    pub status: PlanStatus,
    /// Why, for people: `3 of 11 tables changed`, `20… is still running`.
    pub reason: String,
    /// This execution's batch.
    pub batch: Batch,
    /// The transaction horizon of this batch: rows at or after it will be delivered again by the next one.
    pub horizon: Horizon,
    /// The committed batch that this one builds on.
    pub base: Option<BatchName>,
    /// By source table; every table of the catalogue.
    pub tables: BTreeMap<Ident, TablePlan>,
    /// By target; every target of the catalogue.
    pub targets: BTreeMap<Ident, TargetPlan>,
    /// What `load` commits.
    pub next: Option<Commit>,
}

/// What is read of a table in this batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "read", rename_all = "snake_case")]
pub enum Read {
    /// Nothing: it did not change.
    Nothing,
    /// The rows written at or after this transaction horizon.
    Since {
        /// That of the table's last read.
        horizon: Horizon,
    },
    /// Every row.
    Whole,
}

/// The plan for one source table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlan {
    /// What is read.
    #[serde(flatten)]
    pub read: Read,
    /// Why, for people: `changed`, `first read`, `unchanged`.
    pub reason: String,
    /// Rows expected by the table's counters; `None` where only the table itself can tell.
    pub expected_rows: Option<u64>,
    /// Whether its rows carry a transaction id (a view's do not).
    pub versioned: bool,
}

/// The plan for one dimension or fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetPlan {
    /// Whether any of its sources was read.
    pub build: bool,
    /// For every source table the batch that holds what it is made of; `None` where there is nothing new.
    pub sources: BTreeMap<Ident, Option<BatchName>>,
    /// Whether only the load can tell that its key is unique (its origin is a view).
    pub verify_key: bool,
}

/// What `extract` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExtractRequest {
    /// The batch.
    pub batch: Batch,
    /// The table.
    pub table: Ident,
    /// What to read of it.
    pub plan: TablePlan,
}

/// How far a step got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// There was nothing to do.
    Skipped,
    /// Time ran out between two slices; asked again it goes on.
    Unfinished,
    /// Done now.
    Done,
    /// Done already by another try, whose manifest is answered.
    AlreadyDone,
}

/// What `extract` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Extracted {
    /// The table.
    pub table: Ident,
    /// How far it got.
    pub status: StepStatus,
    /// Rows written so far.
    pub rows: u64,
    /// Bytes written so far.
    pub bytes: u64,
}

/// What `transform` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransformRequest {
    /// The batch.
    pub batch: Batch,
    /// Its transaction horizon.
    pub horizon: Horizon,
    /// The dimension or fact.
    pub target: Ident,
    /// What it is made of.
    pub plan: TargetPlan,
}

/// What `transform` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transformed {
    /// The target.
    pub target: Ident,
    /// How far it got.
    pub status: StepStatus,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Rows deferred: the next batch brings them again.
    pub deferred: u64,
    /// Rows rejected: the warehouse cannot take them.
    pub rejected: u64,
}

/// What `load` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadRequest {
    /// The batch.
    pub batch: Batch,
    /// Its transaction horizon.
    pub horizon: Horizon,
    /// The committed batch it builds on.
    pub base: Option<BatchName>,
    /// What was built.
    pub targets: BTreeMap<Ident, TargetPlan>,
    /// What to commit.
    pub next: Commit,
}

/// How a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadStatus {
    /// In the warehouse now.
    Loaded,
    /// In the warehouse already.
    AlreadyLoaded,
    /// Another batch overtook it; this one changed nothing, and the next one brings what it would have brought.
    Superseded,
}

/// What a load did to one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Keys that were new.
    pub added: u64,
    /// Facts: new versions of known keys. Dimensions: rows that differed.
    pub updated: u64,
    /// Rows that were there already.
    pub unchanged: u64,
    /// Rows that the next batch brings again (R6).
    pub deferred: u64,
    /// Rows that the warehouse cannot take, newly or with another content: they are in the reject table.
    pub rejected: u64,
}

/// What `load` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// How it ended.
    pub status: LoadStatus,
    /// By target; only those that were built.
    pub targets: BTreeMap<Ident, Counts>,
    /// Rows rejected by this batch, over all targets.
    pub rejected: u64,
    /// When the batch became visible.
    pub committed_at: DateTime<Utc>,
    /// Milliseconds from the plan's snapshot of the source to that moment: how far behind the warehouse was then.
    pub freshness_ms: u64,
}

/// What `halt` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HaltRequest {
    /// The phase that failed.
    pub phase: Phase,
    /// How often the execution had been redriven when it failed.
    pub noted: u64,
    /// How often it has been redriven now.
    pub now: u64,
    /// What failed.
    pub failures: Vec<Failure>,
}

/// A phase of the pipeline, as the state machine calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// What does the warehouse hold?
    Checkpoint,
    /// What changed?
    Plan,
    /// Source → CSV.
    Extract,
    /// CSV → Parquet.
    Transform,
    /// Parquet → warehouse.
    Load,
}

/// A branch or function that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Table, target or function.
    pub subject: String,
    /// The error's name.
    pub error: String,
    /// Its cause: what Lambda answered, or nothing for a timeout.
    #[serde(default)]
    pub cause: String,
}

impl Failure {
    /// The cause for people: the `errorMessage` inside what Lambda answered.
    #[must_use]
    pub fn message(&self) -> String {
        let answer: Option<serde_json::Value> = serde_json::from_str(&self.cause).ok();
        let message = answer.as_ref().and_then(|answer| answer.get("errorMessage")).and_then(serde_json::Value::as_str);
        match message {
            Some(message) => message.to_owned(),
            None if self.cause.is_empty() => "no cause was given".to_owned(),
            None => self.cause.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_plan_is_flat_json() {
        let plan = TablePlan {
            read: Read::Since { horizon: Horizon::new(7) },
            reason: "changed".into(),
            expected_rows: None,
            versioned: true,
        };
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"read": "since", "horizon": 7, "reason": "changed", "expected_rows": null, "versioned": true})
        );
        assert_eq!(serde_json::from_value::<TablePlan>(json).unwrap(), plan);
    }

    #[test]
    fn a_failure_shows_what_lambda_wrapped() {
        let failure = |cause: &str| Failure { subject: "t".into(), error: "E".into(), cause: cause.into() }.message();
        assert_eq!(failure(r#"{"errorType":"E","errorMessage":"no such table"}"#), "no such table");
        assert_eq!(failure(""), "no cause was given");
        assert_eq!(failure("plain"), "plain");
    }

    #[test]
    fn an_input_may_hold_more_than_we_read() {
        let input: RunInput = serde_json::from_str(r#"{"time":"x"}"#).unwrap();
        assert_eq!(input, RunInput::default());
    }
}
