//! The state machine, what starts it, and what tells of the ends that it cannot tell of itself.

use std::time::Duration;

use anyhow::Result;
use catalog::deployment::Ending;
use definition::{Names, definition};
use serde::Serialize;
use serde_json::{Value, json};

use crate::alerts::Alerts;
use crate::functions::{Functions, LogGroup, Policy, PolicyAttachment, Role, RolePolicy};
use crate::plan::Plan;
use crate::policy::{Statement, document, tls_only, trust};
use crate::stack::{ACCOUNT, Handle, Resource, Stack, literal};

/// ARNs of functions, at most 140 characters each, that fit one policy.
const CALLS_IN_A_POLICY: usize = 40;

#[derive(Serialize)]
pub(crate) struct StateMachine {
    name: String,
    r#type: &'static str,
    role_arn: String,
    definition: String,
    logging_configuration: Value,
    tracing_configuration: Value,
    encryption_configuration: Option<Value>,
    depends_on: Vec<String>,
}

impl Resource for StateMachine {
    const TYPE: &'static str = "aws_sfn_state_machine";
}

#[derive(Serialize)]
pub(crate) struct Queue {
    name: String,
    message_retention_seconds: u32,
    sqs_managed_sse_enabled: Option<bool>,
    kms_master_key_id: Option<String>,
}

impl Resource for Queue {
    const TYPE: &'static str = "aws_sqs_queue";
}

#[derive(Serialize)]
struct QueuePolicy {
    queue_url: String,
    policy: String,
}

impl Resource for QueuePolicy {
    const TYPE: &'static str = "aws_sqs_queue_policy";
}

#[derive(Serialize)]
struct Schedule {
    name: String,
    description: String,
    schedule_expression: String,
    flexible_time_window: Value,
    kms_key_arn: Option<String>,
    target: Value,
    lifecycle: Value,
}

impl Resource for Schedule {
    const TYPE: &'static str = "aws_scheduler_schedule";
}

#[derive(Serialize)]
struct EventRule {
    name: String,
    description: String,
    event_pattern: String,
}

impl Resource for EventRule {
    const TYPE: &'static str = "aws_cloudwatch_event_rule";
}

#[derive(Serialize)]
struct EventTarget {
    rule: String,
    arn: String,
    input_transformer: Value,
}

impl Resource for EventTarget {
    const TYPE: &'static str = "aws_cloudwatch_event_target";
}

pub(crate) struct Orchestration {
    pub(crate) machine: Handle<StateMachine>,
    pub(crate) missed: Handle<Queue>,
}

impl Orchestration {
    pub(crate) fn add(stack: &mut Stack, plan: &Plan<'_>, functions: &Functions, alerts: &Alerts) -> Result<Self> {
        let machine = machine(stack, plan, functions, alerts)?;
        let missed = schedule(stack, plan, &machine)?;
        tell_of_ends(stack, plan, &machine, alerts)?;
        Ok(Self { machine, missed })
    }
}

fn machine(stack: &mut Stack, plan: &Plan<'_>, functions: &Functions, alerts: &Alerts) -> Result<Handle<StateMachine>> {
    let name = plan.deployment.state_machine();
    let logs = stack.add(
        &name,
        LogGroup {
            name: plan.deployment.state_machine_log_group(),
            retention_in_days: plan.environment.log_days,
            kms_key_id: plan.environment.kms_key.clone(),
        },
    )?;
    let role = stack.add(
        &name,
        Role {
            name: name.clone(),
            description: format!("What the state machine {name} may do."),
            assume_role_policy: trust("states.amazonaws.com", Some(ACCOUNT)),
        },
    )?;
    let mut attached = Vec::new();
    for (number, some) in functions.all.chunks(CALLS_IN_A_POLICY).enumerate() {
        let called = some.iter().map(|deployed| deployed.function.arn()).collect();
        let policy = document(vec![Statement::allow("CallTheFunctions", &["lambda:InvokeFunction"], called)]);
        let name = format!("{name}-calls-{}", number + 1);
        let calls = stack.add(&name, Policy { name: name.clone(), policy })?;
        let attachment = PolicyAttachment { role: role.get("name"), policy_arn: calls.arn() };
        attached.push(stack.add(&name, attachment)?.address());
    }
    let log_actions = [
        "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:GetLogDelivery",
        "logs:ListLogDeliveries",
        "logs:PutResourcePolicy",
        "logs:UpdateLogDelivery",
    ];
    let trace =
        ["xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments"];
    let statements = vec![
        Statement::allow("Tell", &["sns:Publish"], vec![alerts.topic.arn()]),
        Statement::allow("TellEncrypted", &["kms:Decrypt", "kms:GenerateDataKey"], vec![alerts.key.clone()]),
        // Log delivery and X-Ray have no resources.
        Statement::allow("DeliverLogs", &log_actions, vec!["*".to_owned()]),
        Statement::allow("Trace", &trace, vec!["*".to_owned()]),
    ];
    let own = RolePolicy { name: "state-machine", role: role.get("id"), policy: document(statements) };
    attached.push(stack.add(&name, own)?.address());
    let machine = StateMachine {
        name: name.clone(),
        r#type: "STANDARD",
        role_arn: role.arn(),
        definition: with_references(plan, functions, alerts),
        logging_configuration: json!({
            "level": "ERROR", "include_execution_data": false, "log_destination": format!("{}:*", logs.arn()),
        }),
        tracing_configuration: json!({ "enabled": true }),
        encryption_configuration: plan.environment.kms_key.as_ref().map(|key| {
            json!({ "type": "CUSTOMER_MANAGED_KMS_KEY", "kms_key_id": key, "kms_data_key_reuse_period_seconds": 300 })
        }),
        depends_on: attached,
    };
    stack.add(&name, machine)
}

