//! Execution history: what `GetExecutionHistory` answers.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::resource::Resource;
use crate::state_type::StateType;

/// What AWS allows an execution's history to hold.
pub(crate) const MAX_EVENTS: u64 = 25_000;

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// From 1.
    pub id: u64,
    /// The event that led to this one; 0 at the start.
    pub previous: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: EventKind,
}

/// What an event tells of. Inputs, outputs and parameters are JSON text, as the service holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kinds and their members are named as AWS documents them")]
pub enum EventKind {
    ExecutionStarted { input: String, role_arn: String },
    ExecutionSucceeded { output: String },
    ExecutionFailed(Failure),
    ExecutionAborted(Failure),
    ExecutionTimedOut,
    ExecutionRedriven { redrive_count: u64 },
    StateEntered { state_type: StateType, name: String, input: String },
    StateExited { state_type: StateType, name: String, output: String },
    TaskScheduled { resource: Resource, region: String, parameters: String, timeout_seconds: Option<u64> },
    TaskStarted { resource: Resource },
    TaskSucceeded { resource: Resource, output: String },
    TaskFailed { resource: Resource, failure: Failure },
    TaskTimedOut { resource: Resource, failure: Failure },
    TaskStateAborted,
    ParallelStateStarted,
    ParallelStateSucceeded,
    ParallelStateFailed,
}

impl EventKind {
    /// As AWS names it: `TaskStateEntered`.
    #[must_use]
    pub fn name(&self) -> String {
        let name = match self {
            Self::StateEntered { state_type, .. } => return format!("{}StateEntered", state_type.name()),
            Self::StateExited { state_type, .. } => return format!("{}StateExited", state_type.name()),
            Self::ExecutionStarted { .. } => "ExecutionStarted",
            Self::ExecutionSucceeded { .. } => "ExecutionSucceeded",
            Self::ExecutionFailed(_) => "ExecutionFailed",
            Self::ExecutionAborted(_) => "ExecutionAborted",
            Self::ExecutionTimedOut => "ExecutionTimedOut",
            Self::ExecutionRedriven { .. } => "ExecutionRedriven",
            Self::TaskScheduled { .. } => "TaskScheduled",
            Self::TaskStarted { .. } => "TaskStarted",
            Self::TaskSucceeded { .. } => "TaskSucceeded",
            Self::TaskFailed { .. } => "TaskFailed",
            Self::TaskTimedOut { .. } => "TaskTimedOut",
            Self::TaskStateAborted => "TaskStateAborted",
            Self::ParallelStateStarted => "ParallelStateStarted",
            Self::ParallelStateSucceeded => "ParallelStateSucceeded",
            Self::ParallelStateFailed => "ParallelStateFailed",
        };
        name.to_owned()
    }

    /// The state that is entered or left here.
    #[must_use]
    pub fn state_name(&self) -> Option<&str> {
        match self {
            Self::StateEntered { name, .. } | Self::StateExited { name, .. } => Some(name),
            Self::ExecutionStarted { .. }
            | Self::ExecutionSucceeded { .. }
            | Self::ExecutionFailed(_)
            | Self::ExecutionAborted(_)
            | Self::ExecutionTimedOut
            | Self::ExecutionRedriven { .. }
            | Self::TaskScheduled { .. }
            | Self::TaskStarted { .. }
            | Self::TaskSucceeded { .. }
            | Self::TaskFailed { .. }
            | Self::TaskTimedOut { .. }
            | Self::TaskStateAborted
            | Self::ParallelStateStarted
            | Self::ParallelStateSucceeded
            | Self::ParallelStateFailed => None,
        }
    }

