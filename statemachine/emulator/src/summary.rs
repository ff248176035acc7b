//! An execution as a list tells it.

use std::sync::Arc;

use asl::{Execution, Status, timestamp};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is in memory of every execution: what `ListExecutions` answers, and what it takes to find and to order it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Its ARN.
    pub arn: Arc<str>,
    /// Its name.
    pub name: String,
    /// ARN of its state machine.
    pub machine_arn: String,
    /// How it stands.
    pub status: Status,
    /// When it was started.
    pub started: DateTime<Utc>,
    /// When it ended, unless it runs.
    pub stopped: Option<DateTime<Utc>>,
    /// How often it was redriven.
    pub redrives: u64,
    /// When it was redriven last.
    pub redriven: Option<DateTime<Utc>>,
}

impl Summary {
    pub(crate) fn of(execution: &Execution) -> Self {
        let identity = &execution.identity;
        Self {
            arn: identity.arn.as_str().into(),
            name: identity.name.clone(),
            machine_arn: identity.machine_arn.clone(),
            status: execution.status,
            started: execution.started,
            stopped: execution.stopped,
            redrives: execution.redrives,
            redriven: execution.redriven,
        }
    }

    /// Takes over what of the execution can change.
    pub(crate) fn follow(&mut self, execution: &Execution) {
        self.status = execution.status;
        self.stopped = execution.stopped;
        self.redrives = execution.redrives;
        self.redriven = execution.redriven;
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut summary = json!({
            "executionArn": self.arn,
            "stateMachineArn": self.machine_arn,
            "name": self.name,
            "status": self.status.name(),
            "startDate": timestamp(self.started),
            "redriveCount": self.redrives,
        });
        for (name, at) in [("stopDate", self.stopped), ("redriveDate", self.redriven)] {
            if let Some(at) = at {
                summary[name] = timestamp(at);
            }
        }
        summary
    }
}
