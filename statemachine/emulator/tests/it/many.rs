//! Ten thousand executions: of those that have ended a summary is in memory, and their journals tell the rest.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use asl::Status;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::world::{Does, Script, World, execution_arn, journal, live, machine_arn, news, one_task, until};

const MANY: usize = 10_000;

fn greeter() -> [(&'static str, Value); 1] {
    [("greeter", one_task("greet"))]
}

fn name(number: usize) -> String {
    format!("run-{number:05}")
}

fn started(number: usize) -> DateTime<Utc> {
    let first: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().expect("a time");
    first + TimeDelta::minutes(5 * i64::try_from(number).expect("a number"))
}

fn path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{}-000000000000.jsonl", started(number).format("%Y%m%dT%H%M%S%3fZ")))
}

/// Journals of executions that ended, one every five minutes; every tenth failed.
fn fill(folder: &Path) {
    for number in 0..MANY {
        let at = started(number);
        let identity = json!({
            "arn": execution_arn("greeter", &name(number)), "name": name(number),
            "machine_arn": machine_arn("greeter"), "machine_name": "greeter",
            "role_arn": "arn:aws:iam::000000000000:role/greeter",
        });
        let start =
            json!({ "at": at, "identity": identity, "input": { "number": number }, "definition": one_task("greet") });
        let happened = match number % 10 {
            0 => json!({ "signal": "task_failed", "error": "Probe.Failed", "cause": "as written" }),
            _ => json!({ "signal": "task_succeeded", "output": number }),
        };
        let mut end = json!({ "at": at + TimeDelta::seconds(1), "random": 7, "token": 1 });
        end.as_object_mut().expect("an object").extend(happened.as_object().expect("an object").clone());
        fs::write(path(folder, number), format!("{start}\n{end}\n")).expect("a file");
    }
}

/// Names of all pages of a list, in order, and how many pages there were.
fn pages(world: &World, mut asked: Value) -> (Vec<String>, usize) {
    let (mut names, mut pages) = (Vec::new(), 0);
    loop {
        let page = world.call("ListExecutions", &asked);
        let executions = page["executions"].as_array().expect("a list");
        names.extend(executions.iter().map(|execution| execution["name"].as_str().expect("a name").to_owned()));
        pages += 1;
        let Some(next) = page.get("nextToken") else { return (names, pages) };
        asked["nextToken"] = next.clone();
    }
}

/// Damages a journal so that neither its length nor its time tells of it.
fn damage_unseen(path: &Path) -> String {
    let modified = fs::metadata(path).and_then(|found| found.modified()).expect("it is there");
    let damaged = fs::read_to_string(path).expect("a journal is text").replacen("\"at\"", "\0\0\0\0", 1);
    fs::write(path, &damaged).expect("it can be written");
    File::options().append(true).open(path).and_then(|file| file.set_modified(modified)).expect("a time can be set");
    damaged
}

