//! The program as people and scripts call it: what it prints where, and how it exits.

use std::time::Duration;

use rustix::process::{Signal, test_kill_process};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::crashes::functions;
use crate::shell::{Shell, postgres_pid, until_gone};
use crate::world::{World, programs};

/// Statements in the private source of the stack that runs, as the application.
async fn application(shell: &Shell, sql: &str) {
    let mut command = Command::new("psql");
    command.env("PGSERVICEFILE", shell.folder.path().join(".datadetox/pg_service.conf"));
    command.args(["service=source", "-v", "ON_ERROR_STOP=1", "-qc", sql]);
    assert!(command.status().await.expect("psql").success(), "{sql}");
}

#[tokio::test]
async fn a_run_with_rows_that_wait_says_so_each_time() {
    let kept = "payment_type_name = \"payment_type_name\"";
    let cut = "payment_type_name = { from = \"payment_type_name\", type = \"varchar(2)\" }";
    let shell = Shell::new(|text| text.replace(kept, cut)).await;
    let first = shell.call(&["run", "--orders", "40"]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    // Four types that are too long, and every payment by them.
    let said = "44 rows waiting that the warehouse cannot take: SELECT * FROM etl.reject WHERE pipeline = 'totesys'";
    assert!(first.err.contains(said), "{first:?}");
    let second = shell.call(&["run"]).await;
    assert_eq!(second.out, "up to date\n", "{second:?}");
    assert!(second.err.contains(said), "{second:?}");
    assert_eq!(shell.call(&["run", "--json"]).await.json()["waiting"], 44);
}

#[tokio::test]
async fn run_loads_once_says_what_it_did_and_the_next_is_up_to_date() {
    let shell = Shell::new(|text| text).await;
    let first = shell.call(&["run", "--orders", "120"]).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let row = first.out.lines().find(|line| line.trim_start().starts_with("fact_payment")).expect("a row a target");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["fact_payment", "120", "0", "0", "0", "0"]);
    let row = first.out.lines().find(|line| line.trim_start().starts_with("staff")).expect("a row a table");
    assert!(row.contains("first read") && row.contains("20"), "{row}");
    assert!(first.out.contains("the warehouse shows the source as it was"), "{}", first.out);
    // News go to stderr, without colours where that is no terminal.
    assert!(first.err.contains("✓ Extract payment") && !first.err.contains('\u{1b}'), "{}", first.err);
    let second = shell.call(&["run"]).await;
    assert_eq!((second.code, second.out.as_str()), (Some(0), "up to date\n"), "{second:?}");
    let third = shell.call(&["run", "--full", "--json"]).await;
    let json = third.json();
    assert_eq!(
        (json["status"].as_str(), json["targets"]["fact_payment"]["unchanged"].as_u64()),
        (Some("SUCCEEDED"), Some(120))
    );
    assert_eq!(json["tables"].as_array().map(Vec::len), Some(11));
}

