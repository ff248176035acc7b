//! The catalogue as a state machine, in Amazon States Language with JSONPath.
//!
//! ```text
//! Checkpoint ─► Plan ─► Anything changed? ─► Extract ⇉ ─► Extracted? ─► Transform ⇉ ─► Transformed? ─► Load ─► Anything rejected? ─► Done
//!              └► Up to date        ▲  └ unfinished ┘                                                └► Tell of rejects ─► Alert ─► Done
//! any failure ─► "<phase> failed" ─► Tell failure ─► Notify ─► Halt (held until redriven) ─► Go on ─► the phase that failed
//! ```
//!
//! Alerts are written by the function `halt`; where that fails, a short text is sent instead. No intrinsic function holds
//! a quote that is escaped: engines differ in how they read one.
//!
//! Only features that were recorded on AWS are used, so that what ran here is what runs there. A path that might be
//! missing is never read: a `States.Runtime` error passes every Catch.
//!
//! ```
//! use std::sync::Arc;
//!
//! use catalog::{Catalog, Deployment};
//!
//! let text = "
//!     [pipeline]
//!     name = 'shop'
//!     [source.tables.staff]
//!     key = 'id'
//!     capture = 'snapshot'
//!     columns = { id = 'integer', name = 'text' }
//!     [dimensions.dim_staff]
//!     from = 'staff'
//!     columns = { id = 'id', name = 'name' }
//! ";
//! let catalog = Catalog::parse("pipeline.toml", text).expect("a catalogue");
//! let deployment = Deployment::on_laptop(Arc::new(catalog));
//! let definition = definition::on_laptop(&deployment, "arn:aws:sns:eu-west-2:000000000000:shop-alerts".to_owned());
//! assert_eq!(definition["States"]["Extract"]["Branches"][0]["StartAt"], "Extract staff");
//! ```

use asl::Resource;
use catalog::fault::{Retry, TRANSIENT};
use catalog::ledger::{self, LedgerTable};
use catalog::message::Phase;
use catalog::{Catalog, Deployment, Fault, Function, Ident};
use serde_json::{Value, json};

/// Lambda's own words for a moment's trouble (AWS' best practice for Lambda tasks).
const LAMBDA_TRANSIENT: [&str; 5] = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
];
/// A process that died. It may have died of its input, so it is tried less often.
const LAMBDA_CRASH: [&str; 2] = ["Lambda.Unknown", "Runtime.ExitError"];
const CRASH: Retry = Retry { max_attempts: 2, ..TRANSIENT };
/// Beyond the function's own timeout, so that Lambda reports it and not the state.
const TASK_MARGIN_SECONDS: u32 = 60;

/// What the things outside of the definition are called where it runs.
pub struct Names<'n> {
    /// Name or ARN of a function.
    pub function: &'n dyn Fn(Function<'_>) -> String,
    /// ARN of the topic that alerts go to.
    pub topic: String,
}

/// The definition with the names that functions and topic have on a laptop; this is the one that is committed.
#[must_use]
pub fn on_laptop(deployment: &Deployment, topic: String) -> Value {
    definition(deployment, &Names { function: &|function| deployment.function(function), topic })
}