    /// The member that holds its details, and the details; without `data` inputs, outputs and parameters are left out.
    fn details(&self, data: bool) -> Option<(&'static str, Details)> {
        let details = Details::new(data);
        Some(match self {
            Self::ExecutionStarted { input, role_arn } => {
                ("executionStartedEventDetails", details.data("input", input).member("roleArn", role_arn))
            }
            Self::ExecutionSucceeded { output } => ("executionSucceededEventDetails", details.data("output", output)),
            Self::ExecutionFailed(failure) => ("executionFailedEventDetails", details.failure(failure)),
            Self::ExecutionAborted(failure) => ("executionAbortedEventDetails", details.failure(failure)),
            Self::ExecutionTimedOut => ("executionTimedOutEventDetails", details),
            Self::ExecutionRedriven { redrive_count } => {
                ("executionRedrivenEventDetails", details.member("redriveCount", redrive_count))
            }
            Self::StateEntered { name, input, .. } => {
                ("stateEnteredEventDetails", details.member("name", name).data("input", input))
            }
            Self::StateExited { name, output, .. } => {
                ("stateExitedEventDetails", details.member("name", name).data("output", output))
            }
            Self::TaskScheduled { resource, region, parameters, timeout_seconds } => {
                let mut details = details.integration(*resource).member("region", region);
                if data {
                    details = details.member("parameters", parameters);
                }
                if let Some(seconds) = timeout_seconds {
                    details = details.member("timeoutInSeconds", seconds);
                }
                ("taskScheduledEventDetails", details)
            }
            Self::TaskStarted { resource } => ("taskStartedEventDetails", details.integration(*resource)),
            Self::TaskSucceeded { resource, output } => {
                ("taskSucceededEventDetails", details.integration(*resource).data("output", output))
            }
            Self::TaskFailed { resource, failure } => {
                ("taskFailedEventDetails", details.integration(*resource).failure(failure))
            }
            Self::TaskTimedOut { resource, failure } => {
                ("taskTimedOutEventDetails", details.integration(*resource).failure(failure))
            }
            Self::TaskStateAborted
            | Self::ParallelStateStarted
            | Self::ParallelStateSucceeded
            | Self::ParallelStateFailed => return None,
        })
    }
}

/// The details of an event while they are put together.
struct Details {
    members: Map<String, Value>,
    with_data: bool,
}

impl Details {
    fn new(with_data: bool) -> Self {
        Self { members: Map::new(), with_data }
    }

    fn member(mut self, name: &str, value: impl Serialize) -> Self {
        self.members.insert(name.to_owned(), json!(value));
        self
    }

    /// An input or output, and that it is whole.
    fn data(mut self, name: &str, text: &str) -> Self {
        if self.with_data {
            self = self.member(name, text);
        }
        self.members.insert(format!("{name}Details"), json!({ "truncated": false }));
        self
    }

    fn integration(self, resource: Resource) -> Self {
        let (service, action) = resource.words();
        self.member("resourceType", service).member("resource", action)
    }

    /// Error and cause, each left out where there is none.
    fn failure(mut self, failure: &Failure) -> Self {
        for (name, value) in [("error", &failure.error), ("cause", &failure.cause)] {
            if let Some(value) = value {
                self = self.member(name, value);
            }
        }
        self
    }
}

impl Event {
    /// The event on the wire. Without `data` inputs and outputs are left out.
    #[must_use]
    pub fn to_json(&self, data: bool) -> Value {
        let mut members = Map::new();
        members.insert("id".to_owned(), json!(self.id));
        members.insert("previousEventId".to_owned(), json!(self.previous));
        members.insert("type".to_owned(), json!(self.kind.name()));
        members.insert("timestamp".to_owned(), timestamp(self.at));
        if let Some((name, details)) = self.kind.details(data) {
            members.insert(name.to_owned(), Value::Object(details.members));
        }
        Value::Object(members)
    }
}

/// Seconds since 1970 with milliseconds, as the JSON protocol writes a time.
#[must_use]
pub fn timestamp(at: DateTime<Utc>) -> Value {
    let millis = at.timestamp_millis();
    // Printed, not divided: a time is no place for rounding.
    let text = format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000));
    serde_json::from_str(&text).unwrap_or_default()
}

/// As the context object writes a time.
pub(crate) fn iso(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
