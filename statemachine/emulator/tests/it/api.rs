//! The API's operations on one machine.

use std::sync::Arc;

use asl::Status;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::world::{Does, Script, World, execution_arn, live, machine_arn, one_task};

fn alone<S: Future>(script: &Arc<Script>, story: impl FnOnce(World) -> S) -> S::Output {
    let folder = tempdir().expect("a temporary folder");
    live(folder.path(), script, &[("greeter", one_task("greet"))], story)
}

fn start(name: &str, input: &str) -> Value {
    json!({ "stateMachineArn": machine_arn("greeter"), "name": name, "input": input })
}

/// So many arrays in one another.
fn nested(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

#[test]
fn what_nests_as_deep_as_is_taken_outlives_a_restart() {
    let folder = tempdir().expect("a temporary folder");
    let machines = [("greeter", one_task("greet"))];
    let script = Arc::default();
    live(folder.path(), &script, &machines, async |world| {
        world.call("StartExecution", &start("deep", &nested(64)));
        assert_eq!(world.wait("greeter", "deep").await, Status::Succeeded);
    });
    live(folder.path(), &script, &machines, async |world| {
        assert_eq!(world.describe("greeter", "deep")["output"], nested(64));
    });
}

#[test]
fn an_answer_that_nests_too_deep_fails_its_task_and_the_journal_is_read_again() {
    let folder = tempdir().expect("a temporary folder");
    let machines = [("greeter", one_task("greet"))];
    let script = Script::new("greet", Does::Nests(124));
    live(folder.path(), &script, &machines, async |world| {
        assert_eq!(world.run("greeter", "deep", &json!({})).await, Status::Failed);
        assert_eq!(world.describe("greeter", "deep")["error"], "States.DataLimitExceeded");
    });
    live(folder.path(), &script, &machines, async |world| {
        assert_eq!(world.describe("greeter", "deep")["error"], "States.DataLimitExceeded");
    });
}

#[test]
fn an_execution_is_started_and_described() {
    alone(&Arc::default(), async |world| {
        assert_eq!(world.run("greeter", "first", &json!({ "a": 1 })).await, Status::Succeeded);
        let described = world.describe("greeter", "first");
        assert_eq!((&described["status"], &described["input"]), (&json!("SUCCEEDED"), &json!("{\"a\":1}")));
        assert_eq!((&described["output"], described.get("error")), (&json!("{\"a\":1}"), None));
        assert_eq!(described["stateMachineArn"], machine_arn("greeter"));
        assert_eq!(described["redriveStatusReason"], "Execution is SUCCEEDED and cannot be redriven");
        assert!(described["startDate"].is_number() && described["stopDate"].is_number());
    });
}

#[test]
fn an_execution_without_name_gets_one_and_without_input_an_empty_one() {
    alone(&Arc::default(), async |world| {
        let started = world.call("StartExecution", &json!({ "stateMachineArn": machine_arn("greeter") }));
        let arn = started["executionArn"].as_str().expect("an ARN");
        world.states.find(arn).expect("it was started").ended().await;
        assert_eq!(world.call("DescribeExecution", &json!({ "executionArn": arn }))["output"], "{}");
    });
}

#[test]
fn what_cannot_be_started_is_refused_by_name() {
    alone(&Arc::default(), async |world| {
        for name in ["a b", "a/b", "", ".", "..", &"n".repeat(81)] {
            assert_eq!(world.refusal("StartExecution", &start(name, "{}")), "InvalidName", "{name:?}");
        }
        assert_eq!(world.refusal("StartExecution", &start("bad-input", "{")), "InvalidExecutionInput");
        let long = format!("\"{}\"", "a".repeat(262_144));
        assert_eq!(world.refusal("StartExecution", &start("long-input", &long)), "ValidationException");
        // One level deeper than is taken, and as deep as no journal could be read again.
        for levels in [65, 120, 125] {
            let deep = start("deep-input", &nested(levels));
            assert_eq!(world.refusal("StartExecution", &deep), "InvalidExecutionInput", "{levels}");
        }
        let elsewhere = json!({ "stateMachineArn": machine_arn("greeterx") });
        assert_eq!(world.refusal("StartExecution", &elsewhere), "StateMachineDoesNotExist");
        assert!(world.listed("greeter").is_empty());
    });
}

#[test]
fn one_name_and_input_is_one_execution_while_it_runs() {
    alone(&Script::new("greet", Does::Hangs), async |world| {
        let first = world.call("StartExecution", &start("once", "{\"a\": 1}"));
        assert_eq!(world.call("StartExecution", &start("once", "{\"a\":1}")), first);
        assert_eq!(world.refusal("StartExecution", &start("once", "{}")), "ExecutionAlreadyExists");
        world.call("StopExecution", &json!({ "executionArn": execution_arn("greeter", "once") }));
        assert_eq!(world.wait("greeter", "once").await, Status::Aborted);
        assert_eq!(world.refusal("StartExecution", &start("once", "{\"a\": 1}")), "ExecutionAlreadyExists");
        assert_eq!(world.listed("greeter"), ["once"]);
    });
}

#[test]
fn a_stopped_execution_keeps_what_was_said() {
    alone(&Script::new("greet", Does::Hangs), async |world| {
        world.start("greeter", "long", &json!({}));
        let arn = execution_arn("greeter", "long");
        world
            .call("StopExecution", &json!({ "executionArn": arn, "error": "Operator.Changed", "cause": "not wanted" }));
        assert_eq!(world.wait("greeter", "long").await, Status::Aborted);
        let stopped = world.describe("greeter", "long");
        assert_eq!((&stopped["status"], &stopped["error"]), (&json!("ABORTED"), &json!("Operator.Changed")));
        assert_eq!((&stopped["cause"], &stopped["redriveStatus"]), (&json!("not wanted"), &json!("REDRIVABLE")));
        let again = world.call("StopExecution", &json!({ "executionArn": arn }));
        assert_eq!(again["stopDate"], stopped["stopDate"], "it ended when it ended");
    });
}

#[test]
fn executions_are_listed_newest_first_by_status_and_in_pages() {
    let script = Script::new("greet", Does::Echoes);
    alone(&script, async |world| {
        for name in ["a", "b", "c"] {
            world.run("greeter", name, &json!({})).await;
            // Two that start in one millisecond are listed by name.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        script.set("greet", Does::Fails("Probe.Failed"));
        world.run("greeter", "d", &json!({})).await;
        assert_eq!(world.listed("greeter"), ["d", "c", "b", "a"]);

        let names = |answer: &Value| -> Vec<String> {
            let list = answer["executions"].as_array().expect("a list").iter();
            list.map(|execution| execution["name"].as_str().expect("a name").to_owned()).collect()
        };
        let mut asked =
            json!({ "stateMachineArn": machine_arn("greeter"), "statusFilter": "SUCCEEDED", "maxResults": 2 });
        let first = world.call("ListExecutions", &asked);
        asked["nextToken"] = first["nextToken"].clone();
        let second = world.call("ListExecutions", &asked);
        assert_eq!((names(&first), names(&second)), (vec!["c".into(), "b".into()], vec!["a".into()]));
        assert_eq!(second.get("nextToken"), None);

        asked["nextToken"] = json!("x");
        assert_eq!(world.refusal("ListExecutions", &asked), "InvalidToken");
        asked["maxResults"] = json!(1_001);
        assert_eq!(world.refusal("ListExecutions", &asked), "ValidationException");
        let filtered = json!({ "stateMachineArn": machine_arn("greeter"), "redriveFilter": "REDRIVEN" });
        assert_eq!(world.refusal("ListExecutions", &filtered), "ValidationException");
    });
}

#[test]
fn history_comes_in_pages_forwards_and_backwards_with_data_and_without() {
    alone(&Arc::default(), async |world| {
        world.run("greeter", "told", &json!({ "a": 1 })).await;
        let mut asked = json!({ "executionArn": execution_arn("greeter", "told"), "maxResults": 3 });
        let mut kinds = Vec::new();
        loop {
            let page = world.call("GetExecutionHistory", &asked);
            let events = page["events"].as_array().expect("a list");
            assert!(events.len() <= 3);
            kinds.extend(events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()));
            let Some(next) = page.get("nextToken") else { break };
            asked["nextToken"] = next.clone();
        }
        assert_eq!(
            kinds,
            [
                "ExecutionStarted",
                "TaskStateEntered",
                "TaskScheduled",
                "TaskStarted",
                "TaskSucceeded",
                "TaskStateExited",
                "ExecutionSucceeded"
            ]
        );
        let mut asked =
            json!({ "executionArn": execution_arn("greeter", "told"), "reverseOrder": true, "maxResults": 1 });
        let last = world.call("GetExecutionHistory", &asked)["events"][0].clone();
        assert_eq!((&last["id"], &last["executionSucceededEventDetails"]["output"]), (&json!(7), &json!("{\"a\":1}")));
        asked["includeExecutionData"] = json!(false);
        let bare = world.call("GetExecutionHistory", &asked)["events"][0].clone();
        assert_eq!(bare["executionSucceededEventDetails"], json!({ "outputDetails": { "truncated": false } }));
    });
}

#[test]
fn history_that_grows_is_read_backwards_without_a_gap_or_a_repetition() {
    let folder = tempdir().expect("a temporary folder");
    let gate = folder.path().join("gate");
    std::fs::write(&gate, "").expect("it can be written");
    let script = Script::new("greet", Does::Waits(gate.clone()));
    live(folder.path(), &script, &[("greeter", one_task("greet"))], async |world| {
        world.start("greeter", "grows", &json!({}));
        let arn = execution_arn("greeter", "grows");
        let mut asked = json!({ "executionArn": arn, "reverseOrder": true, "maxResults": 2 });
        let mut page = world.call("GetExecutionHistory", &asked);
        std::fs::remove_file(&gate).expect("it is there");
        assert_eq!(world.wait("greeter", "grows").await, Status::Succeeded);
        let mut ids = Vec::new();
        loop {
            ids.extend(page["events"].as_array().expect("a list").iter().map(|event| event["id"].clone()));
            let Some(next) = page.get("nextToken") else { break };
            asked["nextToken"] = next.clone();
            page = world.call("GetExecutionHistory", &asked);
        }
        assert_eq!(ids, [4, 3, 2, 1]);

        for (token, events) in [("18446744073709551615", 0), ("5", 2)] {
            let beyond = json!({ "executionArn": arn, "nextToken": token });
            let page = world.call("GetExecutionHistory", &beyond);
            assert_eq!(page["events"].as_array().map(Vec::len), Some(events), "{token}");
        }
        asked["nextToken"] = json!("-1");
        assert_eq!(world.refusal("GetExecutionHistory", &asked), "InvalidToken");
    });
}

#[test]
fn the_definition_of_an_execution_is_the_one_it_was_started_with() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Hangs);
    live(folder.path(), &script, &[("greeter", one_task("greet"))], async |world| {
        world.start("greeter", "runs", &json!({}));
        world.start("greeter", "ends", &json!({}));
        world.call("StopExecution", &json!({ "executionArn": execution_arn("greeter", "ends") }));
        assert_eq!(world.wait("greeter", "ends").await, Status::Aborted);
    });
    live(folder.path(), &script, &[("greeter", one_task("another"))], async |world| {
        for name in ["runs", "ends"] {
            let asked = json!({ "executionArn": execution_arn("greeter", name) });
            let told = world.call("DescribeStateMachineForExecution", &asked);
            let expected = json!({
                "stateMachineArn": machine_arn("greeter"),
                "name": "greeter",
                "definition": one_task("greet").to_string(),
                "roleArn": "arn:aws:iam::000000000000:role/greeter",
                "updateDate": 0,
            });
            assert_eq!(told, expected, "{name}");
        }
    });
}

#[test]
fn what_is_not_there_or_not_supported_is_refused_by_name() {
    alone(&Arc::default(), async |world| {
        let none = json!({ "executionArn": execution_arn("greeter", "none") });
        for operation in [
            "DescribeExecution",
            "StopExecution",
            "GetExecutionHistory",
            "RedriveExecution",
            "DescribeStateMachineForExecution",
        ] {
            assert_eq!(world.refusal(operation, &none), "ExecutionDoesNotExist", "{operation}");
        }
        let unknown = world.states.call("ListActivities", &json!({})).expect_err("nobody needs it");
        assert_eq!(unknown.to_string(), "UnknownOperationException: ListActivities is not supported here");
    });
}