/// The definition of a deployment's pipeline.
#[must_use]
pub fn definition(deployment: &Deployment, names: &Names<'_>) -> Value {
    let catalog = &*deployment.catalog;
    let builder = Builder { deployment, catalog, names };
    json!({
        "Comment": format!("{}: source → CSV → Parquet → warehouse. Generated from pipeline.toml.", catalog.pipeline.name),
        "StartAt": "Checkpoint",
        "TimeoutSeconds": catalog.pipeline.timeout.as_secs(),
        "States": {
            "Checkpoint": builder.checkpoint(),
            "Checkpoint failed": builder.single_failure(Phase::Checkpoint, "checkpoint", WHOLE),
            "Anything noticed?": json!({
                "Type": "Choice",
                "Choices": [{ "Variable": "$.checkpoint.noticed", "BooleanEquals": true, "Next": "Tell of notices" }],
                "Default": "Plan",
            }),
            "Tell of notices": builder.tell_of(Phase::Checkpoint, "Notices in short", "Warn"),
            "Notices in short": builder.found_in_short(Phase::Checkpoint, "Warn"),
            "Warn": builder.publish("Plan"),
            "Plan": builder.plan(),
            "Plan failed": builder.single_failure(Phase::Plan, "plan", FAULT),
            "Anything changed?": json!({
                "Type": "Choice",
                "Choices": [
                    { "Variable": "$.plan.status", "StringEquals": "up_to_date", "Next": "Up to date" },
                    { "Variable": "$.plan.status", "StringEquals": "already_running", "Next": "Already running" },
                ],
                "Default": "Extract",
            }),
            "Up to date": json!({ "Type": "Succeed" }),
            "Already running": json!({ "Type": "Succeed" }),
            "Extract": builder.extract(),
            "Extracted?": builder.after_parallel(Phase::Extract, "Transform"),
            "Extract failed": builder.parallel_failure(Phase::Extract),
            "Transform": builder.transform(),
            "Transformed?": builder.after_parallel(Phase::Transform, "Load"),
            "Transform failed": builder.parallel_failure(Phase::Transform),
            "Load": builder.load(),
            "Load failed": builder.single_failure(Phase::Load, "load", FAULT),
            "Anything rejected?": json!({
                "Type": "Choice",
                "Choices": [
                    { "Variable": "$.load.rejected", "NumericGreaterThan": 0, "Next": "Tell of rejects" },
                    { "Variable": "$.load.noticed", "BooleanEquals": true, "Next": "Tell of findings" },
                ],
                "Default": "Done",
            }),
            "Tell of rejects": builder.tell_of_rejects(),
            "Rejects in short": builder.rejects_in_short(),
            // The batch is loaded; the rows stay in the reject table whether or not this arrives.
            "Alert": builder.publish("Anything found?"),
            "Anything found?": json!({
                "Type": "Choice",
                "Choices": [{ "Variable": "$.load.noticed", "BooleanEquals": true, "Next": "Tell of findings" }],
                "Default": "Done",
            }),
            "Tell of findings": builder.tell_of(Phase::Load, "Findings in short", "Report"),
            "Findings in short": builder.found_in_short(Phase::Load, "Report"),
            "Report": builder.publish("Done"),
            "Done": json!({ "Type": "Succeed" }),
            "Tell failure": builder.tell_failure(),
            "Failure in short": builder.failure_in_short(),
            // A notice that cannot be sent must not hide the failure it tells of.
            "Notify": builder.publish("Halt"),
            "Halt": builder.halt(),
            "Go on": builder.go_on(),
        },
    })
}

struct Builder<'b> {
    deployment: &'b Deployment,
    catalog: &'b Catalog,
    names: &'b Names<'b>,
}

/// The phase as the definition spells it: state name, path, and the question asked after it.
fn words(phase: Phase) -> (&'static str, &'static str, &'static str) {
    match phase {
        Phase::Checkpoint => ("Checkpoint", "checkpoint", "Anything noticed?"),
        Phase::Plan => ("Plan", "plan", "Anything changed?"),
        Phase::Extract => ("Extract", "extract", "Extracted?"),
        Phase::Transform => ("Transform", "transform", "Transformed?"),
        Phase::Load => ("Load", "load", "Anything rejected?"),
    }
}

