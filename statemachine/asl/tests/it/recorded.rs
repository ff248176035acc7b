//! Chains of events as they were recorded on AWS (a Lambda task stands where the recording has an activity).

use std::collections::BTreeMap;

use asl::{EventKind, Execution, Failure, Machine, Order, Signal, Status};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::simulation::{Answer, Simulation, identity};

impl<S> Simulation<S> {
    /// `id<previous type` of every event, for golden chains.
    fn chain(&self) -> Vec<String> {
        self.execution
            .events
            .iter()
            .map(|event| format!("{}<{} {}", event.id, event.previous, event.kind.name()))
            .collect()
    }
}

fn task(next: Option<&str>) -> Value {
    let mut state = json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": { "FunctionName": "work" },
    });
    match next {
        Some(next) => state["Next"] = json!(next),
        None => state["End"] = json!(true),
    }
    state
}

/// Fails the first `failures` calls.
fn failing(failures: usize) -> impl FnMut(&str, &Value) -> Answer {
    let mut calls = 0;
    move |_, _| {
        calls += 1;
        if calls <= failures { Err(("Probe.Retry", "")) } else { Ok(json!(calls)) }
    }
}

/// As AWS documents its quota; the text is the one that the service gives.
#[test]
fn a_machine_that_goes_round_ends_when_its_history_is_full() {
    let round = json!({ "StartAt": "Round", "States": { "Round": { "Type": "Pass", "Next": "Round" } } });
    let branch = json!({ "Type": "Parallel", "Branches": [round.clone(), round.clone()], "End": true });
    for definition in [round, json!({ "StartAt": "Both", "States": { "Both": branch } })] {
        let ended = Simulation::run(&definition, json!({}), |_, _| Ok(json!({})));
        assert_eq!((ended.execution.status, ended.execution.events.len()), (Status::Failed, 25_000));
        let cause = "The execution reached the maximum number of history events (25000).";
        assert_eq!(ended.execution.failure, Failure::new("States.Runtime", cause));
        assert!(ended.execution.check_redrivable().is_err());
    }
}

#[test]
fn a_redriven_task_is_scheduled_from_its_old_entered_event() {
    let mut work = task(Some("Finish"));
    work["Retry"] = json!([{ "ErrorEquals": ["Probe.Retry"], "MaxAttempts": 1, "IntervalSeconds": 1 }]);
    let definition = json!({
        "StartAt": "Select",
        "States": {
            "Select": { "Type": "Choice", "Choices": [{ "Variable": "$.x", "IsPresent": true, "Next": "Work" }], "Default": "Work" },
            "Work": work,
            "Finish": { "Type": "Pass", "End": true },
        },
    });
    let mut run = Simulation::run(&definition, json!({}), failing(2));
    assert_eq!(run.execution.redrives, 0);
    run.redrive();
    assert_eq!(
        run.chain(),
        [
            "1<0 ExecutionStarted",
            "2<0 ChoiceStateEntered",
            "3<2 ChoiceStateExited",
            "4<3 TaskStateEntered",
            "5<4 TaskScheduled",
            "6<5 TaskStarted",
            "7<6 TaskFailed",
            "8<7 TaskScheduled",
            "9<8 TaskStarted",
            "10<9 TaskFailed",
            "11<10 ExecutionFailed",
            "12<11 ExecutionRedriven",
            "13<4 TaskScheduled",
            "14<13 TaskStarted",
            "15<14 TaskSucceeded",
            "16<15 TaskStateExited",
            "17<16 PassStateEntered",
            "18<17 PassStateExited",
            "19<18 ExecutionSucceeded",
        ]
    );
    let refused = run.execution.check_redrivable().expect_err("it succeeded");
    assert_eq!(refused.to_string(), "Execution is SUCCEEDED and cannot be redriven");
}

