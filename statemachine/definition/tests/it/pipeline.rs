//! The routes through the pipeline's own definition.

use asl::{EventKind, Status};
use catalog::Catalog;
use serde_json::{Value, json};

use crate::shipped::{checkpoint, loaded, local_definition, totesys};
use crate::simulation::{Answer, Simulation};

impl<S> Simulation<S> {
    /// What a function was given last.
    fn last_given(&self, name: &str) -> &Value {
        &self.calls.iter().rfind(|(called, _)| called == name).unwrap_or_else(|| panic!("{name} was not called")).1
    }
}

const BUSY: (&str, &str) = ("Source.Busy", "{\"errorType\":\"Source.Busy\",\"errorMessage\":\"payment is locked\"}");

fn plan(status: &str) -> Value {
    let catalog = totesys();
    let tables = catalog.source.tables.iter().map(|table| (table.name.to_string(), json!({ "read": "whole" })));
    let targets = catalog.warehouse.targets.iter().map(|target| (target.name.to_string(), json!({ "build": true })));
    json!({
        "status": status, "reason": "", "batch": { "name": "run" }, "source": { "horizon": 7 }, "base": null, "next": {},
        "tables": tables.collect::<serde_json::Map<_, _>>(), "targets": targets.collect::<serde_json::Map<_, _>>(),
    })
}

/// What `halt` writes, in short: what it was told.
fn told(given: &Value) -> Value {
    json!({ "subject": "told", "message": given.to_string() })
}

/// A pipeline in which everything succeeds, but for what `scripted` answers.
fn run(scripted: impl FnMut(&str, &Value) -> Option<Answer>) -> Simulation<impl FnMut(&str, &Value) -> Answer> {
    run_with(json!({}), scripted)
}

/// The same with an input.
fn run_with(
    input: Value,
    mut scripted: impl FnMut(&str, &Value) -> Option<Answer>,
) -> Simulation<impl FnMut(&str, &Value) -> Answer> {
    Simulation::run(&local_definition(&totesys()), input, move |name, given| {
        if let Some(answer) = scripted(name, given) {
            return answer;
        }
        match name {
            "totesys-checkpoint" => Ok(checkpoint(&[])),
            "totesys-plan" => Ok(plan("changed")),
            "totesys-load" => Ok(loaded(0)),
            "totesys-halt" if given.get("tell").is_some() => Ok(told(given)),
            "totesys-halt" if given["now"].as_u64() > given["noted"].as_u64() => Ok(given["phase"].clone()),
            "totesys-halt" => match given["phase"].as_str() {
                Some("Checkpoint") => Err(("CheckpointFailed", "")),
                Some("Plan") => Err(("PlanFailed", "")),
                Some("Extract") => Err(("ExtractFailed", "")),
                Some("Transform") => Err(("TransformFailed", "")),
                _ => Err(("LoadFailed", "")),
            },
            _ => Ok(json!({ "status": "done", "rows": 1, "bytes": 1 })),
        }
    })
}

#[test]
fn everything_succeeds() {
    let run = run(|_, _| None);
    assert_eq!(run.execution.status, Status::Succeeded);
    assert_eq!((run.count("sns"), run.count("totesys-halt"), run.calls.len()), (0, 0, 2 + 11 + 11 + 1));
    assert_eq!(run.last_given("totesys-extract-payment")["table"], "payment");
    assert_eq!(run.last_given("totesys-extract-payment")["source"]["horizon"], 7);
    assert_eq!(run.last_given("totesys-load")["extracted"].as_array().map(Vec::len), Some(11));
    let output = run.execution.output.as_ref().expect("an output");
    assert_eq!(output["extract"]["results"].as_array().map(Vec::len), Some(11));
    assert_eq!(output["load"]["status"], "loaded");
}

