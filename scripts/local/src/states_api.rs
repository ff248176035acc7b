//! The Step Functions API (JSON 1.0): what the pipeline and its operator call.

use std::sync::Arc;

use asl::{Execution, Failure, Signal, Status, timestamp};
use catalog::{BatchName, Deployment};
use serde_json::{Value, json};

use crate::clock;
use crate::credentials::{OPERATOR, password};
use crate::engine::{Engine, Entry, NotStarted};
use crate::gateway::Refusal;

/// What Step Functions takes as an input, in bytes.
const MAX_INPUT: usize = 262_144;

pub(crate) struct StatesApi {
    engine: Arc<Engine>,
    /// The functions that may ask which executions run.
    listers: Vec<String>,
}

type Answer = Result<Value, Refusal>;

impl StatesApi {
    pub(crate) fn new(engine: Arc<Engine>, deployment: &Deployment) -> Self {
        let catalog = &deployment.catalog;
        let listers = catalog.all_functions().filter(|function| catalog.access(*function).executions);
        let listers = listers.map(|function| deployment.function(function)).collect();
        Self { engine, listers }
    }

    pub(crate) fn call(&self, operation: &str, identity: &str, input: &Value) -> Answer {
        let may_list = operation == "ListExecutions" && self.listers.iter().any(|lister| lister == identity);
        if identity != OPERATOR && !may_list {
            return Err(Refusal::denied(identity, &format!("states:{operation}")));
        }
        match operation {
            "StartExecution" => self.start(input),
            "StopExecution" => self.stop(input),
            "DescribeExecution" => self.describe(input),
            "ListExecutions" => self.list(input),
            "GetExecutionHistory" => self.history(input),
            "RedriveExecution" => self.redrive(input),
            "DescribeStateMachine" => self.describe_machine(input),
            "ListStateMachines" => Ok(json!({ "stateMachines": [self.machine()] })),
            _ => Err(Refusal::new("UnknownOperationException", format!("{operation} is not supported here"))),
        }
    }

    fn machine(&self) -> Value {
        json!({
            "stateMachineArn": self.engine.machine_arn, "name": self.engine.machine_name, "type": "STANDARD",
            "creationDate": 0,
        })
    }

    fn check_machine(&self, input: &Value) -> Result<(), Refusal> {
        let arn = input["stateMachineArn"].as_str().unwrap_or_default();
        if arn == self.engine.machine_arn {
            return Ok(());
        }
        Err(Refusal::new("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'")))
    }

    fn entry(&self, input: &Value) -> Result<Arc<Entry>, Refusal> {
        let arn = input["executionArn"].as_str().unwrap_or_default();
        let name = arn.rsplit(':').next().unwrap_or_default();
        let found = self.engine.find(name).filter(|_| arn == self.engine.execution_arn(name));
        found.ok_or_else(|| Refusal::new("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'")))
    }

    fn start(&self, input: &Value) -> Answer {
        self.check_machine(input)?;
        let name = match input["name"].as_str() {
            Some(name) => name.to_owned(),
            None => password().map_err(|error| Refusal::new("ServiceException", error.to_string()))?,
        };
        if let Err(error) = BatchName::new(name.as_str()) {
            return Err(Refusal::new("InvalidName", format!("Invalid Name: {error}")));
        }
        let text = input["input"].as_str().unwrap_or("{}");
        if text.len() > MAX_INPUT {
            return Err(Refusal::new("ValidationException", "the input is longer than 262144 bytes"));
        }
        let value = serde_json::from_str(text).map_err(|error| {
            Refusal::new("InvalidExecutionInput", format!("Invalid State Machine Execution Input: '{error}'"))
        })?;
        match self.engine.start(&name, value) {
            Ok(entry) => {
                let execution = entry.read();
                Ok(json!({ "executionArn": execution.identity.arn, "startDate": timestamp(execution.started) }))
            }
            Err(NotStarted::Exists(arn)) => {
                Err(Refusal::new("ExecutionAlreadyExists", format!("Execution Already Exists: '{arn}'")))
            }
            Err(NotStarted::Other(error)) => Err(Refusal::new("ServiceException", format!("{error:#}"))),
        }
    }

    fn stop(&self, input: &Value) -> Answer {
        let entry = self.entry(input)?;
        let text = |name: &str| input[name].as_str().map(str::to_owned);
        if entry.read().status == Status::Running {
            entry.send(Signal::Stop(Failure { error: text("error"), cause: text("cause") }));
        }
        Ok(json!({ "stopDate": timestamp(entry.read().stopped.unwrap_or_else(clock::now)) }))
    }

    fn redrive(&self, input: &Value) -> Answer {
        let entry = self.entry(input)?;
        let now = clock::now();
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
        let entry = self.entry(input)?;
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

    fn list(&self, input: &Value) -> Answer {
        self.check_machine(input)?;
        if input.get("redriveFilter").is_some() {
            let message = "RedriveFilter cannot be applied to ListExecutions call with StateMachine ARN";
            return Err(Refusal::new("ValidationException", message));
        }
        let wanted = input["statusFilter"].as_str();
        let all = self.engine.executions().into_iter().filter_map(|entry| {
            let execution = entry.read();
            wanted.is_none_or(|status| status == execution.status.name()).then(|| summary(&execution))
        });
        let (page, next) = page(all.collect(), input)?;
        Ok(with_next(json!({ "executions": page }), next))
    }

    fn history(&self, input: &Value) -> Answer {
        let entry = self.entry(input)?;
        let data = input["includeExecutionData"].as_bool().unwrap_or(true);
        let mut events: Vec<Value> = entry.read().events.iter().map(|event| event.to_json(data)).collect();
        if input["reverseOrder"].as_bool().unwrap_or(false) {
            events.reverse();
        }
        let (page, next) = page(events, input)?;
        Ok(with_next(json!({ "events": page }), next))
    }

    fn describe_machine(&self, input: &Value) -> Answer {
        self.check_machine(input)?;
        let mut answer = self.machine();
        answer["status"] = json!("ACTIVE");
        answer["definition"] = json!(self.engine.definition.to_string());
        answer["roleArn"] = json!(self.engine.role_arn());
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

/// One page of a list: 100 items or what is asked for, up to 1,000. The token is where the next page starts.
fn page(items: Vec<Value>, input: &Value) -> Result<(Vec<Value>, Option<String>), Refusal> {
    let size = match input["maxResults"].as_u64() {
        None | Some(0) => 100,
        Some(size @ 1..=1_000) => usize::try_from(size).unwrap_or(1_000),
        Some(_) => return Err(Refusal::new("ValidationException", "maxResults must be at most 1000")),
    };
    let start = match input["nextToken"].as_str() {
        None => 0,
        Some(token) => token.parse().map_err(|_| Refusal::new("InvalidToken", format!("Invalid Token: '{token}'")))?,
    };
    let next = (start + size < items.len()).then(|| (start + size).to_string());
    Ok((items.into_iter().skip(start).take(size).collect(), next))
}

fn with_next(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["nextToken"] = json!(next);
    }
    answer
}