#[test]
fn a_redrive_tells_the_task_its_count_and_keeps_its_times() {
    let mut work = task(None);
    work["Parameters"]["Payload"] = json!({ "context.$": "$$" });
    let definition = json!({ "StartAt": "Work", "States": { "Work": work } });
    let mut run = Simulation::run(&definition, json!({}), failing(1));
    run.redrive();
    let contexts: Vec<&Value> = run.calls.iter().map(|(_, given)| &given["context"]).collect();
    assert_eq!(
        (&contexts[0]["Execution"]["RedriveCount"], contexts[0]["Execution"].get("RedriveTime")),
        (&json!(0), None)
    );
    assert_eq!(contexts[1]["Execution"]["RedriveCount"], 1);
    assert!(contexts[1]["Execution"]["RedriveTime"].is_string());
    assert_eq!(contexts[0]["State"], contexts[1]["State"], "entered once, and the retry count starts again");
    assert_eq!(contexts[0]["Execution"]["StartTime"], contexts[1]["Execution"]["StartTime"]);
}

#[test]
fn of_a_parallel_only_what_did_not_succeed_runs_again() {
    let branch = |name: &str| {
        let mut state = task(None);
        state["Parameters"]["FunctionName"] = json!(name);
        json!({ "StartAt": name, "States": { name: state } })
    };
    let definition = json!({
        "StartAt": "Parallel",
        "States": { "Parallel": { "Type": "Parallel", "Branches": [branch("ok"), branch("fails"), branch("slow")], "End": true } },
    });
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    let mut run = Simulation::run(&definition, json!({}), move |name, _| {
        let count = calls.entry(name.to_owned()).or_default();
        *count += 1;
        match (name, *count) {
            ("fails", 1) => Err(("Probe.Retry", "why")),
            ("slow", 1) => Err(("silence", "")),
            (name, count) => Ok(json!(format!("{name} {count}"))),
        }
    });
    assert_eq!(run.execution.failure, Failure::new("Probe.Retry", "why"));
    assert_eq!(
        run.chain()[12..],
        [
            "13<6 TaskSucceeded",
            "14<13 TaskStateExited",
            "15<9 TaskFailed",
            "16<15 TaskStateAborted",
            "17<15 TaskStateAborted",
            "18<15 ParallelStateFailed",
            "19<18 ExecutionFailed",
        ]
    );
    run.redrive();
    assert_eq!((run.count("ok"), run.count("fails"), run.count("slow")), (1, 2, 2));
    let outputs: Vec<&Value> = run
        .execution
        .output
        .as_ref()
        .and_then(Value::as_array)
        .expect("a list")
        .iter()
        .map(|output| &output["Payload"])
        .collect();
    assert_eq!(outputs, ["ok 1", "fails 2", "slow 2"]);
    let entered =
        run.execution.events.iter().map(|event| event.kind.name()).filter(|name| name.starts_with("ParallelState"));
    assert_eq!(
        entered.collect::<Vec<_>>(),
        [
            "ParallelStateEntered",
            "ParallelStateStarted",
            "ParallelStateFailed",
            "ParallelStateSucceeded",
            "ParallelStateExited"
        ]
    );
}

#[test]
fn a_fail_state_fails_again_at_once() {
    let definition = json!({ "StartAt": "F", "States": { "F": { "Type": "Fail", "Error": "Probe.Explicit" } } });
    let mut run = Simulation::run(&definition, json!({}), failing(0));
    run.redrive();
    assert_eq!(
        run.chain(),
        [
            "1<0 ExecutionStarted",
            "2<0 FailStateEntered",
            "3<2 ExecutionFailed",
            "4<3 ExecutionRedriven",
            "5<4 ExecutionFailed"
        ]
    );
}

