//! Data that nests deeper and deeper.

use asl::Status;
use serde_json::json;

use crate::simulation::Simulation;

#[test]
fn a_loop_that_wraps_its_data_ends_before_it_outgrows_the_stack() {
    let wrap = json!({ "Type": "Pass", "Parameters": { "inner.$": "$" }, "Next": "Again" });
    let again = json!({ "Type": "Choice", "Choices": [{ "Variable": "$", "IsNull": true, "Next": "Wrap" }], "Default": "Wrap" });
    let definition = json!({ "StartAt": "Wrap", "States": { "Wrap": wrap, "Again": again } });
    let ended = Simulation::run(&definition, json!({}), |_, _| Ok(json!({})));
    assert_eq!(ended.execution.status, Status::Failed);
    assert_eq!(ended.execution.failure.error.as_deref(), Some("States.DataLimitExceeded"));
    // 63 times round, each with the entry and the exit of both states.
    assert_eq!(ended.execution.events.len(), 1 + 63 * 4 + 2);
}
