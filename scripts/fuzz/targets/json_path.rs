//! A path or an intrinsic function (the first line) over data (the rest): as an InputPath and in a template it means the same.

#![no_main]

use asl::{Execution, Identity, Machine, Status};
use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|text: &str| {
    let Some((expression, data)) = text.split_once('\n') else { return };
    let Ok(data) = serde_json::from_str::<Value>(data) else { return };
    if asl::nests_too_deep(&data) {
        return; // The door refuses it.
    }
    let by_template = run(
        &json!({ "Type": "Pass", "Parameters": { "value.$": expression }, "OutputPath": "$.value", "End": true }),
        &data,
    );
    if !expression.starts_with('$') {
        assert_eq!(run(&json!({ "Type": "Pass", "InputPath": expression, "End": true }), &data), None, "no path");
        return;
    }
    let by_path = run(&json!({ "Type": "Pass", "InputPath": expression, "End": true }), &data);
    assert_eq!(by_template.is_some(), by_path.is_some(), "it is a path in one place alone");
    if let (Some(Ok(in_template)), Some(Ok(as_path))) = (&by_template, &by_path)
        && !expression.starts_with("$$")
    {
        assert_eq!(in_template, as_path);
    }
});

/// What a machine of that one state makes of the data, `None` where it is no definition.
fn run(state: &Value, data: &Value) -> Option<Result<Value, String>> {
    let machine = Machine::parse(&json!({ "StartAt": "Only", "States": { "Only": state } })).ok()?;
    let now = DateTime::from_timestamp_millis(1_700_000_000_000).expect("a time");
    let (execution, _) = Execution::start(machine, identity(), data.clone(), now);
    assert_ne!(execution.status, Status::Running, "nothing in it waits");
    Some(execution.output.ok_or_else(|| execution.failure.error.expect("what fails has a name")))
}

fn identity() -> Identity {
    Identity {
        arn: "arn".into(),
        name: "run".into(),
        machine_arn: "arn".into(),
        machine_name: "fuzz".into(),
        role_arn: "arn".into(),
    }
}