#[test]
fn ten_thousand_are_listed_found_and_redriven_after_a_restart_and_read_on_demand() {
    let folder = tempdir().expect("a temporary folder");
    fill(folder.path());
    let script = Script::new("greet", Does::Echoes);
    let newest_first: Vec<String> = (0..MANY).rev().map(name).collect();
    let list = json!({ "stateMachineArn": machine_arn("greeter"), "maxResults": 1_000 });
    live(folder.path(), &script, &greeter(), async |world| {
        assert_eq!(pages(&world, list.clone()), (newest_first.clone(), 10));
        assert_eq!(world.states.held_whole(), 0);
    });

    // A journal that is no journal any more is not missed by a start, which does not read it.
    let damaged = path(folder.path(), 20);
    let text = damage_unseen(&damaged);
    live(folder.path(), &script, &greeter(), async |world| {
        let away = folder.path().with_extension("away");
        fs::rename(folder.path(), &away).expect("it can be moved");
        assert_eq!(pages(&world, list.clone()), (newest_first, 10), "no journal is read");
        let mut failed = list.clone();
        failed["statusFilter"] = json!("FAILED");
        assert_eq!(pages(&world, failed), ((0..MANY).rev().filter(|number| number % 10 == 0).map(name).collect(), 1));
        fs::rename(&away, folder.path()).expect("it can be moved back");

        for number in [0, 1, 4_321, MANY - 1] {
            let described = world.describe("greeter", &name(number));
            assert_eq!(described["input"], format!("{{\"number\":{number}}}"));
            assert_eq!(described["status"], if number == 0 { "FAILED" } else { "SUCCEEDED" });
        }

        let arn = json!({ "executionArn": execution_arn("greeter", &name(10)) });
        world.call("RedriveExecution", &arn);
        assert_eq!(world.redriven("greeter", &name(10), 1).await, Status::Succeeded);
        assert_eq!(world.describe("greeter", &name(10))["output"], "{\"number\":10}");

        let lost = json!({ "executionArn": execution_arn("greeter", &name(20)) });
        assert_eq!(world.refusal("DescribeExecution", &lost), "ExecutionDoesNotExist");
        assert_eq!(fs::read_to_string(damaged.with_extension("jsonl.damaged")).expect("it is kept"), text);
        assert!(news().contains(&format!("it is kept as {}.damaged", damaged.display())));
        assert_eq!(pages(&world, list.clone()).0.len(), MANY - 1);
    });
    live(folder.path(), &script, &greeter(), async |world| {
        assert_eq!(pages(&world, list).0.len(), MANY - 1);
        assert_eq!(world.describe("greeter", &name(10))["redriveCount"], 1);
    });
}

#[test]
fn no_history_of_what_has_ended_stays_in_memory() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Fails("Probe.Failed"));
    live(folder.path(), &script, &greeter(), async |world| {
        for number in 0..30 {
            world.run("greeter", &name(number), &json!(number)).await;
        }
        until(|| world.states.held_whole() == 0).await;
        // What is looked at is kept for the next look, up to a bound.
        for number in 0..30 {
            assert_eq!(world.describe("greeter", &name(number))["input"], number.to_string());
        }
        assert_eq!(world.states.held_whole(), 8);
        script.set("greet", Does::Hangs);
        world.call("RedriveExecution", &json!({ "executionArn": execution_arn("greeter", &name(0)) }));
        assert_eq!(world.running_again("greeter", &name(0)).await, 1);
        assert_eq!(world.states.held_whole(), 9, "it is driven again");
    });
    live(folder.path(), &Script::new("greet", Does::Hangs), &greeter(), async |world| {
        assert_eq!(world.states.held_whole(), 1, "the one that runs");
    });
}

#[test]
fn pages_go_on_behind_the_last_one_whatever_is_started_meanwhile() {
    let folder = tempdir().expect("a temporary folder");
    live(folder.path(), &Arc::default(), &greeter(), async |world| {
        for number in 0..4 {
            world.run("greeter", &name(number), &json!({})).await;
        }
        let mut asked = json!({ "stateMachineArn": machine_arn("greeter"), "maxResults": 2 });
        let first = world.call("ListExecutions", &asked);
        // Of two that start in one millisecond this one is the newer.
        world.run("greeter", "the-newest", &json!({})).await;
        asked["nextToken"] = first["nextToken"].clone();
        let second = world.call("ListExecutions", &asked);
        let listed = [first, second.clone()].map(|page| page["executions"].as_array().expect("a list").clone());
        let names: HashSet<String> =
            listed.concat().iter().map(|execution| execution["name"].as_str().expect("a name").to_owned()).collect();
        assert_eq!(names, (0..4).map(name).collect());
        assert_eq!(second.get("nextToken"), None);
    });
}

/// What became of the index.
type Damage = fn(&Path);