/// The definition with references where names stand: first what the catalogue says is made plain text, then they go in.
fn with_references(plan: &Plan<'_>, functions: &Functions, alerts: &Alerts) -> String {
    let place = |name: &str| format!("@{name}@");
    let topic = plan.deployment.topic();
    let names = Names { function: &|function| place(&plan.deployment.function(function)), topic: place(&topic) };
    let plain = literal(&definition(&plan.deployment, &names).to_string());
    let arns = functions.all.iter().map(|deployed| (deployed.name.as_str(), deployed.function.arn()));
    let references = arns.chain([(topic.as_str(), alerts.topic.arn())]);
    references.fold(plain, |text, (name, arn)| text.replace(&format!("\"{}\"", place(name)), &format!("\"{arn}\"")))
}

fn schedule(stack: &mut Stack, plan: &Plan<'_>, machine: &Handle<StateMachine>) -> Result<Handle<Queue>> {
    let name = plan.deployment.schedule();
    let missed = stack.add(
        "missed",
        Queue {
            name: plan.deployment.missed_runs(),
            message_retention_seconds: 14 * 24 * 3_600,
            sqs_managed_sse_enabled: plan.environment.kms_key.is_none().then_some(true),
            kms_master_key_id: plan.environment.kms_key.clone(),
        },
    )?;
    let policy = document(vec![tls_only(&["sqs:*"], vec![missed.arn()])]);
    stack.add("missed", QueuePolicy { queue_url: missed.get("id"), policy })?;
    let role = stack.add(
        &name,
        Role {
            name: name.clone(),
            description: format!("What the schedule {name} may do."),
            assume_role_policy: trust("scheduler.amazonaws.com", Some(ACCOUNT)),
        },
    )?;
    let statements = vec![
        Statement::allow("StartTheRun", &["states:StartExecution"], vec![machine.arn()]),
        Statement::allow("KeepWhatWasMissed", &["sqs:SendMessage"], vec![missed.arn()]),
    ];
    stack.add(&name, RolePolicy { name: "schedule", role: role.get("id"), policy: document(statements) })?;
    // The call itself and not its template: only it lets the execution be named after the delivery, so that a delivery
    // that comes twice starts nothing twice.
    let start = json!({ "StateMachineArn": machine.arn(), "Name": "<aws.scheduler.execution-id>", "Input": "{}" });
    stack.add(
        &name,
        Schedule {
            name: name.clone(),
            description: format!("Runs {} every so often.", plan.prefix),
            schedule_expression: rate(plan.catalog.pipeline.schedule),
            flexible_time_window: json!({ "mode": "OFF" }),
            kms_key_arn: plan.environment.kms_key.clone(),
            target: json!({
                "arn": "arn:aws:scheduler:::aws-sdk:sfn:startExecution",
                "role_arn": role.arn(),
                "input": start.to_string(),
                // The next run is never far: one that could not be started for so long is not started late.
                "retry_policy": { "maximum_event_age_in_seconds": 240, "maximum_retry_attempts": 5 },
                "dead_letter_config": { "arn": missed.arn() },
            }),
            // `scripts/deploy` pauses it while Terraform applies, and a person may have paused it for longer: its state is
            // theirs, and Terraform neither undoes a pause nor takes it for a difference. It is made enabled. Where an apply
            // changes something else of it, it is put as the plan found it, which was before the pause; by then what a run
            // calls is in place, as the schedule names the machine and the machine every function.
            lifecycle: json!({ "ignore_changes": ["state"] }),
        },
    )?;
    Ok(missed)
}

fn rate(every: Duration) -> String {
    let minutes = (every.as_secs() / 60).max(1);
    format!("rate({minutes} minute{})", if minutes == 1 { "" } else { "s" })
}

/// Tells of the ends that no state tells of, in the words that a laptop uses. The message is a line of text with
/// placeholders, in the quotes of JSON.
fn tell_of_ends(stack: &mut Stack, plan: &Plan<'_>, machine: &Handle<StateMachine>, alerts: &Alerts) -> Result<()> {
    for ending in Ending::ALL {
        let name = plan.deployment.ended_runs(ending);
        let mut detail = json!({ "status": [ending.status()], "stateMachineArn": [machine.arn()] });
        if ending == Ending::Failed {
            detail["error"] = json!([{ "anything-but": Ending::told_already() }]);
        }
        let pattern = json!({
            "source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"], "detail": detail,
        });
        let told = plan.deployment.told_of_end(ending, "<name>", "<error>", "<arn>");
        let description = format!("Tells of it: {}.", told.subject);
        let rule = EventRule { name: name.clone(), description, event_pattern: pattern.to_string() };
        let rule = stack.add(&name, rule)?;
        let transformer = json!({
            "input_paths": { "name": "$.detail.name", "error": "$.detail.error", "arn": "$.detail.executionArn" },
            "input_template": Value::String(told.message).to_string(),
        });
        let target = EventTarget { rule: rule.get("name"), arn: alerts.topic.arn(), input_transformer: transformer };
        stack.add(&name, target)?;
    }
    Ok(())
}
