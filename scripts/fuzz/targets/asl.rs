//! A definition in Amazon States Language: parsed, and a few steps of it made with services that answer and fail in turn.

#![no_main]

use std::collections::VecDeque;

use asl::{Execution, Identity, Machine, Order, Signal, Status};
use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// Signals that an execution is given before it is stopped.
const SIGNALS: u64 = 64;
/// What AWS allows a history to hold, and one end of each redrive.
const MAX_EVENTS: usize = 25_000;

fuzz_target!(|definition: &[u8]| {
    let Ok(definition) = serde_json::from_slice::<Value>(definition) else { return };
    if asl::nests_too_deep(&definition) {
        return; // The door refuses it.
    }
    let Ok(machine) = Machine::parse(&definition) else { return };
    let mut now = DateTime::from_timestamp_millis(1_700_000_000_000).expect("a time");
    let input = json!({"a": {"b": [1, 2]}, "status": "failed", "list": [{"n": 1}], "flag": true, "none": null});
    let (mut execution, orders) = Execution::start(machine, identity(), input, now);
    let mut due: VecDeque<Signal> = VecDeque::new();
    let mut pending = orders;
    for turn in 0..SIGNALS {
        for order in pending.drain(..) {
            match order {
                Order::End => assert_ne!(execution.status, Status::Running, "it ended and goes on"),
                Order::Call { token, parameters, .. } if turn % 3 == 0 => {
                    due.push_back(Signal::TaskFailed {
                        token,
                        error: "Probe".to_owned(),
                        cause: parameters.to_string(),
                    });
                }
                Order::Call { token, parameters, .. } => {
                    due.push_back(Signal::TaskSucceeded { token, output: parameters })
                }
                Order::Wake { token, at } => {
                    now = now.max(at.min(now + chrono::TimeDelta::hours(1)));
                    due.push_back(Signal::Woken { token });
                }
            }
        }
        if execution.status != Status::Running {
            break;
        }
        let signal = due.pop_front().expect("it runs and waits for something");
        pending = execution.handle(&signal, now, 500_000);
    }
    // What was told is never told otherwise: ids count up, and every event follows an earlier one.
    for (index, event) in execution.events.iter().enumerate() {
        assert_eq!(event.id, index as u64 + 1);
        assert!(event.previous < event.id, "{event:?}");
    }
    assert!(execution.events.len() <= MAX_EVENTS, "a history of {} events", execution.events.len());
    assert_eq!(execution.output.is_some(), execution.status == Status::Succeeded);
    if execution.check_redrivable().is_ok() {
        execution.handle(&Signal::Redrive, now, 0);
        assert_eq!(execution.redrives, 1);
    }
});

fn identity() -> Identity {
    Identity {
        arn: "arn:aws:states:us-east-1:000000000000:execution:fuzz:run".into(),
        name: "run".into(),
        machine_arn: "arn:aws:states:us-east-1:000000000000:stateMachine:fuzz".into(),
        machine_name: "fuzz".into(),
        role_arn: "arn:aws:iam::000000000000:role/fuzz".into(),
    }
}
