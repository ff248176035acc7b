//! Redrives and their client tokens.

use asl::Status;
use serde_json::json;
use tempfile::tempdir;

use crate::world::{Does, Script, execution_arn, live, one_task};

#[test]
fn a_failed_execution_goes_on_when_it_is_redriven() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Fails("Probe.Failed"));
    live(folder.path(), &script, &[("greeter", one_task("greet"))], async |world| {
        assert_eq!(world.run("greeter", "first", &json!({})).await, Status::Failed);
        let failed = world.describe("greeter", "first");
        assert_eq!((&failed["error"], &failed["cause"]), (&json!("Probe.Failed"), &json!("as scripted")));
        assert_eq!((&failed["redriveStatus"], &failed["redriveCount"]), (&json!("REDRIVABLE"), &json!(0)));

        script.set("greet", Does::Echoes);
        let asked = json!({ "executionArn": execution_arn("greeter", "first") });
        let answer = world.call("RedriveExecution", &asked);
        assert!(answer["redriveDate"].is_number(), "{answer}");
        assert_eq!(world.redriven("greeter", "first", 1).await, Status::Succeeded);
        let done = world.describe("greeter", "first");
        assert_eq!((&done["redriveCount"], done.get("error")), (&json!(1), None));
        assert_eq!(world.refusal("RedriveExecution", &asked), "ExecutionNotRedrivable");
    });
}

#[test]
fn one_client_token_redrives_once_and_another_once_more() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Fails("Probe.Failed"));
    live(folder.path(), &script, &[("greeter", one_task("greet"))], async |world| {
        world.run("greeter", "first", &json!({})).await;
        let asked = |token: &str| json!({ "executionArn": execution_arn("greeter", "first"), "clientToken": token });
        let first = world.call("RedriveExecution", &asked("one"));
        assert_eq!(world.redriven("greeter", "first", 1).await, Status::Failed);
        assert_eq!(world.call("RedriveExecution", &asked("one")), first, "the answer of then, and no second redrive");
        world.call("RedriveExecution", &asked("two"));
        assert_eq!(world.redriven("greeter", "first", 2).await, Status::Failed);
        assert_eq!(world.describe("greeter", "first")["redriveCount"], 2);
        assert_eq!(script.called.lock().expect("no test panicked").len(), 3);
    });
}

#[test]
fn a_running_execution_cannot_be_redriven() {
    let folder = tempdir().expect("a temporary folder");
    live(folder.path(), &Script::new("greet", Does::Hangs), &[("greeter", one_task("greet"))], async |world| {
        world.start("greeter", "long", &json!({}));
        let asked = json!({ "executionArn": execution_arn("greeter", "long") });
        assert_eq!(world.refusal("RedriveExecution", &asked), "ExecutionNotRedrivable");
        assert_eq!(
            world.describe("greeter", "long")["redriveStatusReason"],
            "Execution is RUNNING and cannot be redriven"
        );
    });
}
