//! Two executions never plan side by side: the younger one steps back.

use aws_sdk_sfn::types::{ExecutionListItem, ExecutionStatus};
use catalog::message::PlanRequest;
use catalog::{Error, Fault, Result};
use host::Host;

/// The name of an execution that started before this one and still runs.
pub(crate) async fn older_execution(host: &Host, request: &PlanRequest) -> Result<Option<String>> {
    let client = aws_sdk_sfn::Client::new(host.aws());
    let mut pages = client
        .list_executions()
        .state_machine_arn(&request.state_machine)
        .status_filter(ExecutionStatus::Running)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            let what = format!("cannot list the executions of {}", request.state_machine);
            Error::because(Fault::OrchestratorUnavailable, what, host::cause(error))
        })?;
        if let Some(older) = page.executions.iter().find(|other| is_older(other, request)) {
            return Ok(Some(older.name.clone()));
        }
    }
    Ok(None)
}

fn is_older(other: &ExecutionListItem, request: &PlanRequest) -> bool {
    let started = other.start_date.to_millis().unwrap_or(i64::MAX);
    let mine = (request.batch.started.timestamp_millis(), request.batch.name.as_str());
    other.execution_arn != request.execution && (started, other.name.as_str()) < mine
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::primitives::DateTime;
    use catalog::{Batch, BatchName};

    use super::*;

    #[test]
    fn of_two_the_one_that_started_first_goes_on() {
        let other = |name: &str, millis| {
            ExecutionListItem::builder()
                .execution_arn(format!("arn:{name}"))
                .state_machine_arn("arn")
                .name(name)
                .status(ExecutionStatus::Running)
                .start_date(DateTime::from_millis(millis))
                .build()
                .unwrap()
        };
        let request = PlanRequest {
            state_machine: "arn".into(),
            execution: "arn:m".into(),
            batch: Batch {
                name: BatchName::new("m").unwrap(),
                started: chrono::DateTime::from_timestamp_millis(1_000).unwrap(),
            },
            catalogue: String::new(),
            checkpoint: catalog::message::Checkpoint::default(),
            input: serde_json::Value::Null,
        };
        assert!(is_older(&other("z", 999), &request));
        assert!(is_older(&other("a", 1_000), &request), "same instant: the name decides");
        assert!(!is_older(&other("z", 1_000), &request));
        assert!(!is_older(&other("a", 1_001), &request));
        assert!(!is_older(&other("m", 1_000), &request), "itself");
    }
}
