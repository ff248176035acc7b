//! What the functions say to each other through the state machine: keys and counts, never rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::batch::{Batch, BatchName};
use crate::contract::fault::{Error, Fault, Result};
use crate::contract::horizon::Horizon;
use crate::contract::state::{SourceIdentity, State, TableState};
use crate::contract::told::told_json;
use crate::sql::Ident;

/// What `checkpoint` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckpointRequest {
    /// Name and start of the execution.
    pub batch: Batch,
    /// The fingerprint of the catalogue that the state machine was made from.
    pub catalogue: String,
    /// The execution's input, as it was given.
    #[serde(default)]
    pub input: Value,
}

/// What the warehouse holds, as `checkpoint` found it. It decides what a batch builds on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The newest batch in it; `None` where there is none.
    pub base: Option<Base>,
    /// Targets that are missing, or have lost rows, each with what was found: they are made anew from a full read.
    pub rebuild: BTreeMap<Ident, String>,
    /// The warehouse's own database.
    pub warehouse: Option<SourceIdentity>,
    /// Rows that wait in the reject table.
    pub waiting: u64,
    /// What was found that a person should hear of, a sentence each; empty when all is well.
    pub alerts: Vec<String>,
    /// Whether there is any of that: a state machine cannot count.
    pub noticed: bool,
}

/// The batch that another one builds on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Its name.
    pub batch: BatchName,
    /// The server that its rows came from.
    pub source: SourceIdentity,
    /// The key of its state in the lake.
    pub state: String,
}

/// What `plan` is asked. Every member comes from the context object, or from `checkpoint`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanRequest {
    /// ARN of the state machine.
    pub state_machine: String,
    /// ARN of the execution.
    pub execution: String,
    /// Name and start of the execution.
    pub batch: Batch,
    /// The fingerprint of the catalogue that the state machine was made from.
    pub catalogue: String,
    /// What the warehouse holds.
    pub checkpoint: Checkpoint,
    /// The execution's input, as it was given.
    #[serde(default)]
    pub input: Value,
}

/// The input of an execution. Unknown members are left alone: schedulers add their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunInput {
    /// Read every table in full, whatever changed.
    pub full: bool,
    /// The source is meant, though it is another server than the one that the warehouse's rows came from.
    pub adopt_source: bool,
}

impl RunInput {
    /// Reads an execution's input; none at all is an empty one.
    ///
    /// # Errors
    /// `Input.Refused` for what is no object, or a member of another type.
    pub fn read(input: &Value) -> Result<Self> {
        if input.is_null() {
            return Ok(Self::default());
        }
        let refused = |what: String| Error::new(Fault::InputRefused, what);
        if !input.is_object() {
            return Err(refused(format!("the run's input is no JSON object: {}", kind(input))));
        }
        serde_json::from_value(input.clone())
            .map_err(|error| refused(format!("the run's input cannot be read: {}", told_json(&error))))
    }
}

/// What a JSON value is, for messages: never the value itself.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
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
    /// The server that is read, and the transaction horizon that every reader of it must have come to; `None` unless
    /// something is read.
    pub source: Option<SourceAt>,
    /// The batch that this one builds on.
    pub base: Option<BatchName>,
    /// By source table; every table of the catalogue.
    pub tables: BTreeMap<Ident, TablePlan>,
    /// By target; every target of the catalogue.
    pub targets: BTreeMap<Ident, TargetPlan>,
    /// What `load` commits, without the tables that are read: what is known of those, their reads say.
    pub next: Option<State>,
}

/// A server at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceAt {
    /// The server.
    pub identity: SourceIdentity,
    /// Every transaction before it has ended.
    pub horizon: Horizon,
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
    /// The fingerprint of the table in the catalogue that was planned by.
    pub definition: String,
    /// What will be known of it once it is read; `None` where nothing is.
    pub state: Option<TableState>,
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
    /// The fingerprint of the target in the catalogue that was planned by.
    pub definition: String,
    /// Whether the warehouse's table is missing or has lost rows, so that it is made anew.
    pub rebuild: bool,
}

/// What `extract` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExtractRequest {
    /// The batch.
    pub batch: Batch,
    /// The table.
    pub table: Ident,
    /// The server that was planned for; `None` where nothing is read.
    pub source: Option<SourceAt>,
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
    /// What is known of the table once this is in the warehouse; `None` unless it is read to its end.
    pub state: Option<TableState>,
}

/// What `transform` is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransformRequest {
    /// The batch.
    pub batch: Batch,
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
    /// The batch it builds on: it is loaded only while that one is the newest.
    pub base: Option<BatchName>,
    /// What was built.
    pub targets: BTreeMap<Ident, TargetPlan>,
    /// What was read, table by table.
    pub extracted: Vec<Extracted>,
    /// What to commit, without the tables that were read.
    pub next: State,
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
    /// Rows that waited in the reject table and are gone from the source.
    #[serde(default)]
    pub gone: u64,
    /// Newest versions that were given the values of columns that are new.
    #[serde(default)]
    pub filled: u64,
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
    /// Rows that wait in the reject table now, of this batch and of earlier ones.
    pub waiting: u64,
    /// What was found that a person should hear of, a sentence each; empty when all is well.
    #[serde(default)]
    pub alerts: Vec<String>,
    /// Whether there is any of that: a state machine cannot count.
    #[serde(default)]
    pub noticed: bool,
    /// When the batch became visible; `None` where it did not.
    pub committed_at: Option<DateTime<Utc>>,
    /// Milliseconds from the start of its execution to that moment: how far behind the warehouse was then. `None` where
    /// nothing became visible.
    pub freshness_ms: Option<u64>,
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
            definition: "d".into(),
            state: None,
        };
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"read": "since", "horizon": 7, "reason": "changed", "expected_rows": null, "versioned": true, "definition": "d", "state": null})
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
        let read = |input: &str| RunInput::read(&serde_json::from_str(input).unwrap());
        assert_eq!(read(r#"{"time":"x"}"#).unwrap(), RunInput::default());
        assert_eq!(read("null").unwrap(), RunInput::default());
        assert_eq!(read(r#"{"full":true}"#).unwrap(), RunInput { full: true, adopt_source: false });
        for (input, word) in [("[1]", "a list"), (r#""now""#, "a text"), (r#"{"full":"yes"}"#, "expected a boolean")] {
            let error = read(input).unwrap_err();
            assert_eq!(error.fault(), Fault::InputRefused);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