#[test]
fn nothing_changed_costs_two_functions_and_a_handful_of_transitions() {
    for status in ["up_to_date", "already_running"] {
        let run = run(|name, _| (name == "totesys-plan").then(|| Ok(plan(status))));
        assert_eq!((run.execution.status, run.calls.len()), (Status::Succeeded, 2), "{status}");
        let transitions =
            run.execution.events.iter().filter(|event| matches!(event.kind, EventKind::StateEntered { .. })).count();
        assert_eq!(transitions, 5, "{status}");
    }
}

#[test]
fn one_failed_table_lets_the_others_finish_notifies_once_and_halts() {
    let mut tries = 0;
    let mut run = run(move |name, _| {
        (name == "totesys-extract-payment").then(|| {
            tries += 1;
            if tries <= 5 { Err(BUSY) } else { Ok(json!({ "status": "done" })) }
        })
    });
    assert_eq!(run.execution.status, Status::Failed);
    assert_eq!(run.execution.failure.error.as_deref(), Some("ExtractFailed"));
    assert_eq!(run.count("totesys-extract-payment"), 5, "one try and four retries");
    assert_eq!((run.count("totesys-extract-staff"), run.count("totesys-transform-dim_staff")), (1, 0));
    assert_eq!(run.count("sns"), 1);
    let notice = run.last_given("sns");
    let message = notice["Message"].as_str().expect("a message");
    assert_eq!(notice["Subject"], "told");
    assert!(
        message.contains("payment is locked") && message.contains("Source.Busy") && !message.contains("staff"),
        "{message}"
    );
    assert!(
        message.contains("\"execution\":\"arn:aws:states:us-east-1:000000000000:execution:totesys-etl:run\""),
        "{message}"
    );
    assert!(message.contains("datadetox redrive RUN"), "{message}");
    assert_eq!(run.last_given("totesys-halt")["failures"][0]["subject"], "payment");

    run.redrive();
    assert_eq!(run.execution.status, Status::Succeeded);
    assert_eq!((run.count("totesys-plan"), run.count("sns")), (1, 1), "planned once, notified once");
    assert_eq!(run.count("totesys-extract-staff"), 2, "entered again, to answer from its manifest");
}

#[test]
fn a_redrive_that_fails_again_notifies_again_and_can_be_redriven_again() {
    let mut run = run(|name, _| (name == "totesys-extract-payment").then_some(Err(("Source.AccessDenied", "no"))));
    assert_eq!((run.count("totesys-extract-payment"), run.count("sns")), (1, 1), "what cannot pass is not retried");
    for redrive in 1..=2 {
        run.redrive();
        assert_eq!(run.execution.status, Status::Failed);
        assert_eq!(run.count("sns"), 1 + redrive);
        let halt = run.last_given("totesys-halt");
        assert_eq!((halt["noted"].as_u64(), halt["now"].as_u64()), (Some(redrive as u64), Some(redrive as u64)));
    }
}

#[test]
fn every_phase_halts_under_its_own_name_and_goes_on_where_it_failed() {
    for (function, error, again) in [
        ("totesys-checkpoint", "CheckpointFailed", "totesys-checkpoint"),
        // What checkpoint said may be old when the run is redriven.
        ("totesys-plan", "PlanFailed", "totesys-checkpoint"),
        ("totesys-transform-dim_date", "TransformFailed", "totesys-transform-dim_date"),
        ("totesys-load", "LoadFailed", "totesys-load"),
    ] {
        let mut broken = true;
        let mut run = run(move |name, _| {
            (name == function && std::mem::take(&mut broken)).then_some(Err(("Misconfigured", "{}")))
        });
        assert_eq!((run.execution.status, run.execution.failure.error.as_deref()), (Status::Failed, Some(error)));
        let calls = run.calls.len();
        run.redrive();
        assert_eq!(run.execution.status, Status::Succeeded, "{function}");
        let after: Vec<&str> = run.calls[calls..].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(after[0], "totesys-halt");
        assert!(after.contains(&again), "{after:?}");
        let from_the_start = again == "totesys-checkpoint";
        assert_eq!(after.contains(&"totesys-extract-staff"), from_the_start, "{after:?}");
    }
}

