//! Journals that are damaged, and a disk that takes no more lines.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use asl::{Resource, Status};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::world::{Does, Script, execution_arn, journal, live, news, one_task, until};

/// Two tasks, one after the other.
fn two_tasks() -> Value {
    let task = |function: &str| {
        json!({
            "Type": "Task",
            "Resource": Resource::LAMBDA_INVOKE,
            "Parameters": { "FunctionName": function, "Payload.$": "$" },
            "Retry": [{ "ErrorEquals": ["Lambda.ServiceException"], "IntervalSeconds": 1, "MaxDelaySeconds": 1, "JitterStrategy": "FULL" }],
        })
    };
    let (mut first, mut second) = (task("first"), task("second"));
    first["Next"] = json!("Second");
    second["End"] = json!(true);
    json!({ "StartAt": "First", "States": { "First": first, "Second": second } })
}

/// What became of a journal's text.
type Damage = fn(&str) -> String;

#[test]
fn a_damaged_journal_stops_nothing_is_told_and_is_kept_aside() {
    let damage: [(&str, Damage); 5] = [
        // Written by a stack that took any input: deeper than a parser reads.
        ("deep", |text| text.replacen("\"input\":{}", &format!("\"input\":{}{}", "[".repeat(127), "]".repeat(127)), 1)),
        // The disk was full in the middle of a line, and the next one was written behind it.
        ("torn", |text| {
            let lines: Vec<&str> = text.lines().collect();
            format!("{}\n{}{}\n", lines[0], &lines[1][..20], lines[1])
        }),
        ("first", |text| format!("{{}}{text}")),
        ("binary", |text| text.replacen("\"at\"", "\0\0\0\0", 2)),
        ("definition", |text| text.replace("\"Task\"", "\"Tusk\"")),
    ];
    for (name, damage) in damage {
        let folder = tempdir().expect("a temporary folder");
        let script = Script::new("greet", Does::Fails("Probe.Failed"));
        let machines = [("greeter", one_task("greet"))];
        live(folder.path(), &script, &machines, async |world| {
            assert_eq!(world.run("greeter", name, &json!({})).await, Status::Failed);
        });
        let damaged = journal(folder.path());
        let text = damage(&fs::read_to_string(&damaged).expect("a journal is text"));
        fs::write(&damaged, &text).expect("it can be written");
        // A clock of a file system may stand still for so short a time.
        let later = fs::metadata(&damaged).and_then(|found| found.modified()).expect("a time") + Duration::from_secs(1);
        File::options().append(true).open(&damaged).and_then(|file| file.set_modified(later)).expect("it can be set");
        live(folder.path(), &script, &machines, async |world| {
            world.run("greeter", "another", &json!({})).await;
            assert_eq!(world.listed("greeter"), ["another"], "{name}");
        });
        let aside = damaged.with_extension("jsonl.damaged");
        assert_eq!(fs::read_to_string(&aside).expect("it is kept"), text);
        assert!(news().contains(&format!("it is kept as {}", aside.display())), "{name}");
        live(folder.path(), &script, &machines, async |world| assert_eq!(world.listed("greeter"), ["another"]));
    }
}

#[test]
fn a_cut_line_is_told_and_what_is_empty_is_removed() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Fails("Probe.Failed"));
    let machines = [("greeter", one_task("greet"))];
    live(folder.path(), &script, &machines, async |world| {
        world.run("greeter", "cut", &json!({})).await;
    });
    let cut = journal(folder.path());
    let text = fs::read_to_string(&cut).expect("a journal is text");
    fs::write(&cut, format!("{text}{{\"at\":")).expect("it can be written");
    let empty = folder.path().join("20990101T000000000Z-000000000000.jsonl");
    fs::write(&empty, "").expect("it can be written");
    script.set("greet", Does::Echoes);
    live(folder.path(), &script, &machines, async |world| {
        assert_eq!(world.listed("greeter"), ["cut"]);
        world.call("RedriveExecution", &json!({ "executionArn": execution_arn("greeter", "cut") }));
        assert_eq!(world.redriven("greeter", "cut", 1).await, Status::Succeeded);
    });
    assert!(!empty.exists());
    for told in [&cut, &empty].map(|path| path.display().to_string()) {
        assert!(news().contains(&told), "{told}");
    }
    live(folder.path(), &script, &machines, async |world| {
        assert_eq!(world.describe("greeter", "cut")["status"], "SUCCEEDED", "written behind what was cut");
    });
}

