//! Many machines behind one address.

use asl::Status;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::world::{Does, Script, execution_arn, live, machine_arn, one_task};

fn two() -> [(&'static str, Value); 2] {
    [("greeter", one_task("greet")), ("waver", one_task("wave"))]
}

#[test]
fn machines_are_described_and_listed() {
    let folder = tempdir().expect("a temporary folder");
    live(folder.path(), &Script::new("greet", Does::Echoes), &two(), async |world| {
        let listed = world.call("ListStateMachines", &json!({}));
        let names: Vec<&Value> =
            listed["stateMachines"].as_array().expect("a list").iter().map(|machine| &machine["name"]).collect();
        assert_eq!(names, ["greeter", "waver"]);
        let one = world.call("ListStateMachines", &json!({ "maxResults": 1 }));
        assert_eq!((one["stateMachines"].as_array().map(Vec::len), one.get("nextToken").is_some()), (Some(1), true));
        for (name, definition) in two() {
            let machine = world.call("DescribeStateMachine", &json!({ "stateMachineArn": machine_arn(name) }));
            assert_eq!(machine["definition"], definition.to_string());
            assert_eq!(machine["roleArn"], format!("arn:aws:iam::000000000000:role/{name}"));
            assert_eq!((&machine["status"], &machine["type"]), (&json!("ACTIVE"), &json!("STANDARD")));
        }
        let none = json!({ "stateMachineArn": machine_arn("none") });
        for operation in ["DescribeStateMachine", "ListExecutions", "StartExecution"] {
            assert_eq!(world.refusal(operation, &none), "StateMachineDoesNotExist", "{operation}");
        }
    });
}

#[test]
fn machines_do_not_see_each_others_executions_even_of_one_name_and_after_a_restart() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("wave", Does::Fails("Probe.Failed"));
    live(folder.path(), &script, &two(), async |world| {
        assert_eq!(world.run("greeter", "same", &json!(1)).await, Status::Succeeded);
        assert_eq!(world.run("waver", "same", &json!(2)).await, Status::Failed);
        assert_eq!(world.run("waver", "other", &json!(3)).await, Status::Failed);
        let across = json!({ "executionArn": execution_arn("greeter", "other") });
        assert_eq!(world.refusal("DescribeExecution", &across), "ExecutionDoesNotExist");
    });
    live(folder.path(), &script, &two(), async |world| {
        assert_eq!(world.listed("greeter"), ["same"]);
        let mut waves = world.listed("waver");
        waves.sort();
        assert_eq!(waves, ["other", "same"]);
        assert_eq!(world.describe("greeter", "same")["input"], "1");
        assert_eq!(world.describe("waver", "same")["input"], "2");
    });
}

#[test]
fn what_a_definition_may_not_say_is_found_before_anything_starts() {
    let folder = tempdir().expect("a temporary folder");
    let mapped = json!({ "StartAt": "A", "States": { "A": { "Type": "Map", "End": true } } });
    let opened = std::panic::catch_unwind(|| {
        let nothing = Script::new("none", Does::Echoes);
        live(folder.path(), &nothing, &[("mapper", mapped.clone())], async |_| {});
    });
    let message = *opened.expect_err("it is refused").downcast::<String>().expect("a message");
    assert_eq!(message, "state \"A\": Type Map is not supported");
}
