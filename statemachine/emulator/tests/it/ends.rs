//! Whoever is given is told of every execution that ends, and of none twice.

use asl::Status;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::world::{Does, Script, execution_arn, live, one_task};

fn ends(script: &Script) -> Vec<[String; 3]> {
    script.ended.lock().expect("no test panicked").clone()
}

fn end(name: &str, status: &str, error: &str) -> [String; 3] {
    [name, status, error].map(str::to_owned)
}

#[test]
fn every_end_is_told_once_also_of_what_is_redriven_and_ends_again() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Fails("Probe.Failed"));
    let machines = [("greeter", one_task("greet"))];
    live(folder.path(), &script, &machines, async |world| {
        world.run("greeter", "failed", &json!({})).await;
        world.call("RedriveExecution", &json!({ "executionArn": execution_arn("greeter", "failed") }));
        assert_eq!(world.redriven("greeter", "failed", 1).await, Status::Failed);
        // Stopped when it has ended, it does not end again.
        world.call("StopExecution", &json!({ "executionArn": execution_arn("greeter", "failed") }));
        script.set("greet", Does::Echoes);
        world.run("greeter", "good", &json!({})).await;
    });
    let told = [
        end("failed", "FAILED", "Probe.Failed"),
        end("failed", "FAILED", "Probe.Failed"),
        end("good", "SUCCEEDED", ""),
    ];
    assert_eq!(ends(&script), told);
    live(folder.path(), &script, &machines, async |world| {
        assert_eq!(world.describe("greeter", "failed")["status"], "FAILED");
    });
    assert_eq!(ends(&script), told, "what a journal tells is no news");
}

#[test]
fn what_is_stopped_times_out_or_breaks_at_its_first_state_is_told() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Hangs);
    let broken = json!({
        "StartAt": "Ask",
        "States": {
            "Ask": { "Type": "Choice", "Choices": [{ "Variable": "$.none", "IsNull": true, "Next": "End" }], "Default": "End" },
            "End": { "Type": "Succeed" },
        },
    });
    let mut slow: Value = one_task("greet");
    slow["TimeoutSeconds"] = json!(1);
    let machines = [("greeter", one_task("greet")), ("slow", slow), ("broken", broken)];
    live(folder.path(), &script, &machines, async |world| {
        world.start("greeter", "stopped", &json!({}));
        world.call("StopExecution", &json!({ "executionArn": execution_arn("greeter", "stopped") }));
        assert_eq!(world.wait("greeter", "stopped").await, Status::Aborted);
        assert_eq!(world.run("broken", "broken", &json!([])).await, Status::Failed);
        assert_eq!(world.run("slow", "late", &json!({})).await, Status::TimedOut);
    });
    let told = [end("stopped", "ABORTED", ""), end("broken", "FAILED", "States.Runtime"), end("late", "TIMED_OUT", "")];
    assert_eq!(ends(&script), told);
}