#[test]
fn an_index_that_is_missing_cut_or_stale_costs_nothing_but_time() {
    let index = |folder: &Path| folder.join("index");
    let damage: [(&str, Damage); 4] = [
        ("missing", |index| fs::remove_file(index).expect("it is there")),
        ("cut", |index| {
            let text = fs::read_to_string(index).expect("it is text");
            fs::write(index, &text[..text.len() / 2]).expect("it can be written");
        }),
        ("binary", |index| fs::write(index, [0, 255, 10, 10, 7]).expect("it can be written")),
        ("a folder", |index| {
            fs::remove_file(index).expect("it is there");
            fs::create_dir(index).expect("a folder");
        }),
    ];
    for (damaged, damage) in damage {
        let folder = tempdir().expect("a temporary folder");
        let script = Script::new("greet", Does::Fails("Probe.Failed"));
        live(folder.path(), &script, &greeter(), async |world| {
            for name in ["one", "two"] {
                world.run("greeter", name, &json!({})).await;
            }
        });
        damage(&index(folder.path()));
        live(folder.path(), &script, &greeter(), async |world| {
            let mut names = world.listed("greeter");
            names.sort();
            assert_eq!(names, ["one", "two"], "{damaged}");
            assert_eq!(world.describe("greeter", "two")["status"], "FAILED", "{damaged}");
        });
    }
}

#[test]
fn a_journal_that_went_on_after_the_index_is_read_again() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Fails("Probe.Failed"));
    let before = live(folder.path(), &script, &greeter(), async |world| {
        world.run("greeter", "first", &json!({})).await;
        until(|| world.states.held_whole() == 0 && folder.path().join("index").exists()).await;
        fs::read(folder.path().join("index")).expect("it is there")
    });
    script.set("greet", Does::Echoes);
    live(folder.path(), &script, &greeter(), async |world| {
        world.call("RedriveExecution", &json!({ "executionArn": execution_arn("greeter", "first") }));
        assert_eq!(world.redriven("greeter", "first", 1).await, Status::Succeeded);
    });
    // As if the service had been killed before it told the index.
    fs::write(folder.path().join("index"), before).expect("it can be written");
    live(folder.path(), &script, &greeter(), async |world| {
        let listed = world.call("ListExecutions", &json!({ "stateMachineArn": machine_arn("greeter") }));
        assert_eq!(listed["executions"][0]["status"], "SUCCEEDED");
    });
}

#[test]
fn a_journal_that_cannot_be_read_now_is_not_forgotten_and_one_that_lost_its_end_is() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Fails("Probe.Failed"));
    live(folder.path(), &script, &greeter(), async |world| {
        world.run("greeter", "first", &json!({})).await;
        until(|| world.states.held_whole() == 0).await;
        let asked = json!({ "executionArn": execution_arn("greeter", "first") });
        let operations =
            ["DescribeExecution", "GetExecutionHistory", "RedriveExecution", "DescribeStateMachineForExecution"];

        // It is away, then what lies there is no file.
        let (journal, held) = (journal(folder.path()), folder.path().join("held"));
        fs::rename(&journal, &held).expect("it can be moved");
        for operation in operations {
            assert_eq!(world.refusal(operation, &asked), "ServiceException", "{operation}");
        }
        fs::create_dir(&journal).expect("a folder");
        for operation in operations {
            assert_eq!(world.refusal(operation, &asked), "ServiceException", "{operation}");
        }
        fs::remove_dir(&journal).expect("it is empty");
        fs::rename(&held, &journal).expect("it can be moved back");
        assert_eq!(world.describe("greeter", "first")["error"], "Probe.Failed");

        // Its history is in memory for the next look; a redrive reads what there is.
        let text = fs::read_to_string(&journal).expect("a journal is text");
        let first_line = &text[..=text.find('\n').expect("a line")];
        fs::write(&journal, first_line).expect("it can be written");
        assert_eq!(world.refusal("RedriveExecution", &asked), "ExecutionDoesNotExist");
        assert!(news().contains(&format!("it is kept as {}.damaged: its last lines are lost", journal.display())));
        for operation in operations {
            assert_eq!(world.refusal(operation, &asked), "ExecutionDoesNotExist", "{operation}");
        }
        // Its name is free again.
        assert_eq!(world.run("greeter", "first", &json!({})).await, Status::Failed);
    });
}