#[test]
fn a_stopped_or_timed_out_execution_can_be_redriven() {
    let definition = json!({ "StartAt": "Work", "TimeoutSeconds": 8, "States": { "Work": task(None) } });
    let mut calls = 0;
    let mut run = Simulation::run(&definition, json!({}), move |_, _| {
        calls += 1;
        if calls == 1 { Err(("silence", "")) } else { Ok(json!(1)) }
    });
    assert_eq!((run.execution.status, run.execution.failure.clone()), (Status::TimedOut, Failure::default()));
    assert_eq!(run.chain().last().map(String::as_str), Some("5<4 ExecutionTimedOut"));
    run.redrive();
    assert_eq!(run.execution.status, Status::Succeeded);

    let machine = Machine::parse(&definition).expect("a definition");
    let (mut execution, _) = Execution::start(machine, identity(), json!({}), run.now);
    let stop = Signal::Stop(Failure { error: Some("Maintenance".to_owned()), cause: None });
    assert_eq!(execution.handle(&stop, run.now, 0), [Order::End]);
    assert_eq!((execution.status.name(), execution.failure.error.as_deref()), ("ABORTED", Some("Maintenance")));
    let late = Signal::TaskSucceeded { token: 2, output: json!(1) };
    assert!(execution.handle(&late, run.now, 0).is_empty(), "an answer after the end changes nothing");
    let orders = execution.handle(&Signal::Redrive, run.now + TimeDelta::minutes(1), 0);
    assert!(matches!(orders[..], [Order::Wake { .. }, Order::Call { .. }]), "{orders:?}");
    assert_eq!(
        execution.check_redrivable().expect_err("it runs").to_string(),
        "Execution is RUNNING and cannot be redriven"
    );
}

#[test]
fn a_path_that_leads_nowhere_passes_every_catch() {
    let mut work = task(None);
    work["OutputPath"] = json!("$.no.such.path");
    work["Catch"] = json!([{ "ErrorEquals": ["States.ALL"], "Next": "Caught" }]);
    let definition =
        json!({ "StartAt": "Work", "States": { "Work": work, "Caught": { "Type": "Pass", "End": true } } });
    let run = Simulation::run(&definition, json!({}), failing(0));
    let Failure { error, cause } = run.execution.failure.clone();
    assert_eq!(error.as_deref(), Some("States.Runtime"));
    assert_eq!(
        cause.as_deref(),
        Some(
            "An error occurred while executing the state 'Work' (entered at the event id #2). Invalid path '$.no.such.path' : \
              Missing property in path $['no']"
        )
    );
}

#[test]
fn a_result_that_is_too_large_is_caught_by_name() {
    let mut work = task(None);
    work["Catch"] = json!([{ "ErrorEquals": ["States.DataLimitExceeded"], "Next": "Caught" }]);
    let definition =
        json!({ "StartAt": "Work", "States": { "Work": work, "Caught": { "Type": "Pass", "End": true } } });
    let run = Simulation::run(&definition, json!({}), |_, _| Ok(json!("a".repeat(262_144))));
    assert_eq!(run.execution.output.as_ref().map(|output| &output["Error"]), Some(&json!("States.DataLimitExceeded")));
}

#[test]
fn retries_wait_longer_each_time_up_to_the_limit() {
    let mut work = task(None);
    work["Retry"] = json!([
        { "ErrorEquals": ["Other"], "MaxAttempts": 9 },
        { "ErrorEquals": ["Probe.Retry"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 3, "MaxDelaySeconds": 10 },
    ]);
    let definition = json!({ "StartAt": "Work", "States": { "Work": work } });
    let run = Simulation::run(&definition, json!({}), failing(3));
    let scheduled: Vec<i64> = run
        .execution
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::TaskScheduled { .. }))
        .map(|event| event.at.timestamp())
        .collect();
    let gaps: Vec<i64> = scheduled.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps, [2, 6, 10]);
    assert_eq!(run.execution.status, Status::Succeeded);
}

#[test]
fn waits_and_the_other_states_move_on() {
    let definition = json!({
        "StartAt": "Wait",
        "States": {
            "Wait": { "Type": "Wait", "Seconds": 30, "Next": "Until" },
            "Until": { "Type": "Wait", "TimestampPath": "$.at", "Next": "Pass" },
            "Pass": { "Type": "Pass", "Result": 1, "ResultPath": "$.n", "Next": "Choose" },
            "Choose": { "Type": "Choice", "Choices": [{ "Variable": "$.n", "NumericEquals": 1, "Next": "Done" }] },
            "Done": { "Type": "Succeed", "OutputPath": "$.n" },
        },
    });
    let run = Simulation::run(&definition, json!({ "at": "2000-01-01T00:00:00Z" }), failing(0));
    assert_eq!((run.execution.status, run.execution.output.clone()), (Status::Succeeded, Some(json!(1))));
    let started = run.execution.started;
    assert_eq!(run.execution.stopped, Some(started + TimeDelta::seconds(30)), "a time in the past is no wait");
}