#[test]
fn a_function_that_does_not_answer_is_a_timeout_with_no_cause() {
    let run = run(|name, _| (name == "totesys-extract-payment").then_some(Err(("silence", ""))));
    assert_eq!(run.execution.failure.error.as_deref(), Some("ExtractFailed"));
    let failure = &run.last_given("totesys-halt")["failures"][0];
    assert_eq!((&failure["error"], &failure["cause"]), (&json!("States.Timeout"), &json!("")));
}

#[test]
fn an_unfinished_table_is_asked_again_until_it_is_done() {
    let mut slices = 0;
    let run = run(move |name, _| {
        (name == "totesys-extract-payment").then(|| {
            slices += 1;
            Ok(json!({ "status": if slices < 4 { "unfinished" } else { "done" } }))
        })
    });
    assert_eq!((run.execution.status, run.count("totesys-extract-payment")), (Status::Succeeded, 4));
    assert_eq!(run.count("totesys-transform-dim_date"), 1);
}

#[test]
fn rejected_rows_alert_and_the_run_succeeds() {
    let run = run(|name, _| (name == "totesys-load").then(|| Ok(loaded(3))));
    assert_eq!((run.execution.status, run.count("sns")), (Status::Succeeded, 1));
    let news = &run.last_given("totesys-halt")["tell"]["rejected"];
    assert_eq!(news["rows"], 3);
    assert!(news["query"].as_str().is_some_and(|query| query.contains("WHERE pipeline = 'totesys' ORDER")), "{news}");
    assert!(run.last_given("sns")["Message"].as_str().is_some_and(|text| text.contains("rejected")));
}

#[test]
fn what_checkpoint_noticed_is_told_and_the_run_goes_on() {
    let sentence = "dim_staff is made anew: it was dropped";
    let run = run(|name, _| (name == "totesys-checkpoint").then(|| Ok(checkpoint(&[sentence]))));
    assert_eq!((run.execution.status, run.count("sns"), run.count("totesys-load")), (Status::Succeeded, 1, 1));
    assert_eq!(run.last_given("totesys-halt")["tell"]["noticed"]["sentences"], json!([sentence]));
    assert_eq!(run.last_given("totesys-plan")["checkpoint"]["alerts"], json!([sentence]));

    let mut sent = false;
    let run = self::run(move |name, _| match name {
        "totesys-checkpoint" => Some(Ok(checkpoint(&[sentence]))),
        "totesys-halt" => Some(Err(("Lambda.ResourceNotFoundException", "no halt"))),
        "sns" if !std::mem::replace(&mut sent, true) => Some(Err(("SNS.NotFoundException", "Topic does not exist"))),
        _ => None,
    });
    assert_eq!((run.execution.status, run.count("totesys-load")), (Status::Succeeded, 1), "no alert stops a run");
    assert_eq!(run.last_given("sns")["Subject"], "totesys: run should be looked at");
}

#[test]
fn what_the_load_found_is_told_beside_what_was_rejected() {
    let sentence = "3 rows of fact_sales_order refer by staff_id to what is not in dim_staff";
    for (rejected, messages) in [(0, 1), (3, 2)] {
        let run = run(|name, _| {
            let mut loaded = loaded(rejected);
            (loaded["alerts"], loaded["noticed"]) = (json!([sentence]), json!(true));
            (name == "totesys-load").then_some(Ok(loaded))
        });
        assert_eq!((run.execution.status, run.count("sns")), (Status::Succeeded, messages));
        assert_eq!(run.last_given("totesys-halt")["tell"]["noticed"]["sentences"], json!([sentence]));
    }
    let run = run(|name, _| match name {
        "totesys-load" => {
            let mut loaded = loaded(0);
            (loaded["alerts"], loaded["noticed"]) = (json!([sentence]), json!(true));
            Some(Ok(loaded))
        }
        "totesys-halt" => Some(Err(("Lambda.ResourceNotFoundException", "no halt"))),
        _ => None,
    });
    assert_eq!((run.execution.status, run.count("sns")), (Status::Succeeded, 1));
    assert!(run.last_given("sns")["Message"].as_str().is_some_and(|text| text.contains("the state Load")));
}