impl Builder<'_> {
    fn checkpoint(&self) -> Value {
        let payload = json!({
            "batch": { "name.$": "$$.Execution.Name", "started.$": "$$.Execution.StartTime" },
            "catalogue": self.catalog.fingerprint_of_all(),
            "input.$": "$$.Execution.Input",
        });
        let mut state = self.task(Function::Checkpoint, &payload);
        state["ResultSelector"] = json!({ "checkpoint.$": "$.Payload" });
        state["Catch"] = catch_all("Checkpoint failed", WHOLE);
        state["Next"] = json!("Anything noticed?");
        state
    }

    fn plan(&self) -> Value {
        let payload = json!({
            "state_machine.$": "$$.StateMachine.Id",
            "execution.$": "$$.Execution.Id",
            "batch": { "name.$": "$$.Execution.Name", "started.$": "$$.Execution.StartTime" },
            "catalogue": self.catalog.fingerprint_of_all(),
            "checkpoint.$": "$.checkpoint",
            "input.$": "$$.Execution.Input",
        });
        let mut state = self.task(Function::Plan, &payload);
        state["ResultSelector"] =
            members(&["status", "reason", "batch", "source", "base", "tables", "targets", "next"]);
        state["ResultPath"] = json!("$.plan");
        state["Catch"] = catch_all("Plan failed", FAULT);
        state["Next"] = json!("Anything changed?");
        state
    }

    fn extract(&self) -> Value {
        let branches = self.catalog.source.tables.iter().map(|table| {
            let payload = json!({
                "batch.$": "$.plan.batch",
                "table": table.name,
                "source.$": "$.plan.source",
                "plan.$": member("$.plan.tables", &table.name),
            });
            self.branch(Phase::Extract, &table.name, Function::Extract(table), &payload)
        });
        parallel(Phase::Extract, branches.collect())
    }

    fn transform(&self) -> Value {
        let branches = self.catalog.warehouse.targets.iter().map(|target| {
            let payload = json!({
                "batch.$": "$.plan.batch",
                "target": target.name,
                "plan.$": member("$.plan.targets", &target.name),
            });
            self.branch(Phase::Transform, &target.name, Function::Transform(target), &payload)
        });
        parallel(Phase::Transform, branches.collect())
    }

    fn load(&self) -> Value {
        let payload = json!({
            "batch.$": "$.plan.batch",
            "base.$": "$.plan.base",
            "targets.$": "$.plan.targets",
            "extracted.$": "$.extract.results",
            "next.$": "$.plan.next",
        });
        let mut state = self.task(Function::Load, &payload);
        state["ResultSelector"] =
            members(&["status", "targets", "rejected", "waiting", "alerts", "noticed", "committed_at", "freshness_ms"]);
        state["ResultPath"] = json!("$.load");
        state["Catch"] = catch_all("Load failed", FAULT);
        state["Next"] = json!("Anything rejected?");
        state
    }

    /// One branch: the function, and a Pass that reports its failure instead of ending its siblings.
    fn branch(&self, phase: Phase, subject: &Ident, function: Function<'_>, payload: &Value) -> Value {
        let (state_name, _, _) = words(phase);
        let (work, failed) = (format!("{state_name} {subject}"), format!("{state_name} {subject} failed"));
        let mut task = self.task(function, payload);
        task["OutputPath"] = json!("$.Payload");
        task["Catch"] = catch_all(&failed, FAULT);
        task["End"] = json!(true);
        let report = json!({
            "Type": "Pass",
            "Parameters": { "subject": subject, "status": "failed", "error.$": "$.fault.Error", "cause.$": "$.fault.Cause" },
            "End": true,
        });
        json!({ "StartAt": work, "States": { work: task, failed: report } })
    }

    fn after_parallel(&self, phase: Phase, next: &str) -> Value {
        let (state_name, path, _) = words(phase);
        json!({
            "Type": "Choice",
            "Choices": [
                { "Variable": format!("$.{path}.failed"), "BooleanEquals": true, "Next": format!("{state_name} failed") },
                { "Variable": format!("$.{path}.unfinished"), "BooleanEquals": true, "Next": state_name },
            ],
            "Default": next,
        })
    }

    fn parallel_failure(&self, phase: Phase) -> Value {
        let (state_name, path, _) = words(phase);
        json!({
            "Type": "Pass",
            "Parameters": {
                "phase": state_name,
                "noted.$": "$$.Execution.RedriveCount",
                "failures.$": format!("$.{path}.results[?(@.status == 'failed')]"),
            },
            "ResultPath": "$.failure",
            "Next": "Tell failure",
        })
    }

    /// `fault` is where the Catch put what it caught.
    fn single_failure(&self, phase: Phase, subject: &str, fault: &str) -> Value {
        let (state_name, _, _) = words(phase);
        let (error, cause) = (format!("{fault}.Error"), format!("{fault}.Cause"));
        json!({
            "Type": "Pass",
            "Parameters": {
                "phase": state_name,
                "noted.$": "$$.Execution.RedriveCount",
                "failures": [{ "subject": subject, "error.$": error, "cause.$": cause }],
            },
            "ResultPath": "$.failure",
            "Next": "Tell failure",
        })
    }

    fn tell_failure(&self) -> Value {
        let news = json!({ "failed": { "phase.$": "$.failure.phase", "failures.$": "$.failure.failures" } });
        self.tell(&news, "Failure in short", "Notify")
    }

    /// What is sent when the alert cannot be written: Lambda itself may be what failed.
    fn failure_in_short(&self) -> Value {
        let name = self.deployment.prefix();
        let subject = format!("States.Format('{name}: {{}} failed', $.failure.phase)");
        let message = format!(
            "States.Format('{name}: {{}} failed in the run {{}}, which is held.\n\n\
             First to fail: {{}}, with {{}}. What failed is listed at the state Halt of the execution. Repair it, then redrive the run.\n\n\
             Execution: {{}}\n', \
             $.failure.phase, $$.Execution.Name, $.failure.failures[0].subject, $.failure.failures[0].error, $$.Execution.Id)"
        );
        in_short(&subject, &message, "Notify")
    }

    /// Of what a phase that did its work found.
    fn tell_of(&self, phase: Phase, short: &str, next: &str) -> Value {
        let (_, path, _) = words(phase);
        self.tell(&json!({ "noticed": { "sentences.$": format!("$.{path}.alerts") } }), short, next)
    }

    fn found_in_short(&self, phase: Phase, next: &str) -> Value {
        let (name, (state_name, _, _)) = (self.deployment.prefix(), words(phase));
        let message = format!(
            "States.Format('{name}: the run {{}} found something that somebody should look at, and goes on. It is listed in the \
             answer of the state {state_name}.\n\nExecution: {{}}\n', $$.Execution.Name, $$.Execution.Id)"
        );
        in_short(&format!("States.Format('{name}: {{}} should be looked at', $$.Execution.Name)"), &message, next)
    }

    fn tell_of_rejects(&self) -> Value {
        let query = ledger::rejects_of(self.catalog);
        let news = json!({ "rejected": { "rows.$": "$.load.rejected", "query": query } });
        self.tell(&news, "Rejects in short", "Alert")
    }

    fn rejects_in_short(&self) -> Value {
        let name = self.deployment.prefix();
        let subject = format!("States.Format('{name}: {{}} rows were rejected', $.load.rejected)");
        let message = format!(
            "States.Format('{name}: {{}} rows were rejected by the run {{}}; everything else is loaded.\n\n\
             The table {} of the warehouse keeps each of them with the reason.\n\nExecution: {{}}\n', \
             $.load.rejected, $$.Execution.Name, $$.Execution.Id)",
            LedgerTable::Reject.shown(&self.catalog.warehouse)
        );
        in_short(&subject, &message, "Alert")
    }

    /// Lets `halt` write an alert of these news (of `catalog::alert::News`) into `$.told`, for [`Builder::publish`];
    /// `short` is the Pass that does it when `halt` cannot.
    fn tell(&self, news: &Value, short: &str, next: &str) -> Value {
        let payload = json!({
            "tell": news,
            "deployment": self.deployment.prefix(),
            "run.$": "$$.Execution.Name",
            "execution.$": "$$.Execution.Id",
            "commands": self.deployment.commands(),
        });
        let mut state = self.task(Function::Halt, &payload);
        state["ResultSelector"] = json!({ "subject.$": "$.Payload.subject", "message.$": "$.Payload.message" });
        state["ResultPath"] = json!("$.told");
        state["Catch"] = catch_all(short, "$.untold");
        state["Next"] = json!(next);
        state
    }

    /// Sends `$.told`, and goes on whether or not that succeeds.
    fn publish(&self, next: &str) -> Value {
        json!({
            "Type": "Task",
            "Resource": Resource::SNS_PUBLISH,
            "Parameters": { "TopicArn": self.names.topic, "Subject.$": "$.told.subject", "Message.$": "$.told.message" },
            "ResultSelector": { "message_id.$": "$.MessageId" },
            "ResultPath": "$.notice",
            "TimeoutSeconds": 30,
            "Retry": [retrier(&["States.TaskFailed"], TRANSIENT)],
            "Catch": catch_all(next, "$.notice"),
            "Next": next,
        })
    }

    fn halt(&self) -> Value {
        let payload = json!({
            "phase.$": "$.failure.phase",
            "noted.$": "$.failure.noted",
            "now.$": "$$.Execution.RedriveCount",
            "failures.$": "$.failure.failures",
        });
        let mut state = self.task(Function::Halt, &payload);
        state["ResultPath"] = Value::Null;
        state["Next"] = json!("Go on");
        state
    }

    fn go_on(&self) -> Value {
        let to =
            |phase| json!({ "Variable": "$.failure.phase", "StringEquals": words(phase).0, "Next": words(phase).0 });
        json!({
            "Type": "Choice",
            "Choices": [to(Phase::Extract), to(Phase::Transform), to(Phase::Load)],
            // What a plan was made from may be old by the time that somebody repairs what it failed of.
            "Default": "Checkpoint",
        })
    }

    fn task(&self, function: Function<'_>, payload: &Value) -> Value {
        let timeout = self.catalog.sizing(function).timeout_seconds + TASK_MARGIN_SECONDS;
        json!({
            "Type": "Task",
            "Resource": Resource::LAMBDA_INVOKE,
            "Parameters": { "FunctionName": (self.names.function)(function), "Payload": payload },
            "TimeoutSeconds": timeout,
            "Retry": retriers(),
        })
    }
}

