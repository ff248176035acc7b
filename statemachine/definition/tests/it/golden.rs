//! The generated definition, committed: every change of it is seen in review.

use std::sync::Arc;

use catalog::deployment::Verb;
use catalog::{Catalog, Deployment};
use serde_json::{Value, json};

use crate::shipped::{checkpoint, loaded, local_definition, totesys};
use crate::simulation::Simulation;

/// Every state of a machine and of its branches, with its name.
fn states(machine: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, state) in machine["States"].as_object().expect("states") {
        all.push((name.clone(), state.clone()));
        for branch in state["Branches"].as_array().into_iter().flatten() {
            all.extend(states(branch));
        }
    }
    all
}

#[test]
fn the_committed_definition_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../etl.asl.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let generated = format!("{}\n", serde_json::to_string_pretty(&local_definition(&totesys())).expect("JSON"));
    assert!(committed == generated, "statemachine/etl.asl.json is stale; run: cargo run -p datadetox -- synth");
}

#[test]
fn every_task_has_a_timeout_and_retries_only_what_may_pass() {
    for (name, state) in states(&local_definition(&totesys())) {
        if state["Type"] != "Task" {
            continue;
        }
        assert!(state["TimeoutSeconds"].as_u64().is_some_and(|seconds| seconds > 0), "{name}");
        for retrier in state["Retry"].as_array().expect("every task is retried") {
            assert_eq!(
                (&retrier["JitterStrategy"], retrier["MaxAttempts"].as_u64().is_some()),
                (&json!("FULL"), true),
                "{name}"
            );
            for error in retrier["ErrorEquals"].as_array().expect("names") {
                let error = error.as_str().expect("a name");
                // Our own names come from the fault table; a failed phase, a changed schema or bad data never are.
                let fault = catalog::Fault::from_name(error);
                assert!(fault.is_none_or(|fault| fault.retry().is_some()), "{name} retries {error}");
                assert!(!matches!(error, "States.ALL" | "States.Timeout"), "{name} retries {error}");
            }
        }
        assert!(state.get("Catch").is_some() || name == "Halt", "{name} has no Catch");
    }
}

#[test]
fn state_names_are_unique_and_legal_even_for_the_longest_table_names() {
    let long = "t".repeat(63);
    let text = format!(
        "[pipeline]\nname = 'p'\n[source.tables.{long}]\nkey = 'id'\ncapture = 'changes'\ncolumns = {{ id = 'integer' }}\n\
         [facts.{long}]\nfrom = '{long}'\nsurrogate_key = 'n'\ncolumns = {{ id = 'id' }}\n"
    );
    let catalog = Catalog::parse("p", &text).unwrap_or_else(|problems| panic!("{problems}"));
    for catalog in [totesys(), catalog] {
        let mut names: Vec<String> = states(&local_definition(&catalog)).into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| name.chars().count() <= 80), "{names:?}");
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "a name stands twice");
    }
}

#[test]
fn names_that_are_no_plain_words_are_found_in_the_plan() {
    let text = "[pipeline]\nname = 'p'\n[source.tables.\"Größe, 2. Wahl\"]\nkey = 'id'\ncapture = 'changes'\n\
                columns = { id = 'integer' }\n[dimensions.\"d-1\"]\nfrom = 'Größe, 2. Wahl'\ncolumns = { id = 'id' }\n";
    let catalog = Catalog::parse("p", text).unwrap_or_else(|problems| panic!("{problems}"));
    let simulation = Simulation::run(&local_definition(&catalog), json!({}), |name, given| match name {
        "p-plan" => Ok(json!({
            "status": "changed", "reason": "", "batch": {}, "source": {}, "base": null, "next": {},
            "tables": { "Größe, 2. Wahl": { "read": "whole" } }, "targets": { "d-1": { "build": true } },
        })),
        "p-checkpoint" => Ok(checkpoint(&[])),
        "p-load" => Ok(loaded(0)),
        _ => {
            assert_eq!(given["plan"].as_object().map(serde_json::Map::len), Some(1));
            Ok(json!({ "status": "done" }))
        }
    });
    assert_eq!(simulation.execution.status.name(), "SUCCEEDED");
}

/// Every text of a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn no_intrinsic_function_holds_an_escape_and_no_command_is_lost() {
    let home = "it's my {home}\\here";
    let deployment = Deployment::on_laptop_with(Arc::new(totesys()), [("--home", home.to_owned())]);
    let definition = definition::on_laptop(&deployment, String::new());
    let all = texts(&definition);
    let intrinsic: Vec<&&str> = all.iter().filter(|text| text.starts_with("States.")).collect();
    assert!(intrinsic.iter().any(|text| text.starts_with("States.Format(")), "{intrinsic:?}");
    // Engines differ in how they read an escape, and what an escape is needed for.
    assert!(intrinsic.iter().all(|text| !text.contains('\\')), "{intrinsic:?}");
    let command = deployment.command(Verb::Redrive, "RUN");
    assert!(command.contains("my {home}"), "{command}");
    assert!(all.contains(&command.as_str()), "{command} is told as it is typed");
}

#[test]
fn a_hundred_tables_stay_within_the_limits_of_step_functions() {
    let tables: String = (0..100)
        .map(|n| {
            format!("[source.tables.table_{n:03}]\nkey = 'id'\ncapture = 'changes'\ncolumns = {{ id = 'integer' }}\n")
        })
        .collect();
    let facts: String = (0..100)
        .map(|n| {
            format!("[facts.fact_{n:03}]\nfrom = 'table_{n:03}'\nsurrogate_key = 'n'\ncolumns = {{ id = 'id' }}\n")
        })
        .collect();
    let text = format!("[pipeline]\nname = 'p'\n{tables}{facts}");
    let catalog = Catalog::parse("p", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let definition = local_definition(&catalog);
    assert!(definition.to_string().len() < 1_048_576 / 2, "{}", definition.to_string().len());
    // The worst run: every table is tried as often as it may be, and fails.
    let plan = json!({
        "status": "changed", "reason": "", "batch": {}, "source": {}, "base": null, "next": {},
        "tables": (0..100).map(|n| (format!("table_{n:03}"), json!({"read": "whole"}))).collect::<serde_json::Map<_, _>>(),
        "targets": {},
    });
    let simulation = Simulation::run(&definition, json!({}), |name, _| match name {
        "p-checkpoint" => Ok(checkpoint(&[])),
        "p-plan" => Ok(plan.clone()),
        "p-halt" => Err(("ExtractFailed", "")),
        "sns" => Ok(json!({})),
        _ => Err((
            "Source.Busy",
            "{\"errorType\":\"Source.Busy\",\"errorMessage\":\"cannot read it: canceling statement due to lock timeout\"}",
        )),
    });
    assert!(simulation.execution.events.len() < 5_000, "{}", simulation.execution.events.len());
    assert_eq!(simulation.execution.failure.error.as_deref(), Some("ExtractFailed"));
}
