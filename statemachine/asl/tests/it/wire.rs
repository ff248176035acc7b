//! Every kind of event as `GetExecutionHistory` answers it, byte for byte.

use asl::{Execution, Machine, Order, Signal};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::simulation::{Simulation, identity};

/// The history of an execution, an event a line; then once more without data where that differs.
fn check(execution: &Execution, expected: &Expect) {
    let mut lines = String::new();
    for event in &execution.events {
        let (whole, bare) = (event.to_json(true).to_string(), event.to_json(false).to_string());
        lines += &format!("{whole}\n");
        if bare != whole {
            lines += &format!("    {bare}\n");
        }
    }
    expected.assert_eq(&lines);
}

fn task(function: &str) -> Value {
    json!({
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": { "FunctionName": function },
        "End": true,
    })
}

#[test]
fn states_and_tasks_that_succeed() {
    let mut work = task("work");
    work["TimeoutSeconds"] = json!(60);
    let definition = json!({
        "StartAt": "Pass",
        "States": {
            "Pass": { "Type": "Pass", "Result": "ü", "ResultPath": "$.x", "Next": "Wait" },
            "Wait": { "Type": "Wait", "Seconds": 1, "Next": "Choose" },
            "Choose": { "Type": "Choice", "Choices": [{ "Variable": "$.x", "IsPresent": true, "Next": "Both" }] },
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    { "StartAt": "Work", "States": { "Work": work } },
                    { "StartAt": "Tell", "States": { "Tell": {
                        "Type": "Task", "Resource": "arn:aws:states:::sns:publish", "Parameters": { "TopicArn": "t" },
                        "End": true,
                    } } },
                ],
                "Next": "Done",
            },
            "Done": { "Type": "Succeed" },
        },
    });
    let run = Simulation::run(&definition, json!({ "a": 1 }), |_, _| Ok(json!("an \"answer\"")));
    check(
        &run.execution,
        &expect![[r#"
        {"executionStartedEventDetails":{"input":"{\"a\":1}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
            {"executionStartedEventDetails":{"inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
        {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"input":"{\"a\":1}","inputDetails":{"truncated":false},"name":"Pass"},"timestamp":1700000000.0,"type":"PassStateEntered"}
            {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Pass"},"timestamp":1700000000.0,"type":"PassStateEntered"}
        {"id":3,"previousEventId":2,"stateExitedEventDetails":{"name":"Pass","output":"{\"a\":1,\"x\":\"ü\"}","outputDetails":{"truncated":false}},"timestamp":1700000000.0,"type":"PassStateExited"}
            {"id":3,"previousEventId":2,"stateExitedEventDetails":{"name":"Pass","outputDetails":{"truncated":false}},"timestamp":1700000000.0,"type":"PassStateExited"}
        {"id":4,"previousEventId":3,"stateEnteredEventDetails":{"input":"{\"a\":1,\"x\":\"ü\"}","inputDetails":{"truncated":false},"name":"Wait"},"timestamp":1700000000.0,"type":"WaitStateEntered"}
            {"id":4,"previousEventId":3,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Wait"},"timestamp":1700000000.0,"type":"WaitStateEntered"}
        {"id":5,"previousEventId":4,"stateExitedEventDetails":{"name":"Wait","output":"{\"a\":1,\"x\":\"ü\"}","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"WaitStateExited"}
            {"id":5,"previousEventId":4,"stateExitedEventDetails":{"name":"Wait","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"WaitStateExited"}
        {"id":6,"previousEventId":5,"stateEnteredEventDetails":{"input":"{\"a\":1,\"x\":\"ü\"}","inputDetails":{"truncated":false},"name":"Choose"},"timestamp":1700000001.0,"type":"ChoiceStateEntered"}
            {"id":6,"previousEventId":5,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Choose"},"timestamp":1700000001.0,"type":"ChoiceStateEntered"}
        {"id":7,"previousEventId":6,"stateExitedEventDetails":{"name":"Choose","output":"{\"a\":1,\"x\":\"ü\"}","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"ChoiceStateExited"}
            {"id":7,"previousEventId":6,"stateExitedEventDetails":{"name":"Choose","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"ChoiceStateExited"}
        {"id":8,"previousEventId":7,"stateEnteredEventDetails":{"input":"{\"a\":1,\"x\":\"ü\"}","inputDetails":{"truncated":false},"name":"Both"},"timestamp":1700000001.0,"type":"ParallelStateEntered"}
            {"id":8,"previousEventId":7,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Both"},"timestamp":1700000001.0,"type":"ParallelStateEntered"}
        {"id":9,"previousEventId":8,"timestamp":1700000001.0,"type":"ParallelStateStarted"}
        {"id":10,"previousEventId":9,"stateEnteredEventDetails":{"input":"{\"a\":1,\"x\":\"ü\"}","inputDetails":{"truncated":false},"name":"Work"},"timestamp":1700000001.0,"type":"TaskStateEntered"}
            {"id":10,"previousEventId":9,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Work"},"timestamp":1700000001.0,"type":"TaskStateEntered"}
        {"id":11,"previousEventId":10,"taskScheduledEventDetails":{"parameters":"{\"FunctionName\":\"work\"}","region":"us-east-1","resource":"invoke","resourceType":"lambda","timeoutInSeconds":60},"timestamp":1700000001.0,"type":"TaskScheduled"}
            {"id":11,"previousEventId":10,"taskScheduledEventDetails":{"region":"us-east-1","resource":"invoke","resourceType":"lambda","timeoutInSeconds":60},"timestamp":1700000001.0,"type":"TaskScheduled"}
        {"id":12,"previousEventId":11,"taskStartedEventDetails":{"resource":"invoke","resourceType":"lambda"},"timestamp":1700000001.0,"type":"TaskStarted"}
        {"id":13,"previousEventId":9,"stateEnteredEventDetails":{"input":"{\"a\":1,\"x\":\"ü\"}","inputDetails":{"truncated":false},"name":"Tell"},"timestamp":1700000001.0,"type":"TaskStateEntered"}
            {"id":13,"previousEventId":9,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Tell"},"timestamp":1700000001.0,"type":"TaskStateEntered"}
        {"id":14,"previousEventId":13,"taskScheduledEventDetails":{"parameters":"{\"TopicArn\":\"t\"}","region":"us-east-1","resource":"publish","resourceType":"sns"},"timestamp":1700000001.0,"type":"TaskScheduled"}
            {"id":14,"previousEventId":13,"taskScheduledEventDetails":{"region":"us-east-1","resource":"publish","resourceType":"sns"},"timestamp":1700000001.0,"type":"TaskScheduled"}
        {"id":15,"previousEventId":14,"taskStartedEventDetails":{"resource":"publish","resourceType":"sns"},"timestamp":1700000001.0,"type":"TaskStarted"}
        {"id":16,"previousEventId":12,"taskSucceededEventDetails":{"output":"{\"ExecutedVersion\":\"$LATEST\",\"Payload\":\"an \\\"answer\\\"\",\"StatusCode\":200}","outputDetails":{"truncated":false},"resource":"invoke","resourceType":"lambda"},"timestamp":1700000001.0,"type":"TaskSucceeded"}
            {"id":16,"previousEventId":12,"taskSucceededEventDetails":{"outputDetails":{"truncated":false},"resource":"invoke","resourceType":"lambda"},"timestamp":1700000001.0,"type":"TaskSucceeded"}
        {"id":17,"previousEventId":16,"stateExitedEventDetails":{"name":"Work","output":"{\"ExecutedVersion\":\"$LATEST\",\"Payload\":\"an \\\"answer\\\"\",\"StatusCode\":200}","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"TaskStateExited"}
            {"id":17,"previousEventId":16,"stateExitedEventDetails":{"name":"Work","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"TaskStateExited"}
        {"id":18,"previousEventId":15,"taskSucceededEventDetails":{"output":"{\"MessageId\":\"m\"}","outputDetails":{"truncated":false},"resource":"publish","resourceType":"sns"},"timestamp":1700000001.0,"type":"TaskSucceeded"}
            {"id":18,"previousEventId":15,"taskSucceededEventDetails":{"outputDetails":{"truncated":false},"resource":"publish","resourceType":"sns"},"timestamp":1700000001.0,"type":"TaskSucceeded"}
        {"id":19,"previousEventId":18,"stateExitedEventDetails":{"name":"Tell","output":"{\"MessageId\":\"m\"}","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"TaskStateExited"}
            {"id":19,"previousEventId":18,"stateExitedEventDetails":{"name":"Tell","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"TaskStateExited"}
        {"id":20,"previousEventId":19,"timestamp":1700000001.0,"type":"ParallelStateSucceeded"}
        {"id":21,"previousEventId":19,"stateExitedEventDetails":{"name":"Both","output":"[{\"ExecutedVersion\":\"$LATEST\",\"Payload\":\"an \\\"answer\\\"\",\"StatusCode\":200},{\"MessageId\":\"m\"}]","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"ParallelStateExited"}
            {"id":21,"previousEventId":19,"stateExitedEventDetails":{"name":"Both","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"ParallelStateExited"}
        {"id":22,"previousEventId":21,"stateEnteredEventDetails":{"input":"[{\"ExecutedVersion\":\"$LATEST\",\"Payload\":\"an \\\"answer\\\"\",\"StatusCode\":200},{\"MessageId\":\"m\"}]","inputDetails":{"truncated":false},"name":"Done"},"timestamp":1700000001.0,"type":"SucceedStateEntered"}
            {"id":22,"previousEventId":21,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Done"},"timestamp":1700000001.0,"type":"SucceedStateEntered"}
        {"id":23,"previousEventId":22,"stateExitedEventDetails":{"name":"Done","output":"[{\"ExecutedVersion\":\"$LATEST\",\"Payload\":\"an \\\"answer\\\"\",\"StatusCode\":200},{\"MessageId\":\"m\"}]","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"SucceedStateExited"}
            {"id":23,"previousEventId":22,"stateExitedEventDetails":{"name":"Done","outputDetails":{"truncated":false}},"timestamp":1700000001.0,"type":"SucceedStateExited"}
        {"executionSucceededEventDetails":{"output":"[{\"ExecutedVersion\":\"$LATEST\",\"Payload\":\"an \\\"answer\\\"\",\"StatusCode\":200},{\"MessageId\":\"m\"}]","outputDetails":{"truncated":false}},"id":24,"previousEventId":23,"timestamp":1700000001.0,"type":"ExecutionSucceeded"}
            {"executionSucceededEventDetails":{"outputDetails":{"truncated":false}},"id":24,"previousEventId":23,"timestamp":1700000001.0,"type":"ExecutionSucceeded"}
    "#]],
    );
}

#[test]
fn tasks_that_fail_and_a_redrive() {
    let mut slow = task("slow");
    slow["TimeoutSeconds"] = json!(5);
    slow["Catch"] = json!([{ "ErrorEquals": ["States.Timeout"], "Next": "Both" }]);
    slow.as_object_mut().expect("a state").remove("End");
    slow["Next"] = json!("Both");
    let definition = json!({
        "StartAt": "Slow",
        "States": {
            "Slow": slow,
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    { "StartAt": "Fails", "States": { "Fails": task("fails") } },
                    { "StartAt": "Hangs", "States": { "Hangs": task("hangs") } },
                ],
                "End": true,
            },
        },
    });
    let mut failed = false;
    let mut run = Simulation::run(&definition, json!({}), move |name, _| match name {
        "slow" => Err(("silence", "")),
        "fails" if !std::mem::replace(&mut failed, true) => Err(("Probe.Failed", "why")),
        _ => Ok(json!(1)),
    });
    // The sibling of what failed is aborted, and runs again with it.
    run.redrive();
    check(
        &run.execution,
        &expect![[r#"
        {"executionStartedEventDetails":{"input":"{}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
            {"executionStartedEventDetails":{"inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
        {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"input":"{}","inputDetails":{"truncated":false},"name":"Slow"},"timestamp":1700000000.0,"type":"TaskStateEntered"}
            {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Slow"},"timestamp":1700000000.0,"type":"TaskStateEntered"}
        {"id":3,"previousEventId":2,"taskScheduledEventDetails":{"parameters":"{\"FunctionName\":\"slow\"}","region":"us-east-1","resource":"invoke","resourceType":"lambda","timeoutInSeconds":5},"timestamp":1700000000.0,"type":"TaskScheduled"}
            {"id":3,"previousEventId":2,"taskScheduledEventDetails":{"region":"us-east-1","resource":"invoke","resourceType":"lambda","timeoutInSeconds":5},"timestamp":1700000000.0,"type":"TaskScheduled"}
        {"id":4,"previousEventId":3,"taskStartedEventDetails":{"resource":"invoke","resourceType":"lambda"},"timestamp":1700000000.0,"type":"TaskStarted"}
        {"id":5,"previousEventId":4,"taskTimedOutEventDetails":{"error":"States.Timeout","resource":"invoke","resourceType":"lambda"},"timestamp":1700000005.0,"type":"TaskTimedOut"}
        {"id":6,"previousEventId":5,"stateExitedEventDetails":{"name":"Slow","output":"{\"Cause\":\"\",\"Error\":\"States.Timeout\"}","outputDetails":{"truncated":false}},"timestamp":1700000005.0,"type":"TaskStateExited"}
            {"id":6,"previousEventId":5,"stateExitedEventDetails":{"name":"Slow","outputDetails":{"truncated":false}},"timestamp":1700000005.0,"type":"TaskStateExited"}
        {"id":7,"previousEventId":6,"stateEnteredEventDetails":{"input":"{\"Cause\":\"\",\"Error\":\"States.Timeout\"}","inputDetails":{"truncated":false},"name":"Both"},"timestamp":1700000005.0,"type":"ParallelStateEntered"}
            {"id":7,"previousEventId":6,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Both"},"timestamp":1700000005.0,"type":"ParallelStateEntered"}
        {"id":8,"previousEventId":7,"timestamp":1700000005.0,"type":"ParallelStateStarted"}
        {"id":9,"previousEventId":8,"stateEnteredEventDetails":{"input":"{\"Cause\":\"\",\"Error\":\"States.Timeout\"}","inputDetails":{"truncated":false},"name":"Fails"},"timestamp":1700000005.0,"type":"TaskStateEntered"}
            {"id":9,"previousEventId":8,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Fails"},"timestamp":1700000005.0,"type":"TaskStateEntered"}
        {"id":10,"previousEventId":9,"taskScheduledEventDetails":{"parameters":"{\"FunctionName\":\"fails\"}","region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700000005.0,"type":"TaskScheduled"}
            {"id":10,"previousEventId":9,"taskScheduledEventDetails":{"region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700000005.0,"type":"TaskScheduled"}
        {"id":11,"previousEventId":10,"taskStartedEventDetails":{"resource":"invoke","resourceType":"lambda"},"timestamp":1700000005.0,"type":"TaskStarted"}
        {"id":12,"previousEventId":8,"stateEnteredEventDetails":{"input":"{\"Cause\":\"\",\"Error\":\"States.Timeout\"}","inputDetails":{"truncated":false},"name":"Hangs"},"timestamp":1700000005.0,"type":"TaskStateEntered"}
            {"id":12,"previousEventId":8,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"Hangs"},"timestamp":1700000005.0,"type":"TaskStateEntered"}
        {"id":13,"previousEventId":12,"taskScheduledEventDetails":{"parameters":"{\"FunctionName\":\"hangs\"}","region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700000005.0,"type":"TaskScheduled"}
            {"id":13,"previousEventId":12,"taskScheduledEventDetails":{"region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700000005.0,"type":"TaskScheduled"}
        {"id":14,"previousEventId":13,"taskStartedEventDetails":{"resource":"invoke","resourceType":"lambda"},"timestamp":1700000005.0,"type":"TaskStarted"}
        {"id":15,"previousEventId":11,"taskFailedEventDetails":{"cause":"why","error":"Probe.Failed","resource":"invoke","resourceType":"lambda"},"timestamp":1700000005.0,"type":"TaskFailed"}
        {"id":16,"previousEventId":15,"timestamp":1700000005.0,"type":"TaskStateAborted"}
        {"id":17,"previousEventId":15,"timestamp":1700000005.0,"type":"TaskStateAborted"}
        {"id":18,"previousEventId":15,"timestamp":1700000005.0,"type":"ParallelStateFailed"}
        {"executionFailedEventDetails":{"cause":"why","error":"Probe.Failed"},"id":19,"previousEventId":18,"timestamp":1700000005.0,"type":"ExecutionFailed"}
        {"executionRedrivenEventDetails":{"redriveCount":1},"id":20,"previousEventId":19,"timestamp":1700003605.0,"type":"ExecutionRedriven"}
        {"id":21,"previousEventId":9,"taskScheduledEventDetails":{"parameters":"{\"FunctionName\":\"fails\"}","region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskScheduled"}
            {"id":21,"previousEventId":9,"taskScheduledEventDetails":{"region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskScheduled"}
        {"id":22,"previousEventId":21,"taskStartedEventDetails":{"resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskStarted"}
        {"id":23,"previousEventId":12,"taskScheduledEventDetails":{"parameters":"{\"FunctionName\":\"hangs\"}","region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskScheduled"}
            {"id":23,"previousEventId":12,"taskScheduledEventDetails":{"region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskScheduled"}
        {"id":24,"previousEventId":23,"taskStartedEventDetails":{"resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskStarted"}
        {"id":25,"previousEventId":22,"taskSucceededEventDetails":{"output":"{\"ExecutedVersion\":\"$LATEST\",\"Payload\":1,\"StatusCode\":200}","outputDetails":{"truncated":false},"resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskSucceeded"}
            {"id":25,"previousEventId":22,"taskSucceededEventDetails":{"outputDetails":{"truncated":false},"resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskSucceeded"}
        {"id":26,"previousEventId":25,"stateExitedEventDetails":{"name":"Fails","output":"{\"ExecutedVersion\":\"$LATEST\",\"Payload\":1,\"StatusCode\":200}","outputDetails":{"truncated":false}},"timestamp":1700003605.0,"type":"TaskStateExited"}
            {"id":26,"previousEventId":25,"stateExitedEventDetails":{"name":"Fails","outputDetails":{"truncated":false}},"timestamp":1700003605.0,"type":"TaskStateExited"}
        {"id":27,"previousEventId":24,"taskSucceededEventDetails":{"output":"{\"ExecutedVersion\":\"$LATEST\",\"Payload\":1,\"StatusCode\":200}","outputDetails":{"truncated":false},"resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskSucceeded"}
            {"id":27,"previousEventId":24,"taskSucceededEventDetails":{"outputDetails":{"truncated":false},"resource":"invoke","resourceType":"lambda"},"timestamp":1700003605.0,"type":"TaskSucceeded"}
        {"id":28,"previousEventId":27,"stateExitedEventDetails":{"name":"Hangs","output":"{\"ExecutedVersion\":\"$LATEST\",\"Payload\":1,\"StatusCode\":200}","outputDetails":{"truncated":false}},"timestamp":1700003605.0,"type":"TaskStateExited"}
            {"id":28,"previousEventId":27,"stateExitedEventDetails":{"name":"Hangs","outputDetails":{"truncated":false}},"timestamp":1700003605.0,"type":"TaskStateExited"}
        {"id":29,"previousEventId":28,"timestamp":1700003605.0,"type":"ParallelStateSucceeded"}
        {"id":30,"previousEventId":28,"stateExitedEventDetails":{"name":"Both","output":"[{\"ExecutedVersion\":\"$LATEST\",\"Payload\":1,\"StatusCode\":200},{\"ExecutedVersion\":\"$LATEST\",\"Payload\":1,\"StatusCode\":200}]","outputDetails":{"truncated":false}},"timestamp":1700003605.0,"type":"ParallelStateExited"}
            {"id":30,"previousEventId":28,"stateExitedEventDetails":{"name":"Both","outputDetails":{"truncated":false}},"timestamp":1700003605.0,"type":"ParallelStateExited"}
        {"executionSucceededEventDetails":{"output":"[{\"ExecutedVersion\":\"$LATEST\",\"Payload\":1,\"StatusCode\":200},{\"ExecutedVersion\":\"$LATEST\",\"Payload\":1,\"StatusCode\":200}]","outputDetails":{"truncated":false}},"id":31,"previousEventId":30,"timestamp":1700003605.0,"type":"ExecutionSucceeded"}
            {"executionSucceededEventDetails":{"outputDetails":{"truncated":false}},"id":31,"previousEventId":30,"timestamp":1700003605.0,"type":"ExecutionSucceeded"}
    "#]],
    );
}

#[test]
fn executions_that_end_otherwise() {
    let state = |state: Value| json!({ "StartAt": "A", "TimeoutSeconds": 8, "States": { "A": state } });
    let explicit = state(json!({ "Type": "Fail", "Error": "Probe.Explicit", "Cause": "said" }));
    check(
        &Simulation::run(&explicit, json!({}), |_, _| Ok(json!(1))).execution,
        &expect![[r#"
        {"executionStartedEventDetails":{"input":"{}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
            {"executionStartedEventDetails":{"inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
        {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"input":"{}","inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"FailStateEntered"}
            {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"FailStateEntered"}
        {"executionFailedEventDetails":{"cause":"said","error":"Probe.Explicit"},"id":3,"previousEventId":2,"timestamp":1700000000.0,"type":"ExecutionFailed"}
    "#]],
    );
    let silent = state(json!({ "Type": "Fail" }));
    check(
        &Simulation::run(&silent, json!({}), |_, _| Ok(json!(1))).execution,
        &expect![[r#"
        {"executionStartedEventDetails":{"input":"{}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
            {"executionStartedEventDetails":{"inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
        {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"input":"{}","inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"FailStateEntered"}
            {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"FailStateEntered"}
        {"executionFailedEventDetails":{},"id":3,"previousEventId":2,"timestamp":1700000000.0,"type":"ExecutionFailed"}
    "#]],
    );
    let broken = state(json!({ "Type": "Pass", "InputPath": "$.none", "End": true }));
    check(
        &Simulation::run(&broken, json!({}), |_, _| Ok(json!(1))).execution,
        &expect![[r#"
        {"executionStartedEventDetails":{"input":"{}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
            {"executionStartedEventDetails":{"inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
        {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"input":"{}","inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"PassStateEntered"}
            {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"PassStateEntered"}
        {"executionFailedEventDetails":{"cause":"An error occurred while executing the state 'A' (entered at the event id #2). Invalid path '$.none' : No results for path: $['none']","error":"States.Runtime"},"id":3,"previousEventId":2,"timestamp":1700000000.0,"type":"ExecutionFailed"}
    "#]],
    );
    let hangs = state(task("hangs"));
    check(
        &Simulation::run(&hangs, json!({}), |_, _| Err(("silence", ""))).execution,
        &expect![[r#"
        {"executionStartedEventDetails":{"input":"{}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
            {"executionStartedEventDetails":{"inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
        {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"input":"{}","inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"TaskStateEntered"}
            {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"TaskStateEntered"}
        {"id":3,"previousEventId":2,"taskScheduledEventDetails":{"parameters":"{\"FunctionName\":\"hangs\"}","region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700000000.0,"type":"TaskScheduled"}
            {"id":3,"previousEventId":2,"taskScheduledEventDetails":{"region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700000000.0,"type":"TaskScheduled"}
        {"id":4,"previousEventId":3,"taskStartedEventDetails":{"resource":"invoke","resourceType":"lambda"},"timestamp":1700000000.0,"type":"TaskStarted"}
        {"executionTimedOutEventDetails":{},"id":5,"previousEventId":4,"timestamp":1700000008.0,"type":"ExecutionTimedOut"}
    "#]],
    );

    let run = Simulation::run(&explicit, json!({}), |_, _| Ok(json!(1)));
    let machine = Machine::parse(&hangs).expect("a definition");
    let (mut execution, _) = Execution::start(machine, identity(), json!({}), run.now);
    let stop = r#"{"signal": "stop", "error": "Maintenance", "cause": null}"#;
    let stop: Signal = serde_json::from_str(stop).expect("as a journal holds it");
    assert_eq!(execution.handle(&stop, run.now, 0), [Order::End]);
    check(
        &execution,
        &expect![[r#"
        {"executionStartedEventDetails":{"input":"{}","inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
            {"executionStartedEventDetails":{"inputDetails":{"truncated":false},"roleArn":"arn:aws:iam::000000000000:role/totesys-etl"},"id":1,"previousEventId":0,"timestamp":1700000000.0,"type":"ExecutionStarted"}
        {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"input":"{}","inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"TaskStateEntered"}
            {"id":2,"previousEventId":0,"stateEnteredEventDetails":{"inputDetails":{"truncated":false},"name":"A"},"timestamp":1700000000.0,"type":"TaskStateEntered"}
        {"id":3,"previousEventId":2,"taskScheduledEventDetails":{"parameters":"{\"FunctionName\":\"hangs\"}","region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700000000.0,"type":"TaskScheduled"}
            {"id":3,"previousEventId":2,"taskScheduledEventDetails":{"region":"us-east-1","resource":"invoke","resourceType":"lambda"},"timestamp":1700000000.0,"type":"TaskScheduled"}
        {"id":4,"previousEventId":3,"taskStartedEventDetails":{"resource":"invoke","resourceType":"lambda"},"timestamp":1700000000.0,"type":"TaskStarted"}
        {"executionAbortedEventDetails":{"error":"Maintenance"},"id":5,"previousEventId":4,"timestamp":1700000000.0,"type":"ExecutionAborted"}
    "#]],
    );
}