#[tokio::test]
async fn functions_run_from_a_folder_with_the_catalogue_beside_them_and_their_calls_to_aws_are_recorded() {
    let shell = Shell::new(|text| text).await;
    let folder = shell.folder.path().join("functions");
    std::fs::create_dir(&folder).expect("a folder");
    let missing = shell.call(&["run", "--functions", "functions"]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
    let named = missing.err.contains("is not built") && missing.err.contains("functions/checkpoint does not exist");
    assert!(named, "{}", missing.err);

    // As in an unpacked package: the catalogue is found beside the program, and nobody says where.
    let root = shell.folder.path().display();
    for function in catalog::deployment::PROGRAMS {
        let program = programs().await.join("functions");
        let script = format!(
            "#!/bin/sh\nunset DATADETOX_CATALOG\nexport LAMBDA_TASK_ROOT={root}\necho unpacked {function} >&2\nexec {}\n",
            program.display()
        );
        std::fs::write(folder.join(function), script).expect("it is written");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.join(function), executable).expect("it may run");
    }
    let run = shell.call(&["run", "--orders", "50", "--functions", "functions", "--record-calls", "calls.jsonl"]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    let log = std::fs::read_to_string(shell.folder.path().join(".datadetox/logs/totesys-load.log")).expect("a log");
    assert!(log.starts_with("unpacked load\n"), "{log}");

    let text = std::fs::read_to_string(shell.folder.path().join("calls.jsonl")).expect("a record");
    let calls: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let of = |caller: &str, action: &str| -> Vec<&Value> {
        let is_of = |call: &&Value| call["caller"] == caller && call["action"] == action;
        calls.iter().filter(is_of).map(|call| &call["resource"]).collect()
    };
    // Checkpoint, plan, a function a table and a target, load.
    assert_eq!(of("state machine", "lambda:InvokeFunction").len(), 2 + 11 + 11 + 1);
    assert_eq!(of("totesys-extract-staff", "secretsmanager:GetSecretValue"), [&json!({ "secret": "source" })]);
    assert_eq!(of("totesys-load", "secretsmanager:GetSecretValue"), [&json!({ "secret": "warehouse" })]);
    let put = of("totesys-extract-staff", "s3:PutObject");
    assert_eq!(put.len(), 2, "a part and its manifest");
    let own = |object: &&Value| {
        object["bucket"] == "ingestion" && object["key"].as_str().is_some_and(|key| key.starts_with("staff/"))
    };
    assert!(put.iter().all(own), "{put:?}");
    // Creates, and never overwrites.
    let created = |call: &&Value| call["action"] == "s3:PutObject" && call["context"]["s3:if-none-match"] == "*";
    let puts = calls.iter().filter(|call| call["action"] == "s3:PutObject").count();
    assert_eq!(calls.iter().filter(created).count(), puts);
}

#[tokio::test]
async fn a_catalogue_with_five_mistakes_starts_nothing_and_tells_all_five() {
    let edits = [
        ("schedule =", "schedul ="),
        ("currency_code = \"varchar(3)\"", "currency_code = \"varchr(3)\""),
        ("from = \"staff\"", "from = \"saff\""),
        ("unit_price = \"unit_price\"", "unit_price = \"unit_prize\""),
        ("references = \"dim_design\"", "references = \"dim_desing\""),
    ];
    let edit = |text: String| edits.iter().fold(text, |text, (old, new)| text.replacen(old, new, 1));
    let shell = Shell::new(edit).await;
    for words in [&["check"][..], &["run"], &[], &["seed"], &["synth"]] {
        let called = shell.call(words).await;
        assert_eq!(called.code, Some(1), "{called:?}");
        let told = format!("{}{}", called.out, called.err);
        for hint in ["schedule", "varchar", "staff", "unit_price", "dim_design"] {
            assert!(told.contains(&format!("did you mean \"{hint}\"")), "{words:?}: {told}");
        }
        assert!(told.contains("pipeline.toml:6:1: unknown key \"schedul\""), "{told}");
        assert!(!shell.folder.path().join(".datadetox").exists(), "{words:?} made a home");
    }
    let one = Shell::new(|text| text.replacen("schedule =", "schedul =", 1)).await;
    let mistake = one.call(&["check"]).await;
    assert!(mistake.err.contains("error: 1 mistake\n"), "{mistake:?}");
    let json = shell.call(&["check", "--json"]).await;
    assert_eq!((json.code, json.json()["mistakes"].as_array().map(Vec::len)), (Some(1), Some(5)));
}

#[tokio::test]
async fn a_running_stack_is_operated_from_other_terminals_and_ends_on_interrupt() {
    let shell = Shell::new(|text| text).await;
    let mut serving = shell.serve(&["--orders", "60"]).await;
    let endpoint = shell.stack()["endpoint"].as_str().expect("an endpoint").to_owned();
    let postgres = postgres_pid(&shell);

    let taken = shell.call(&["--home", ".datadetox"]).await;
    assert!(taken.code == Some(1) && taken.err.contains("a stack already runs in"), "{taken:?}");
    let again = shell.call(&["start"]).await;
    assert_eq!((again.code, again.out.as_str()), (Some(0), "up to date\n"), "{again:?}");
    assert_eq!(shell.call(&["run"]).await.out, "up to date\n");
    let detached = shell.call(&["start", "--full", "--detach"]).await;
    assert!(detached.out.starts_with("arn:aws:states:"), "{detached:?}");
    let arn = detached.out.trim().to_owned();
    let name = arn.rsplit(':').next().expect("a name");
    let stopped = shell.call(&["stop", name, "--cause", "not wanted"]).await;
    assert!(stopped.code == Some(0) && stopped.err.starts_with("stopped arn:"), "{stopped:?}");
    let again = shell.call(&["stop", name]).await;
    assert!(again.code == Some(0) && again.err.contains("had ended already: ABORTED"), "{again:?}");
    let runs = shell.call(&["runs", "--limit", "2"]).await;
    assert_eq!(runs.out.lines().count(), 3, "{runs:?}");
    let listed = shell.call(&["runs", "--json"]).await;
    let listed: Vec<Value> = listed.out.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    assert_eq!((listed.len(), listed[0]["arn"].as_str()), (4, Some(arn.as_str())));
    let oldest = listed[3]["name"].as_str().expect("a name");
    let shown = shell.call(&["show", oldest]).await;
    assert!(shown.out.contains("SUCCEEDED") && shown.out.contains("✓ Transform dim_date"), "{shown:?}");
    // The first run: 11 extractions, 11 transformations, checkpoint, plan and load, six states around them.
    let cost = shell.call(&["cost", oldest, "--busy", "50", "--json"]).await.json();
    let run = &cost["runs"][0];
    assert_eq!((run["runs_a_month"].as_u64(), run["invocations"].as_u64()), (Some(4_320), Some(25)));
    assert_eq!(run["transitions"].as_u64(), Some(25 + 2 + 6), "{cost}");
    assert!(run["megabyte_milliseconds"].as_u64().is_some_and(|used| used > 0), "{cost}");
    let printed = shell.call(&["cost", oldest]).await;
    assert!(printed.out.contains("a month, without alarms"), "{printed:?}");
    let none = shell.call(&["show", "none"]).await;
    assert!(none.code == Some(1) && none.err.contains("ExecutionDoesNotExist"), "{none:?}");
    let traded = shell.call(&["trade", "--every", "1ms", "--times", "3"]).await;
    assert_eq!((traded.code, traded.out.lines().count()), (Some(0), 3), "{traded:?}");
    let after = shell.call(&["start", "--json"]).await;
    assert_eq!(after.json()["load"], "loaded", "{after:?}");
    let full = shell.call(&["seed"]).await;
    assert!(full.code == Some(1) && full.err.contains("holds totesys already"), "{full:?}");

    serving.signal(Signal::INT);
    assert_eq!(serving.ended().await, Some(0));
    until_gone(|| functions(&endpoint, "").is_empty() && test_kill_process(postgres).is_err()).await;
    let gone = shell.call(&["start"]).await;
    assert!(gone.code == Some(1) && gone.err.contains("no stack runs in .datadetox"), "{gone:?}");
    let listed = shell.call(&["runs", "--limit", "9"]).await;
    assert!(listed.code == Some(0) && listed.out.contains("ABORTED") && listed.out.contains(oldest), "{listed:?}");
    assert!(!shell.folder.path().join(".datadetox/stack.json").exists(), "nobody else is led to what only looks");
}

#[tokio::test]
async fn a_failed_run_exits_with_one_names_the_cause_and_is_redriven() {
    let shell = Shell::new(|text| text).await;
    let mut serving = shell.serve(&["--orders", "60"]).await;
    application(&shell, "REVOKE SELECT ON staff FROM reader; UPDATE staff SET first_name = 'X'").await;
    let failed = shell.call(&["start"]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.out.starts_with("FAILED "), "{}", failed.out);
    assert!(failed.out.contains("staff: Source.AccessDenied: extract staff"), "{}", failed.out);
    serving.until("alert: totesys: Extract failed").await;
    let name = failed.out.lines().next().and_then(|line| line.strip_prefix("FAILED ")).expect("its name").to_owned();
    // The cause is said once, by the report; the line of the state has the error's name alone.
    let told = format!("{}{}", failed.out, failed.err);
    assert_eq!(told.matches("permission denied").count(), 1, "{told}");
    assert_eq!(told.matches("to do:").count(), 1, "{told}");
    assert!(failed.err.contains(&format!("after the repair: datadetox redrive {name}\n")), "{}", failed.err);
    let unrepaired = shell.call(&["redrive", &name, "--json"]).await;
    assert_eq!((unrepaired.code, unrepaired.json()["failures"][0]["subject"].as_str()), (Some(1), Some("staff")));
    application(&shell, "GRANT SELECT ON staff TO reader").await;
    let redriven = shell.call(&["redrive", &name]).await;
    assert_eq!(redriven.code, Some(0), "{redriven:?}");
    let row = redriven.out.lines().find(|line| line.trim_start().starts_with("dim_staff")).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["dim_staff", "0", "20", "0", "0", "0"]);
    let shown = shell.call(&["show", &name]).await;
    assert!(shown.out.contains("redriven 2×"), "{}", shown.out);
    let again = shell.call(&["redrive", &name]).await;
    assert!(again.code == Some(1) && again.err.contains("ExecutionNotRedrivable"), "{again:?}");
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended().await, Some(0));
}

