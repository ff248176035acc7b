//! The API's operations: JSON in, JSON out, as the AWS JSON protocol carries them.

use std::sync::Arc;

use asl::{Execution, Failure, Signal, Status, timestamp};
use serde_json::{Value, json};

use crate::entry::Entry;
use crate::machine::StateMachine;
use crate::refusal::Refusal;
use crate::states::StepFunctions;
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
            "RedriveExecution" => self.redrive(input),
            "DescribeStateMachine" => self.describe_machine(input),
            "ListStateMachines" => {
                page::answer("stateMachines", self.machines().map(|machine| machine.summary()).collect(), input)
            }
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
        let none = || Refusal::new("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"));
        self.find(arn).ok_or_else(none)
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
        let entry = self.start(machine, &name, value)?;
        let execution = entry.read();
        Ok(json!({ "executionArn": execution.identity.arn, "startDate": timestamp(execution.started) }))
    }

    fn stop(&self, input: &Value) -> Answer {
        let entry = self.asked_execution(input)?;
        let text = |name: &str| input[name].as_str().map(str::to_owned);
        if entry.read().status == Status::Running {
            entry.send(Signal::Stop(Failure { error: text("error"), cause: text("cause") }));
        }
        Ok(json!({ "stopDate": timestamp(entry.read().stopped.unwrap_or_else(|| self.now())) }))
    }

    fn redrive(&self, input: &Value) -> Answer {
        let entry = self.asked_execution(input)?;
        let now = self.now();
        let token = input["clientToken"].as_str();
        if let Some(at) = token.and_then(|token| entry.redriven_by(token, now)) {
            return Ok(json!({ "redriveDate": timestamp(at) }));
        }
        let checked = entry.read().check_redrivable();
        checked.map_err(|reason| {
            let arn = input["executionArn"].as_str().unwrap_or_default();
            Refusal::new("ExecutionNotRedrivable", format!("Execution {arn} invalid for redrive as: {reason}"))
        })?;
        entry.send(Signal::Redrive);
        if let Some(token) = token {
            entry.remember(token.to_owned(), now);
        }
        Ok(json!({ "redriveDate": timestamp(now) }))
    }

    fn describe(&self, input: &Value) -> Answer {
        let entry = self.asked_execution(input)?;
        let execution = entry.read();
        let mut answer = summary(&execution);
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
        Ok(answer)
    }

    fn list_executions(&self, input: &Value) -> Answer {
        let machine = self.asked_machine(input)?;
        if input.get("redriveFilter").is_some() {
            let message = "RedriveFilter cannot be applied to ListExecutions call with StateMachine ARN";
            return Err(Refusal::new("ValidationException", message));
        }
        let wanted = input["statusFilter"].as_str();
        let all = self.executions().into_iter().filter_map(|entry| {
            let execution = entry.read();
            let is_wanted = execution.identity.machine_arn == machine.arn
                && wanted.is_none_or(|status| status == execution.status.name());
            is_wanted.then(|| summary(&execution))
        });
        page::answer("executions", all.collect(), input)
    }

    fn history(&self, input: &Value) -> Answer {
        let entry = self.asked_execution(input)?;
        let data = input["includeExecutionData"].as_bool().unwrap_or(true);
        let mut events: Vec<Value> = entry.read().events.iter().map(|event| event.to_json(data)).collect();
        if input["reverseOrder"].as_bool().unwrap_or(false) {
            events.reverse();
        }
        page::answer("events", events, input)
    }

    fn describe_machine(&self, input: &Value) -> Answer {
        let machine = self.asked_machine(input)?;
        let mut answer = machine.summary();
        answer["status"] = json!("ACTIVE");
        answer["definition"] = json!(machine.definition.to_string());
        answer["roleArn"] = json!(machine.role_arn);
        Ok(answer)
    }
}

fn summary(execution: &Execution) -> Value {
    let mut summary = json!({
        "executionArn": execution.identity.arn,
        "stateMachineArn": execution.identity.machine_arn,
        "name": execution.identity.name,
        "status": execution.status.name(),
        "startDate": timestamp(execution.started),
        "redriveCount": execution.redrives,
    });
    for (name, at) in [("stopDate", execution.stopped), ("redriveDate", execution.redriven)] {
        if let Some(at) = at {
            summary[name] = timestamp(at);
        }
    }
    summary
}
