//! The API's operations: JSON in, JSON out, as the AWS JSON protocol carries them.

use std::sync::Arc;

use asl::{Event, Execution, Failure, Signal, Status, timestamp};
use chrono::DateTime;
use serde_json::{Value, json};

use crate::entry::Entry;
use crate::executions::Place;
use crate::machine::StateMachine;
use crate::refusal::Refusal;
use crate::states::StepFunctions;
use crate::summary::Summary;
use crate::{name, page};

/// What Step Functions takes as an input, in bytes.
const MAX_INPUT: usize = 262_144;

type Answer = Result<Value, Refusal>;

impl StepFunctions {
    /// Answers one call: an operation's name and its members.
    ///
    /// # Errors
    /// What AWS would refuse, under AWS' name; `UnknownOperationException` for an operation that is not supported here.
    pub fn call(self: &Arc<Self>, operation: &str, input: &Value) -> Answer {
        match operation {
            "StartExecution" => self.start_execution(input),
            "StopExecution" => self.stop(input),
            "DescribeExecution" => self.describe(input),
            "ListExecutions" => self.list_executions(input),
            "GetExecutionHistory" => self.history(input),
            "RedriveExecution" => self.redrive_execution(input),
            "DescribeStateMachine" => self.describe_machine(input),
            "DescribeStateMachineForExecution" => self.describe_machine_of(input),
            "ListStateMachines" => self.list_machines(input),
            _ => Err(Refusal::new("UnknownOperationException", format!("{operation} is not supported here"))),
        }
    }

    fn asked_machine(&self, input: &Value) -> Result<&Arc<StateMachine>, Refusal> {
        let arn = input["stateMachineArn"].as_str().unwrap_or_default();
        let none = || Refusal::new("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"));
        self.machine(arn).ok_or_else(none)
    }

    fn asked_execution(&self, input: &Value) -> Result<Arc<Entry>, Refusal> {
        let arn = input["executionArn"].as_str().unwrap_or_default();
        self.find(arn).ok_or_else(|| Refusal::no_execution(arn))
    }

    fn start_execution(self: &Arc<Self>, input: &Value) -> Answer {
        let machine = self.asked_machine(input)?;
        let name = input["name"].as_str().map_or_else(name::random, str::to_owned);
        let text = input["input"].as_str().unwrap_or("{}");
        if text.len() > MAX_INPUT {
            return Err(Refusal::new("ValidationException", "the input is longer than 262144 bytes"));
        }
        let value = serde_json::from_str(text).map_err(|error| {
            Refusal::new("InvalidExecutionInput", format!("Invalid State Machine Execution Input: '{error}'"))
        })?;
        let started = self.start(machine, &name, value)?.summary();
        Ok(json!({ "executionArn": started.arn, "startDate": timestamp(started.started) }))
    }

    fn stop(&self, input: &Value) -> Answer {
        let entry = self.asked_execution(input)?;
        let text = |name: &str| input[name].as_str().map(str::to_owned);
        if entry.status() == Status::Running {
            entry.send(Signal::Stop(Failure { error: text("error"), cause: text("cause") }));
        }
        Ok(json!({ "stopDate": timestamp(entry.summary().stopped.unwrap_or_else(|| self.now())) }))
    }

    fn redrive_execution(self: &Arc<Self>, input: &Value) -> Answer {
        let entry = self.asked_execution(input)?;
        let now = self.now();
        let token = input["clientToken"].as_str();
        if let Some(at) = token.and_then(|token| entry.redriven_by(token, now)) {
            return Ok(json!({ "redriveDate": timestamp(at) }));
        }
        self.redrive(&entry)?;
        if let Some(token) = token {
            entry.remember(token.to_owned(), now);
        }
        Ok(json!({ "redriveDate": timestamp(now) }))
    }

    fn list_executions(&self, input: &Value) -> Answer {
        let machine = self.asked_machine(input)?;
        if input.get("redriveFilter").is_some() {
            let message = "RedriveFilter cannot be applied to ListExecutions call with StateMachine ARN";
            return Err(Refusal::new("ValidationException", message));
        }
        let size = page::size(input)?;
        // The last one of the page before: whatever is started meanwhile, none comes twice.
        let start = page::start(input, place)?;
        let wanted = input["statusFilter"].as_str();
        let summaries = self.before(start.as_ref()).into_iter().filter_map(|entry| {
            let held = entry.held();
            let summary = &held.summary;
            let is_wanted =
                summary.machine_arn == machine.arn && wanted.is_none_or(|status| status == summary.status.name());
            is_wanted.then(|| summary.clone())
        });
        let mut page: Vec<Summary> = summaries.take(size + 1).collect();
        let is_last = page.len() <= size;
        page.truncate(size);
        let last = page.last().filter(|_| !is_last);
        let next = last.map(|last| format!("{} {}", last.started.to_rfc3339(), last.arn));
        Ok(page::answer("executions", page.iter().map(Summary::to_json).collect(), next))
    }

    fn history(&self, input: &Value) -> Answer {
        let entry = self.asked_execution(input)?;
        self.read(&entry, |execution| history(execution, input))?
    }

    fn describe(&self, input: &Value) -> Answer {
        let entry = self.asked_execution(input)?;
        self.read(&entry, describe)
    }

    fn list_machines(&self, input: &Value) -> Answer {
        let machines: Vec<Value> = self.machines().map(|machine| machine.summary()).collect();
        let start = page::start(input, |token| token.parse().ok())?.unwrap_or(0);
        let (page, next) = page::slice(&machines, start, page::size(input)?);
        Ok(page::answer("stateMachines", page.to_vec(), next.map(|next| next.to_string())))
    }

    fn describe_machine(&self, input: &Value) -> Answer {
        let machine = self.asked_machine(input)?;
        let mut answer = machine.summary();
        answer["status"] = json!("ACTIVE");
        answer["definition"] = json!(machine.definition.to_string());
        answer["roleArn"] = json!(machine.role_arn);
        Ok(answer)
    }
    fn describe_machine_of(&self, input: &Value) -> Answer {
        let entry = self.asked_execution(input)?;
        let started = self.started(&entry)?;
        Ok(json!({
            "stateMachineArn": started.identity.machine_arn,
            "name": started.identity.machine_name,
            "definition": started.definition.to_string(),
            "roleArn": started.identity.role_arn,
            // When it was deployed nobody wrote down; see `creationDate`.
            "updateDate": 0,
        }))
    }
}