#[test]
fn an_alert_that_cannot_be_written_is_sent_in_short() {
    // It is halt itself that cannot be called.
    let broken = |name: &str| (name == "totesys-halt").then_some(Err(("Lambda.ResourceNotFoundException", "no halt")));
    let run = run(|name, _| match name {
        "totesys-extract-payment" => Some(Err(("Source.AccessDenied", "{\"errorMessage\":\"no\"}"))),
        name => broken(name),
    });
    assert_eq!(run.execution.failure.error.as_deref(), Some("Lambda.ResourceNotFoundException"));
    let (subject, message) = (&run.last_given("sns")["Subject"], run.last_given("sns")["Message"].as_str());
    assert_eq!(subject, "totesys: Extract failed");
    let message = message.expect("a text");
    for part in [
        "failed in the run run, which is held",
        "First to fail: payment, with Source.AccessDenied",
        "\nExecution: arn:",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }

    let run = self::run(|name, _| if name == "totesys-load" { Some(Ok(loaded(3))) } else { broken(name) });
    assert_eq!((run.execution.status, run.count("sns")), (Status::Succeeded, 1));
    assert_eq!(run.last_given("sns")["Subject"], "totesys: 3 rows were rejected");
    assert!(run.last_given("sns")["Message"].as_str().is_some_and(|text| text.contains("etl.reject")));
}

#[test]
fn an_input_that_is_no_object_fails_as_every_failure_does_and_is_told() {
    for input in [json!([]), json!("x"), json!(7), json!(null), json!({ "full": "yes" })] {
        let mut run = run_with(input.clone(), |name, _| {
            (name == "totesys-checkpoint").then_some(Err(("Input.Refused", "{\"errorMessage\":\"no object\"}")))
        });
        assert_eq!(
            run.execution.failure.error.as_deref(),
            Some("CheckpointFailed"),
            "{input}: {:?}",
            run.execution.failure
        );
        assert_eq!((run.count("totesys-checkpoint"), run.count("sns")), (1, 1), "{input}: not retried, told once");
        let failure = &run.last_given("totesys-halt")["failures"][0];
        assert_eq!(failure["error"], "Input.Refused", "{input}");
        run.redrive();
        assert_eq!((run.count("totesys-checkpoint"), run.count("sns")), (2, 2), "{input}: held, and told again");
    }
}

#[test]
fn a_notice_that_cannot_be_sent_hides_no_failure() {
    let mut run = run(|name, _| match name {
        "totesys-load" => Some(Err(("Warehouse.SchemaMismatch", "{}"))),
        "sns" => Some(Err(("SNS.NotFoundException", "Topic does not exist"))),
        _ => None,
    });
    assert_eq!(run.execution.failure.error.as_deref(), Some("LoadFailed"));
    run.redrive();
    assert_eq!(run.execution.failure.error.as_deref(), Some("LoadFailed"), "it failed again, and still halts");
}