/// The Retry block, from the fault table: transient names only, one retrier for each way to retry.
fn retriers() -> Value {
    let mut groups: Vec<(Retry, Vec<&str>)> = vec![(TRANSIENT, LAMBDA_TRANSIENT.to_vec())];
    for fault in Fault::ALL {
        let Some(retry) = fault.retry() else { continue };
        match groups.iter_mut().find(|(known, _)| *known == retry) {
            Some((_, names)) => names.push(fault.name()),
            None => groups.push((retry, vec![fault.name()])),
        }
    }
    groups.push((CRASH, LAMBDA_CRASH.to_vec()));
    groups.iter().map(|(retry, names)| retrier(names, *retry)).collect()
}

fn retrier(names: &[&str], retry: Retry) -> Value {
    json!({
        "ErrorEquals": names,
        "IntervalSeconds": retry.interval_seconds,
        "BackoffRate": 2,
        "MaxAttempts": retry.max_attempts,
        "MaxDelaySeconds": retry.max_delay_seconds,
        // All tables of a database that went away come back at once otherwise.
        "JitterStrategy": "FULL",
    })
}

/// Where a Catch puts what it caught, beside what the state was given.
const FAULT: &str = "$.fault";
/// Where the Catch of a state puts it that is given an execution's input: that may be no object, which nothing can be put
/// into, and a ResultPath that does not fit passes every Catch.
const WHOLE: &str = "$";