/// Where a list of executions goes on, from a token.
fn place(token: &str) -> Option<Place> {
    let (started, arn) = token.split_once(' ')?;
    Some((DateTime::parse_from_rfc3339(started).ok()?.to_utc(), arn.into()))
}

fn describe(execution: &Execution) -> Value {
    let mut answer = Summary::of(execution).to_json();
    answer["input"] = json!(execution.input.to_string());
    answer["inputDetails"] = json!({ "included": true });
    if let Some(output) = &execution.output {
        answer["output"] = json!(output.to_string());
        answer["outputDetails"] = json!({ "included": true });
    }
    for (name, value) in [("error", &execution.failure.error), ("cause", &execution.failure.cause)] {
        if let Some(value) = value {
            answer[name] = json!(value);
        }
    }
    match execution.check_redrivable() {
        Ok(()) => answer["redriveStatus"] = json!("REDRIVABLE"),
        Err(reason) => {
            answer["redriveStatus"] = json!("NOT_REDRIVABLE");
            answer["redriveStatusReason"] = json!(reason.to_string());
        }
    }
    answer
}

fn history(execution: &Execution, input: &Value) -> Answer {
    let data = input["includeExecutionData"].as_bool().unwrap_or(true);
    let size = page::size(input)?;
    let token = page::start(input, |token| token.parse::<usize>().ok())?;
    let events = &execution.events;
    let to_json = |event: &Event| event.to_json(data);
    let (page, next) = if input["reverseOrder"].as_bool().unwrap_or(false) {
        // Where it ends is counted from the start: the history of what runs grows at its end.
        let end = token.unwrap_or(events.len()).min(events.len());
        let start = end.saturating_sub(size);
        (events[start..end].iter().rev().map(to_json).collect(), (start > 0).then_some(start))
    } else {
        let (page, next) = page::slice(events, token.unwrap_or(0), size);
        (page.iter().map(to_json).collect(), next)
    };
    Ok(page::answer("events", page, next.map(|next| next.to_string())))
}