/// A catalogue of so many tables, each a fact too, with names as long as Postgres allows.
fn wide(tables: usize) -> Catalog {
    let mut text = "[pipeline]\nname = 'wide'\n".to_owned();
    for number in 0..tables {
        let name = format!("{number:03}{}", "t".repeat(60));
        text += &format!(
            "[source.tables.{name}]\nkey = 'id'\ncapture = 'changes'\ncolumns = {{ id = 'integer' }}\n\
             [facts.{name}]\nfrom = '{name}'\nsurrogate_key = 'n'\ncolumns = {{ id = 'id' }}\n"
        );
    }
    Catalog::parse("wide", &text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What plan answers when everything changed, in full length.
fn full_plan(catalog: &Catalog) -> Value {
    let batch = json!({ "name": "2026-11-23T16-08-24-652Z-scheduled", "started": "2026-11-23T16:08:24.653Z" });
    let counters = json!({ "inserted": 1_234_567, "updated": 1_234_567, "deleted": 1_234, "file": 123_456, "since": "2026-01-01 00:00:00+00" });
    let name = &batch["name"];
    let of = |each: &dyn Fn(&str) -> Value| -> Value {
        catalog.source.tables.iter().map(|table| (table.name.to_string(), each(table.name.as_str()))).collect()
    };
    let fingerprint = "0123456789abcdef".repeat(4);
    let horizon = 12_345_678_901_u64;
    let state = json!({
        "batch": name, "horizon": horizon, "counters": counters, "fingerprint": fingerprint, "read_at": batch["started"],
    });
    json!({
        "status": "changed", "reason": "100 of 100 tables are to be read", "batch": batch, "base": name,
        "source": { "identity": identity(), "horizon": horizon },
        "tables": of(&|_| json!({
            "read": "since", "horizon": horizon, "reason": "due to be read again", "expected_rows": 1_234_567,
            "definition": fingerprint, "state": state,
        })),
        "targets": of(&|table| json!({
            "build": true, "verify_key": false, "sources": { table: name }, "definition": fingerprint, "rebuild": true,
        })),
        "next": { "batch": batch, "source": identity(), "tables": {}, "targets": of(&|_| json!(fingerprint)) },
    })
}

fn identity() -> Value {
    json!({ "system": "7711399467355792664", "timeline": 1, "database": 16_387, "began": "2026-01-01 00:00:00+00" })
}

/// What checkpoint answers when every target is to be made anew, in full length.
fn full_checkpoint(catalog: &Catalog) -> Value {
    let found = "it has 12345 rows where the ledger counted 1234567: it was emptied or restored";
    let targets = catalog.warehouse.targets.iter();
    let rebuild: serde_json::Map<_, _> = targets.map(|target| (target.name.to_string(), json!(found))).collect();
    let alerts: Vec<String> = rebuild.keys().map(|target| format!("{target} is made anew: {found}")).collect();
    json!({
        "base": { "batch": "2026-11-23T16-08-24-652Z-scheduled", "source": identity(), "state": "_states/some.json" },
        "rebuild": rebuild, "warehouse": identity(), "waiting": 1_234, "alerts": alerts, "noticed": true,
    })
}

#[test]
fn a_hundred_tables_stay_below_the_limits_of_step_functions_even_when_they_fail_and_are_redriven() {
    let catalog = wide(100);
    let (plan, checkpoint) = (full_plan(&catalog), full_checkpoint(&catalog));
    let mut tries = std::collections::HashMap::new();
    let mut run = Simulation::run(&local_definition(&catalog), json!({}), move |name, given| match name {
        "wide-checkpoint" => Ok(checkpoint.clone()),
        "wide-plan" => Ok(plan.clone()),
        "wide-load" => Ok(loaded(0)),
        "wide-halt" if given.get("tell").is_some() => Ok(told(given)),
        "wide-halt" if given["now"].as_u64() > given["noted"].as_u64() => Ok(given["phase"].clone()),
        "wide-halt" => Err(("ExtractFailed", "")),
        // Every extraction fails as often as it is retried, and once more: all hundred have failed.
        _ if name.starts_with("wide-extract") => {
            let tried = tries.entry(name.to_owned()).or_insert(0);
            *tried += 1;
            if *tried <= 5 {
                Err(BUSY)
            } else {
                let state = &given["plan"]["state"];
                Ok(json!({ "table": given["table"], "status": "done", "rows": 1, "bytes": 1, "state": state }))
            }
        }
        _ => Ok(
            json!({ "target": given["target"], "status": "done", "rows": 1, "bytes": 1, "deferred": 0, "rejected": 0 }),
        ),
    });
    assert_eq!(run.execution.failure.error.as_deref(), Some("ExtractFailed"));
    run.redrive();
    assert_eq!(run.execution.status, Status::Succeeded, "{:?}", run.execution.failure);
    let events = run.execution.events.len();
    assert!((2_000..25_000).contains(&events), "{events}");
}