fn catch_all(next: &str, result_path: &str) -> Value {
    json!([{ "ErrorEquals": ["States.ALL"], "ResultPath": result_path, "Next": next }])
}

/// A Pass that makes an alert of what the state machine can say by itself.
fn in_short(subject: &str, message: &str, next: &str) -> Value {
    json!({
        "Type": "Pass",
        "Parameters": { "subject.$": subject, "message.$": message },
        "ResultPath": "$.told",
        "Next": next,
    })
}

/// Members of a function's answer, each by its name.
fn members(names: &[&str]) -> Value {
    let member = |name: &&str| (format!("{name}.$"), json!(format!("$.Payload.{name}")));
    Value::Object(names.iter().map(member).collect())
}

fn parallel(phase: Phase, branches: Vec<Value>) -> Value {
    let (_, path, question) = words(phase);
    json!({
        "Type": "Parallel",
        "Branches": branches,
        "ResultSelector": {
            "results.$": "$",
            "failed.$": "States.ArrayContains($[*].status, 'failed')",
            "unfinished.$": "States.ArrayContains($[*].status, 'unfinished')",
        },
        "ResultPath": format!("$.{path}"),
        "Next": question,
    })
}

/// The path of a member, in brackets where its name is no plain word.
fn member(path: &str, name: &Ident) -> String {
    let name = name.as_str();
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
    {
        format!("{path}.{name}")
    } else {
        format!("{path}['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
    }
}
