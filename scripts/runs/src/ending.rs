//! What a run came to, and what failed in it.

use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::ExecutionStatus;
use catalog::message::{Failure, HaltRequest};
use serde_json::Value;

use crate::View;

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The warehouse shows what the run read.
    Loaded,
    /// There was nothing to read.
    UpToDate,
    /// An older run was at work; this one did nothing.
    AlreadyRunning,
    /// Another run loaded before this one, which then changed nothing.
    Superseded,
    /// It failed, was stopped, or has not ended.
    Failed,
}

impl Ending {
    /// From a run's status and output.
    #[must_use]
    pub fn of(status: &ExecutionStatus, output: &Value) -> Self {
        if *status != ExecutionStatus::Succeeded {
            return Self::Failed;
        }
        match (output["plan"]["status"].as_str(), output["load"]["status"].as_str()) {
            (Some("up_to_date"), _) => Self::UpToDate,
            (Some("already_running"), _) => Self::AlreadyRunning,
            (_, Some("superseded")) => Self::Superseded,
            _ => Self::Loaded,
        }
    }
}

/// What failed in a run that did not succeed, of every phase.
#[must_use]
pub fn failures(run: &DescribeExecutionOutput, view: &View) -> Vec<Failure> {
    // What halt was given is the one place where the failures of every phase stand.
    let halt = view.visits.iter().rfind(|visit| visit.state == "Halt");
    match halt.and_then(|halt| serde_json::from_value::<HaltRequest>(halt.request.clone()).ok()) {
        Some(request) => request.failures,
        None => {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let subject = if run.status == ExecutionStatus::Aborted { "stopped" } else { "run" };
            vec![Failure { subject: subject.to_owned(), error: text(&run.error), cause: text(&run.cause) }]
        }
    }
}