/// Lets the first of two tasks answer while the journal is on a device that is full, and waits until that was noticed.
/// Answers the journal and where what it held lies meanwhile.
async fn fill_the_disk(folder: &Path, gate: &Path) -> (PathBuf, PathBuf) {
    let (journal, held) = (journal(folder), folder.join("held"));
    fs::rename(&journal, &held).expect("it can be moved");
    symlink("/dev/full", &journal).expect("a link");
    fs::remove_file(gate).expect("it is there");
    let waits = format!("cannot write {}: No space left on device", journal.display());
    until(|| news().contains(&waits)).await;
    (journal, held)
}

#[test]
fn what_cannot_be_written_down_has_no_effect_until_it_can() {
    let folder = tempdir().expect("a temporary folder");
    let gate = folder.path().join("gate");
    fs::write(&gate, "").expect("it can be written");
    let script = Script::new("first", Does::Waits(gate.clone()));
    let called = || script.called.lock().expect("no test panicked").clone();
    live(folder.path(), &script, &[("pair", two_tasks())], async |world| {
        world.start("pair", "waits", &json!({}));
        let (journal, held) = fill_the_disk(folder.path(), &gate).await;
        assert_eq!(
            (world.describe("pair", "waits")["status"].as_str(), called()),
            (Some("RUNNING"), vec!["first".to_owned()])
        );
        // A part of a line that did not fit is there when the disk has room again.
        let text = fs::read_to_string(&held).expect("a journal is text");
        fs::write(&held, format!("{text}{{\"at\":\"20")).expect("it can be written");
        fs::rename(&held, &journal).expect("it can be moved back");
        assert_eq!(world.wait("pair", "waits").await, Status::Succeeded);
    });
    assert_eq!(called(), ["first", "second"]);
    live(folder.path(), &script, &[("pair", two_tasks())], async |world| {
        assert_eq!(world.describe("pair", "waits")["status"], "SUCCEEDED", "the journal tells all of it");
    });
}

#[test]
fn what_was_not_written_down_did_not_happen_for_the_next_life() {
    let folder = tempdir().expect("a temporary folder");
    let gate = folder.path().join("gate");
    fs::write(&gate, "").expect("it can be written");
    let script = Script::new("first", Does::Waits(gate.clone()));
    let called = || script.called.lock().expect("no test panicked").clone();
    let (journal, held) = live(folder.path(), &script, &[("pair", two_tasks())], async |world| {
        world.start("pair", "cut", &json!({}));
        fill_the_disk(folder.path(), &gate).await
    });
    assert_eq!(called(), ["first"], "its answer led to nothing");
    fs::rename(&held, &journal).expect("it can be moved back");
    live(folder.path(), &script, &[("pair", two_tasks())], async |world| {
        assert_eq!(world.wait("pair", "cut").await, Status::Succeeded);
    });
    assert_eq!(called(), ["first", "first", "second"]);
}

#[test]
fn an_execution_whose_journal_cannot_be_made_is_not_started() {
    let folder = tempdir().expect("a temporary folder");
    let script = Script::new("greet", Does::Echoes);
    live(folder.path(), &script, &[("greeter", one_task("greet"))], async |world| {
        let journals = folder.path().to_owned();
        fs::remove_dir(&journals).expect("it is empty");
        let asked = json!({ "stateMachineArn": crate::world::machine_arn("greeter"), "name": "none" });
        assert_eq!(world.refusal("StartExecution", &asked), "ServiceException");
        assert!(world.listed("greeter").is_empty());
        fs::create_dir(&journals).expect("it can be made again");
        world.call("StartExecution", &asked);
        assert_eq!(world.wait("greeter", "none").await, Status::Succeeded);
    });
}
