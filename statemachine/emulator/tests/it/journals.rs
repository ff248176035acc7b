//! Executions survive the service: every life reads the journals of those before.

use std::fs;

use asl::{Resource, Status};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::world::{Does, Script, execution_arn, live, one_task, rest};

fn greeter() -> [(&'static str, Value); 1] {
    [("greeter", one_task("greet"))]
}

#[test]
fn an_ended_execution_is_told_as_it_was_and_can_be_redriven_with_its_own_definition() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Fails("Probe.Failed"));
    let history = json!({ "executionArn": execution_arn("greeter", "first") });
    let (before, told) = live(folder.path(), &script, &greeter(), async |world| {
        assert_eq!(world.run("greeter", "first", &json!({ "a": 1 })).await, Status::Failed);
        (world.describe("greeter", "first"), world.call("GetExecutionHistory", &history))
    });
    script.set("greet", Does::Echoes);
    // What is deployed since calls another function; a redrive goes on with what was in force.
    live(folder.path(), &script, &[("greeter", one_task("another"))], async |world| {
        assert_eq!(world.describe("greeter", "first"), before);
        assert_eq!(world.call("GetExecutionHistory", &history), told);
        world.call("RedriveExecution", &history);
        assert_eq!(world.redriven("greeter", "first", 1).await, Status::Succeeded);
    });
    assert_eq!(*script.called.lock().expect("no test panicked"), ["greet", "greet"]);
    live(folder.path(), &script, &greeter(), async |world| {
        let described = world.describe("greeter", "first");
        assert_eq!((&described["status"], &described["redriveCount"]), (&json!("SUCCEEDED"), &json!(1)));
    });
}

#[test]
fn a_call_that_was_out_has_failed_as_lambda_fails_and_is_retried() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Hangs);
    live(folder.path(), &script, &greeter(), async |world| world.start("greeter", "cut", &json!({})));
    script.set("greet", Does::Echoes);
    live(folder.path(), &script, &greeter(), async |world| {
        assert_eq!(world.wait("greeter", "cut").await, Status::Succeeded);
        let asked = json!({ "executionArn": execution_arn("greeter", "cut") });
        let told = world.call("GetExecutionHistory", &asked);
        let failed: Vec<&Value> = told["events"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|event| event["type"] == "TaskFailed")
            .map(|event| &event["taskFailedEventDetails"]["error"])
            .collect();
        assert_eq!(failed, ["Lambda.ServiceException"]);
    });
}

#[test]
fn executions_at_rest_are_looked_at_and_stopped_and_nothing_is_called() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Hangs);
    live(folder.path(), &script, &greeter(), async |world| {
        for name in ["one", "two"] {
            world.start("greeter", name, &json!({}));
        }
    });
    script.called.lock().expect("no test panicked").clear();
    script.set("greet", Does::Echoes);
    rest(folder.path(), &script, &greeter(), async |world| {
        assert_eq!(world.describe("greeter", "one")["status"], "RUNNING");
        world.call("StopExecution", &json!({ "executionArn": execution_arn("greeter", "two") }));
        assert_eq!(world.wait("greeter", "two").await, Status::Aborted);
    });
    assert!(script.called.lock().expect("no test panicked").is_empty());
    live(folder.path(), &script, &greeter(), async |world| {
        assert_eq!(world.wait("greeter", "one").await, Status::Succeeded);
        assert_eq!(world.describe("greeter", "two")["status"], "ABORTED");
    });
}

#[test]
fn a_wait_goes_on_after_a_restart() {
    let folder = tempdir().expect("a temporary folder");
    let waiter = json!({
        "StartAt": "Wait",
        "States": { "Wait": { "Type": "Wait", "Seconds": 1, "End": true } },
    });
    let script = Script::new("none", Does::Echoes);
    let machines = [("waiter", waiter)];
    live(folder.path(), &script, &machines, async |world| world.start("waiter", "slow", &json!(1)));
    live(folder.path(), &script, &machines, async |world| {
        assert_eq!(world.wait("waiter", "slow").await, Status::Succeeded);
        assert_eq!(world.describe("waiter", "slow")["output"], "1");
    });
}

#[test]
fn a_journal_of_earlier_versions_is_read_and_its_cut_last_line_dropped() {
    let folder = tempdir().expect("a temporary folder");
    let start = json!({
        "at": "2026-01-01T00:00:00Z",
        "identity": {
            "arn": execution_arn("greeter", "old"), "name": "old",
            "machine_arn": "arn:aws:states:eu-west-2:000000000000:stateMachine:greeter", "machine_name": "greeter",
            "role_arn": "arn:aws:iam::000000000000:role/greeter",
        },
        "input": { "FunctionName": "greet", "Payload": {} },
        "definition": {
            "StartAt": "Work",
            "States": { "Work": { "Type": "Task", "Resource": Resource::LAMBDA_INVOKE, "End": true } },
        },
    });
    let lines = [
        start.to_string(),
        r#"{"at":"2026-01-01T00:00:01Z","random":7,"signal":"task_failed","token":1,"error":"Probe.Failed","cause":"why"}"#
            .to_owned(),
        r#"{"at":"2026-01-01T00:00:02Z","random":7,"signal":"redrive"}"#.to_owned(),
        r#"{"at":"2026-01-01T00:00:03Z","random":7,"signal":"stop","error":"Operator.Changed","cause":null}"#.to_owned(),
        r#"{"at":"2026-01-01T00:00:04Z","rand"#.to_owned(),
    ];
    fs::write(folder.path().join("20260101T000000000Z-0123456789ab.jsonl"), lines.join("\n")).expect("a file");
    // The service was killed while it wrote the first line: nobody was told that these had started.
    for (name, cut) in
        [("20260101T000000001Z-000000000000.jsonl", ""), ("20260101T000000002Z-000000000000.jsonl", "{\"at\"")]
    {
        fs::write(folder.path().join(name), cut).expect("a file");
    }
    live(folder.path(), &Script::new("none", Does::Echoes), &greeter(), async |world| {
        assert_eq!(world.listed("greeter"), ["old"]);
        let old = world.describe("greeter", "old");
        assert_eq!((&old["status"], &old["error"]), (&json!("ABORTED"), &json!("Operator.Changed")));
        assert_eq!((&old["redriveCount"], old.get("cause")), (&json!(1), None));
        world.call("RedriveExecution", &json!({ "executionArn": execution_arn("greeter", "old") }));
        assert_eq!(world.redriven("greeter", "old", 2).await, Status::Succeeded);
    });
    // What happened after the cut is told as well.
    live(folder.path(), &Script::new("none", Does::Echoes), &greeter(), async |world| {
        assert_eq!(world.describe("greeter", "old")["status"], "SUCCEEDED");
    });
}
