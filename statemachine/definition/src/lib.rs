//! The catalogue as a state machine, in Amazon States Language with JSONPath.
//!
//! ```text
//! Plan ─► Anything changed? ─► Extract ⇉ ─► Extracted? ─► Transform ⇉ ─► Transformed? ─► Load ─► Anything rejected? ─► Done
//!              └► Up to date        ▲  └ unfinished ┘                                                └► Alert ──────► Done
//! any failure ─► "<phase> failed" ─► Notify ─► Halt (held until redriven) ─► Go on ─► the phase that failed
//! ```
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
use catalog::deployment::Verb;
use catalog::fault::{Retry, TRANSIENT};
use catalog::message::Phase;
use catalog::{Catalog, Deployment, Fault, Function, Ident, ledger};
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
        "StartAt": "Plan",
        "TimeoutSeconds": catalog.pipeline.timeout.as_secs(),
        "States": {
            "Plan": builder.plan(),
            "Plan failed": builder.single_failure(Phase::Plan, "plan"),
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
            "Load failed": builder.single_failure(Phase::Load, "load"),
            "Anything rejected?": json!({
                "Type": "Choice",
                "Choices": [{ "Variable": "$.load.rejected", "NumericGreaterThan": 0, "Next": "Alert" }],
                "Default": "Done",
            }),
            "Alert": builder.alert(),
            "Done": json!({ "Type": "Succeed" }),
            "Notify": builder.notify(),
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
        Phase::Plan => ("Plan", "plan", "Anything changed?"),
        Phase::Extract => ("Extract", "extract", "Extracted?"),
        Phase::Transform => ("Transform", "transform", "Transformed?"),
        Phase::Load => ("Load", "load", "Anything rejected?"),
    }
}

impl Builder<'_> {
    fn plan(&self) -> Value {
        let payload = json!({
            "state_machine.$": "$$.StateMachine.Id",
            "execution.$": "$$.Execution.Id",
            "batch": { "name.$": "$$.Execution.Name", "started.$": "$$.Execution.StartTime" },
            "input.$": "$$.Execution.Input",
        });
        let mut state = self.task(Function::Plan, &payload);
        state["ResultSelector"] = json!({ "plan.$": "$.Payload" });
        state["Catch"] = catch_all("Plan failed");
        state["Next"] = json!("Anything changed?");
        state
    }

    fn extract(&self) -> Value {
        let branches = self.catalog.source.tables.iter().map(|table| {
            let payload = json!({
                "batch.$": "$.plan.batch",
                "table": table.name,
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
                "horizon.$": "$.plan.horizon",
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
            "horizon.$": "$.plan.horizon",
            "base.$": "$.plan.base",
            "targets.$": "$.plan.targets",
            "next.$": "$.plan.next",
        });
        let mut state = self.task(Function::Load, &payload);
        state["ResultSelector"] = json!({
            "status.$": "$.Payload.status",
            "targets.$": "$.Payload.targets",
            "rejected.$": "$.Payload.rejected",
            "committed_at.$": "$.Payload.committed_at",
            "freshness_ms.$": "$.Payload.freshness_ms",
        });
        state["ResultPath"] = json!("$.load");
        state["Catch"] = catch_all("Load failed");
        state["Next"] = json!("Anything rejected?");
        state
    }

    /// One branch: the function, and a Pass that reports its failure instead of ending its siblings.
    fn branch(&self, phase: Phase, subject: &Ident, function: Function<'_>, payload: &Value) -> Value {
        let (state_name, _, _) = words(phase);
        let (work, failed) = (format!("{state_name} {subject}"), format!("{state_name} {subject} failed"));
        let mut task = self.task(function, payload);
        task["OutputPath"] = json!("$.Payload");
        task["Catch"] = catch_all(&failed);
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
            "Next": "Notify",
        })
    }

    fn single_failure(&self, phase: Phase, subject: &str) -> Value {
        let (state_name, _, _) = words(phase);
        json!({
            "Type": "Pass",
            "Parameters": {
                "phase": state_name,
                "noted.$": "$$.Execution.RedriveCount",
                "failures": [{ "subject": subject, "error.$": "$.fault.Error", "cause.$": "$.fault.Cause" }],
            },
            "ResultPath": "$.failure",
            "Next": "Notify",
        })
    }

    fn notify(&self) -> Value {
        let name = self.deployment.prefix();
        let redrive = literal(&self.deployment.command(Verb::Redrive, RUN)).replace(RUN, "{}");
        let message = format!(
            "States.Format('{name}: {{}} failed.\n\n\
             Failures:\n{{}}\n\n\
             Execution:\n{{}}\n\n\
             Repair what they name, then redrive the execution; what is finished is not done again:\n\
             {redrive}\n\
             aws stepfunctions redrive-execution --execution-arn {{}}\n', \
             $.failure.phase, States.JsonToString($.failure.failures), $$.Execution.Id, $$.Execution.Name, $$.Execution.Id)"
        );
        let subject = format!("States.Format('{name}: {{}} failed', $.failure.phase)");
        // A notice that cannot be sent must not hide the failure it tells of.
        let mut state = self.publish(&subject, &message);
        state["Catch"] = json!([{ "ErrorEquals": ["States.ALL"], "ResultPath": "$.notice", "Next": "Halt" }]);
        state["Next"] = json!("Halt");
        state
    }

    fn alert(&self) -> Value {
        let name = self.deployment.prefix();
        let query = literal(&ledger::rejects_of(&self.catalog.pipeline.name));
        let message = format!(
            "States.Format('{name}: {{}} rows were rejected by batch {{}}.\n\n\
             The others are loaded. Each rejected row is in the warehouse with its reason:\n\
             {query};\n', \
             $.load.rejected, $$.Execution.Name)"
        );
        let subject = format!("States.Format('{name}: {{}} rows were rejected', $.load.rejected)");
        let mut state = self.publish(&subject, &message);
        // The batch is loaded; the rows stay in the reject table whether or not this arrives.
        state["Catch"] = json!([{ "ErrorEquals": ["States.ALL"], "ResultPath": "$.notice", "Next": "Done" }]);
        state["Next"] = json!("Done");
        state
    }

    fn publish(&self, subject: &str, message: &str) -> Value {
        json!({
            "Type": "Task",
            "Resource": Resource::SNS_PUBLISH,
            "Parameters": { "TopicArn": self.names.topic, "Subject.$": subject, "Message.$": message },
            "ResultSelector": { "message_id.$": "$.MessageId" },
            "ResultPath": "$.notice",
            "TimeoutSeconds": 30,
            "Retry": [retrier(&["States.TaskFailed"], TRANSIENT)],
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
            "Default": "Plan",
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

fn catch_all(next: &str) -> Value {
    json!([{ "ErrorEquals": ["States.ALL"], "ResultPath": "$.fault", "Next": next }])
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

/// Stands for a run's name until `States.Format` puts it in.
const RUN: &str = "RUN";

/// Text inside of the single quotes of an intrinsic function.
fn literal(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        if matches!(c, '\\' | '\'' | '{' | '}') {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
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