#[tokio::test]
async fn what_a_run_leaves_is_operated_without_a_running_stack() {
    let shell = Shell::new(|text| text).await;
    let nothing = shell.call(&["runs"]).await;
    assert!(nothing.code == Some(1) && nothing.err.contains("no stack ever ran in .datadetox"), "{nothing:?}");
    assert!(!shell.folder.path().join(".datadetox").exists(), "asking makes no home");

    assert_eq!(shell.call(&["run", "--orders", "60"]).await.code, Some(0));
    let mut serving = shell.serve(&[]).await;
    application(&shell, "REVOKE SELECT ON staff FROM reader; UPDATE staff SET first_name = 'X'").await;
    serving.signal(Signal::INT);
    assert_eq!(serving.ended().await, Some(0));

    let failed = shell.call(&["run"]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let name = failed.out.lines().next().and_then(|line| line.strip_prefix("FAILED ")).expect("its name").to_owned();
    let shown = shell.call(&["show"]).await;
    assert!(shown.code == Some(0) && shown.out.contains("✗ Extract staff"), "{shown:?}");
    assert!(shown.out.contains("staff: Source.AccessDenied: "), "{shown:?}");
    let listed = shell.call(&["runs"]).await;
    assert!(
        listed.out.lines().nth(1).is_some_and(|line| line.contains(&name) && line.contains("FAILED")),
        "{listed:?}"
    );
    assert_eq!(shell.call(&["cost", &name]).await.code, Some(0));
    // Of itself it takes one that loaded something, the first here, and says which.
    let cost = shell.call(&["cost"]).await;
    let first = listed.out.lines().last().and_then(|line| line.split(' ').next()).expect("the first run");
    assert!(cost.code == Some(0) && cost.err == format!("from the run {first}\n"), "{cost:?}");
    assert_eq!(shell.call(&["cost", "--json"]).await.json()["run"], first);
    let stopped = shell.call(&["stop", &name]).await;
    assert!(stopped.code == Some(0) && stopped.err.contains("had ended already: FAILED"), "{stopped:?}");
    let detached = shell.call(&["redrive", &name, "--detach"]).await;
    assert!(detached.code == Some(1) && detached.err.contains("--detach needs"), "{detached:?}");
    // The printed command is the one that is typed.
    let printed =
        failed.err.lines().find_map(|line| line.strip_prefix("after the repair: datadetox ")).expect("a cure");
    let words: Vec<&str> = printed.split(' ').collect();
    let unrepaired = shell.call(&words).await;
    assert!(unrepaired.code == Some(1) && unrepaired.out.contains("Source.AccessDenied"), "{unrepaired:?}");

    let mut serving = shell.serve(&[]).await;
    application(&shell, "GRANT SELECT ON staff TO reader").await;
    serving.signal(Signal::INT);
    assert_eq!(serving.ended().await, Some(0));
    let redriven = shell.call(&words).await;
    assert_eq!(redriven.code, Some(0), "{redriven:?}");
}

#[tokio::test]
async fn a_cost_is_told_from_no_run_that_failed() {
    let shell = Shell::new(|text| text.replacen("country = \"text\"", "country = \"integer\"", 1)).await;
    let failed = shell.call(&["run", "--orders", "60"]).await;
    assert!(failed.code == Some(1) && failed.out.contains("address.country is text"), "{failed:?}");
    assert!(failed.err.ends_with("after the repair another run: datadetox run\n"), "no stack runs here: {failed:?}");
    let cost = shell.call(&["cost"]).await;
    assert!(cost.code == Some(1) && cost.err.contains("no run has succeeded yet: name the run"), "{cost:?}");
}

#[tokio::test]
async fn a_run_that_was_interrupted_rests_while_it_is_looked_at_and_the_next_run_waits_for_it() {
    let shell = Shell::new(|text| text).await;
    let mut serving = shell.serve(&["--orders", "60"]).await;
    let detached = shell.call(&["start", "--full", "--detach"]).await;
    let name = detached.out.trim().rsplit(':').next().expect("a name").to_owned();
    serving.signal(Signal::KILL);
    serving.ended().await;
    let status = async || {
        let shown = shell.call(&["show", &name, "--json"]).await;
        shown.json()["status"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(status().await, "RUNNING");
    assert_eq!(status().await, "RUNNING", "looking at it changes nothing");
    let run = shell.call(&["run"]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.err.contains(&format!("waiting for the older run {name}")), "{run:?}");
    assert_eq!(status().await, "SUCCEEDED");
}

#[tokio::test]
async fn a_stack_that_is_killed_leaves_no_process_and_its_run_goes_on_with_the_next_start() {
    let shell = Shell::new(|text| text).await;
    let mut serving = shell.serve(&["--orders", "60"]).await;
    let endpoint = shell.stack()["endpoint"].as_str().expect("an endpoint").to_owned();
    let postgres = postgres_pid(&shell);
    let detached = shell.call(&["start", "--full", "--detach"]).await;
    let name = detached.out.trim().rsplit(':').next().expect("a name").to_owned();
    serving.signal(Signal::KILL);
    serving.ended().await;
    until_gone(|| functions(&endpoint, "").is_empty() && test_kill_process(postgres).is_err()).await;
    let mut again = shell.serve(&[]).await;
    // It may have waited for the older run, which retries what was lost; then it ends well by itself.
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    let ended = async {
        loop {
            looks.tick().await;
            let shown = shell.call(&["show", &name, "--json"]).await;
            let status = shown.json()["status"].as_str().unwrap_or_default().to_owned();
            if status != "RUNNING" {
                return status;
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(120), ended).await.expect("it ends");
    assert_eq!(status, "SUCCEEDED");
    again.signal(Signal::INT);
    assert_eq!(again.ended().await, Some(0));
}

#[tokio::test]
async fn seed_takes_a_dump_and_refuses_one_that_does_not_fit() {
    let mut world = World::new().await;
    world.load().await;
    let shell = Shell::new(|text| text).await;
    let dump = shell.folder.path().join("dump");
    std::fs::create_dir(&dump).expect("a folder");
    world.dump_source(&dump).await;
    let seeded = shell.call(&["seed", "--from", "dump"]).await;
    assert_eq!(seeded.code, Some(0), "{seeded:?}");
    assert!(seeded.out.contains("payment") && seeded.out.contains("300"), "{}", seeded.out);
    let run = shell.call(&["run", "--json"]).await;
    assert_eq!(run.json()["targets"]["fact_payment"]["added"], 300);

    let other = Shell::new(|text| text).await;
    std::fs::rename(&dump, other.folder.path().join("dump")).expect("it moves");
    let staff = other.folder.path().join("dump/staff.csv");
    let text = std::fs::read_to_string(&staff).expect("it is there");
    std::fs::write(&staff, text.lines().take(3).collect::<Vec<_>>().join("\n") + "\n").expect("it can be cut");
    let refused = other.call(&["seed", "--from", "dump"]).await;
    assert!(refused.code == Some(1) && refused.err.contains("the rows do not fit the keys of totesys"), "{refused:?}");
    std::fs::remove_file(&staff).expect("it goes");
    let missing = other.call(&["seed", "--from", "dump"]).await;
    assert!(missing.code == Some(1) && missing.err.contains("staff.csv.gz"), "{missing:?}");
    world.stop().await;
}

#[tokio::test]
async fn synth_writes_the_definition_and_check_finds_a_stale_one() {
    let shell = Shell::new(|text| text).await;
    let made = shell.call(&["synth"]).await;
    assert!(made.code == Some(0) && shell.folder.path().join("statemachine/etl.asl.json").is_file(), "{made:?}");
    let nowhere = shell.call(&["synth", "--check", "--page", "nowhere.md"]).await;
    assert!(nowhere.code == Some(1) && nowhere.err.contains("cannot read nowhere.md"), "{nowhere:?}");
    let stale = shell.call(&["synth", "--check", "--definition", "etl.json"]).await;
    assert!(stale.code == Some(1) && stale.err.contains("etl.json is stale; run: datadetox synth"), "{stale:?}");
    assert_eq!(shell.call(&["synth", "--definition", "etl.json"]).await.code, Some(0));
    assert_eq!(shell.call(&["synth", "--check", "--definition", "etl.json"]).await.code, Some(0));
    let written = std::fs::read(shell.folder.path().join("etl.json")).expect("it is written");
    let committed = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../statemachine/etl.asl.json"));
    assert!(written == committed.expect("it is committed"));
}

#[tokio::test]
async fn a_wrong_command_line_exits_with_two_and_aws_without_credentials_says_so() {
    let shell = Shell::new(|text| text).await;
    assert_eq!(shell.call(&["runn"]).await.code, Some(2));
    assert_eq!(shell.call(&["runs", "--region", "eu-west-2"]).await.code, Some(2), "--region needs --aws");
    let ignored = shell.call(&["--source", "postgres://127.0.0.1/d", "run"]).await;
    assert!(ignored.code == Some(2) && ignored.err.contains("write datadetox run --source"), "{ignored:?}");
    assert!(!shell.folder.path().join(".datadetox").exists(), "nothing was started");
    let environments = "[dev]\nregion = \"eu-west-2\"\n\n[prod]\nregion = \"eu-west-2\"\n";
    std::fs::create_dir(shell.folder.path().join("cdktf")).expect("a folder");
    std::fs::write(shell.folder.path().join("cdktf/environments.toml"), environments).expect("it is written");
    let which = shell.call(&["runs", "--aws"]).await;
    assert!(which.code == Some(2) && which.err.contains("dev or prod, says cdktf/environments.toml"), "{which:?}");
    let mut command = shell.command(&["runs", "--aws", "--environment", "dev", "--region", "eu-west-2"]);
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", shell.folder.path());
    for name in ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_CONFIG_FILE"] {
        command.env_remove(name);
    }
    // Nothing outside of this machine is asked.
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let called = Shell::finish(command).await;
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.err.contains("cannot speak to Step Functions") && called.err.contains("credentials"), "{called:?}");
}
