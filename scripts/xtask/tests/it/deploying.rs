//! `scripts/deploy`: no run meets half of a deployment, and the schedule goes on however the deployment ends.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const CATALOGUE: &str = "[pipeline]\nname = 'shop'\n[source.tables.staff]\nkey = 'id'\ncapture = 'snapshot'\n\
                         columns = { id = 'integer' }\n[dimensions.dim_staff]\nfrom = 'staff'\ncolumns = { id = 'id' }\n";

/// Terraform's lock file of the stack.
const LOCK: &str = "cdktf/cdktf.out/stacks/shop-dev/.terraform.lock.hcl";

/// A clone of a small pipeline, and the account that it is deployed to.
struct World {
    folder: TempDir,
}

impl World {
    /// Deployed, its schedule in that state, or not yet. `runs` are at work at each look, the last ones for ever.
    fn new(state: Option<&str>, runs: &Value) -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a folder") };
        for (place, text) in [
            ("pipeline.toml", CATALOGUE),
            ("cdktf/environments.toml", "[dev]\nregion = 'eu-west-2'\n"),
            (
                "cdktf/cdktf.out/manifest.json",
                r#"{ "stacks": { "shop-dev": { "workingDirectory": "stacks/shop-dev" } } }"#,
            ),
            (LOCK, "# The archives of the provider.\n"),
            ("apply", ""),
            ("calls", ""),
            ("runs.json", &runs.to_string()),
        ] {
            world.write(place, text);
        }
        if let Some(state) = state {
            world.write("schedule.json", &schedule(state).to_string());
        }
        for script in ["bundle", "deploy", "run", "smoke", "sums", "terraform"] {
            std::fs::create_dir_all(world.path("scripts")).expect("a folder");
            std::fs::copy(format!("{ROOT}/scripts/{script}"), world.path(&format!("scripts/{script}")))
                .expect("copied");
        }
        // Packages are another test's.
        let package = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fakes/package");
        std::os::unix::fs::symlink(package, world.path("scripts/package")).expect("a link");
        world
    }

    fn path(&self, place: &str) -> std::path::PathBuf {
        self.folder.path().join(place)
    }

    fn write(&self, place: &str, text: &str) {
        std::fs::create_dir_all(self.path(place).parent().expect("a folder")).expect("made");
        std::fs::write(self.path(place), text).expect("written");
    }

    fn read(&self, place: &str) -> String {
        std::fs::read_to_string(self.path(place)).unwrap_or_else(|error| panic!("{place}: {error}"))
    }

    fn command(&self, program: &Path, words: &[&str]) -> Command {
        let fakes = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fakes");
        let mut command = Command::new(program);
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("PATH", format!("{fakes}:/usr/local/bin:/usr/bin:/bin"));
        command
            .env("WORLD", self.folder.path())
            .env("XTASK", env!("CARGO_BIN_EXE_xtask"))
            .env_remove("TF_STATE_BUCKET")
            .env_remove("CARGO_TARGET_DIR");
        command
    }

    fn xtask(&self, words: &[&str]) -> Called {
        self.command(Path::new(env!("CARGO_BIN_EXE_xtask")), words).output().expect("it starts").into()
    }

    fn deploy(&self, words: &[&str]) -> Called {
        self.command(&self.path("scripts/deploy"), words).output().expect("it starts").into()
    }

    fn schedule(&self) -> Value {
        serde_json::from_str(&self.read("schedule.json")).expect("it is JSON")
    }

    fn assert_calls(&self, expected: &Expect) {
        expected.assert_eq(&self.read("calls"));
    }
}

/// What a call came to.
#[derive(Debug)]
struct Called {
    code: Option<i32>,
    out: String,
    told: String,
}

impl From<Output> for Called {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it prints text");
        Self { code: output.status.code(), out: text(output.stdout), told: text(output.stderr) }
    }
}

/// A schedule with members that nothing here sets: they must be there after every change.
fn schedule(state: &str) -> Value {
    json!({
        "Name": "shop-dev-schedule", "GroupName": "default", "State": state, "Description": "Runs it.",
        "ScheduleExpression": "rate(5 minutes)", "ScheduleExpressionTimezone": "Europe/London",
        "FlexibleTimeWindow": { "Mode": "OFF" }, "ActionAfterCompletion": "NONE", "KmsKeyArn": "arn:aws:kms:::key/1",
        "Target": {
            "Arn": "arn:aws:scheduler:::aws-sdk:sfn:startExecution", "RoleArn": "arn:aws:iam::123456789012:role/r",
            "Input": "{\"StateMachineArn\":\"m\"}", "RetryPolicy": { "MaximumEventAgeInSeconds": 240 },
        },
    })
}

fn idle() -> Value {
    json!([[]])
}

#[test]
fn a_paused_schedule_is_the_same_in_all_else() {
    let world = World::new(Some("ENABLED"), &idle());
    let paused = world.xtask(&["pause", "dev", "--every", "1ms"]);
    assert_eq!((paused.code, world.schedule()), (Some(0), schedule("DISABLED")), "{paused:?}");
    expect![[r"
        the schedule shop-dev-schedule is paused; to resume it: cargo xtask resume dev
        no run is at work
    "]]
    .assert_eq(&paused.told);
    assert_eq!(world.xtask(&["schedule", "dev"]).out, "DISABLED\n");
    let resumed = world.xtask(&["resume", "dev"]);
    assert_eq!((resumed.code, world.schedule()), (Some(0), schedule("ENABLED")), "{resumed:?}");
    assert_eq!(resumed.told, "the schedule shop-dev-schedule is resumed\n");
    assert_eq!(world.xtask(&["resume", "dev"]).told, "the schedule shop-dev-schedule is not paused\n");
}

#[test]
fn whoever_pauses_waits_for_every_run_that_is_at_work_and_is_told_so() {
    // The second run was started just before, and is listed late.
    let world = World::new(Some("ENABLED"), &json!([["a"], ["a"], [], ["b"], [], []]));
    let paused = world.xtask(&["pause", "dev", "--every", "1ms"]);
    assert_eq!(paused.code, Some(0), "{paused:?}");
    expect![[r"
        the schedule shop-dev-schedule is paused; to resume it: cargo xtask resume dev
        run a is at work: waiting for the end, 6h at most
        run b is at work: waiting for the end, 6h at most
        no run is at work
    "]]
    .assert_eq(&paused.told);
}

#[test]
fn a_run_that_does_not_end_is_named_with_what_stops_it() {
    let world = World::new(Some("ENABLED"), &json!([["a", "b"]]));
    let paused = world.xtask(&["pause", "dev", "--at-most", "0s"]);
    assert_eq!(paused.code, Some(1), "{paused:?}");
    expect![[r"
        the schedule shop-dev-schedule is paused; to resume it: cargo xtask resume dev
        error: runs a, b are still at work after 0s: try again later, or stop what works: datadetox stop a --aws --environment dev --region eu-west-2; datadetox stop b --aws --environment dev --region eu-west-2
    "]]
    .assert_eq(&paused.told);
}

#[test]
fn a_deployment_applies_between_two_runs() {
    let world = World::new(Some("ENABLED"), &json!([["a"], [], []]));
    let deployed = world.deploy(&["dev", "--yes"]);
    assert_eq!((deployed.code, world.schedule()), (Some(0), schedule("ENABLED")), "{deployed:?}");
    world.assert_calls(&expect![[r"
        terraform init -lockfile=readonly
        terraform plan
        aws scheduler get-schedule --name shop-dev-schedule --region eu-west-2 --output json
        aws scheduler get-schedule --name shop-dev-schedule --region eu-west-2 --output json
        aws scheduler get-schedule --name shop-dev-schedule --region eu-west-2 --output json
        aws scheduler update-schedule --region eu-west-2 --output json
          the schedule is DISABLED
        aws sts get-caller-identity --region eu-west-2 --output json
        aws stepfunctions list-executions --state-machine-arn arn:aws:states:eu-west-2:123456789012:stateMachine:shop-dev-etl --status-filter RUNNING --region eu-west-2 --output json
        aws stepfunctions list-executions --state-machine-arn arn:aws:states:eu-west-2:123456789012:stateMachine:shop-dev-etl --status-filter RUNNING --region eu-west-2 --output json
        aws stepfunctions list-executions --state-machine-arn arn:aws:states:eu-west-2:123456789012:stateMachine:shop-dev-etl --status-filter RUNNING --region eu-west-2 --output json
        terraform apply
        aws scheduler get-schedule --name shop-dev-schedule --region eu-west-2 --output json
        aws scheduler get-schedule --name shop-dev-schedule --region eu-west-2 --output json
        aws scheduler update-schedule --region eu-west-2 --output json
          the schedule is ENABLED
    "]]);
}

#[test]
fn a_first_deployment_just_applies() {
    let world = World::new(None, &Value::Null);
    let deployed = world.deploy(&["dev", "--yes"]);
    assert_eq!((deployed.code, deployed.told.as_str()), (Some(0), ""), "{deployed:?}");
    let calls = world.read("calls");
    assert!(calls.ends_with("terraform apply\n") && !calls.contains("update-schedule"), "{calls}");
}

#[test]
fn a_plan_pauses_nothing() {
    let world = World::new(Some("ENABLED"), &json!([["a"]]));
    let planned = world.deploy(&["dev", "--plan"]);
    assert_eq!(
        (planned.code, world.read("calls").as_str()),
        (Some(0), "terraform init -lockfile=readonly\nterraform plan\n"),
        "{planned:?}"
    );
}

#[test]
fn a_provider_that_no_lock_file_names_is_had_once_by_a_person() {
    let world = World::new(None, &Value::Null);
    std::fs::remove_file(world.path(LOCK)).expect("it is there");
    let refused = world.deploy(&["dev", "--yes"]);
    assert_eq!((refused.code, world.read("calls").as_str()), (Some(1), ""), "{refused:?}");
    let told = format!("error: {LOCK} is missing: scripts/deploy dev --plan makes it, then commit it\n");
    assert_eq!(refused.told, told);
    let planned = world.deploy(&["dev", "--plan"]);
    assert_eq!(
        (planned.code, world.read("calls").as_str()),
        (Some(0), "terraform init\nterraform plan\n"),
        "{planned:?}"
    );
    assert!(planned.told.contains("will be made: commit it"), "{planned:?}");
}

/// What `scripts/bundle` makes of a clone, unpacked where there is no cargo. The account stays the same.
fn bundled(clone: &World) -> World {
    for (place, text) in [
        ("cdktf/cdktf.out/stacks/shop-dev/cdk.tf.json", "{}"),
        ("target/packages/arm64/load.zip", "checked"),
        ("target/release/datadetox", ""),
        ("target/release/xtask", "#!/bin/sh\nexec \"$XTASK\" \"$@\"\n"),
    ] {
        clone.write(place, text);
    }
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(clone.path("target/release/xtask"), executable).expect("changed");
    let made = clone.command(&clone.path("scripts/bundle"), &["dev", "bundle.tar.gz"]).output().expect("it starts");
    let made = Called::from(made);
    assert_eq!(made.code, Some(0), "{made:?}");
    let world = World { folder: tempfile::tempdir().expect("a folder") };
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(clone.path("bundle.tar.gz"))
        .current_dir(world.folder.path())
        .status()
        .expect("tar starts");
    assert!(unpacked.success());
    // That digest is what the job that deploys compares.
    let sums = Command::new(world.path("scripts/sums")).arg("256").arg(clone.path("bundle.tar.gz")).output();
    assert_eq!(made.out, String::from_utf8(sums.expect("it starts").stdout).expect("a text"));
    for (place, text) in [("calls", ""), ("apply", ""), ("no-cargo", "")] {
        world.write(place, text);
    }
    for place in ["runs.json", "schedule.json"] {
        world.write(place, &clone.read(place));
    }
    world
}

#[test]
fn a_bundle_is_deployed_as_it_was_checked_and_builds_nothing() {
    let world = bundled(&World::new(Some("ENABLED"), &idle()));
    let deployed = world.deploy(&["dev", "--yes"]);
    assert_eq!((deployed.code, world.schedule()), (Some(0), schedule("ENABLED")), "{deployed:?}");
    let calls = world.read("calls");
    assert!(calls.starts_with("terraform init -plugin-dir=providers -lockfile=readonly\nterraform plan\n"), "{calls}");
    assert!(calls.contains("terraform apply\n"), "{calls}");
}

#[test]
fn a_bundle_is_not_made_without_a_provider_that_a_lock_file_names() {
    let world = World::new(None, &Value::Null);
    std::fs::remove_file(world.path(LOCK)).expect("it is there");
    world.write("target/packages/arm64/load.zip", "checked");
    let made = world.command(&world.path("scripts/bundle"), &["dev", "bundle.tar.gz"]).output().expect("it starts");
    let made = Called::from(made);
    assert_eq!((made.code, world.path("bundle.tar.gz").exists()), (Some(1), false), "{made:?}");
    assert!(made.told.contains(".terraform.lock.hcl is missing: scripts/deploy dev --plan makes it"), "{made:?}");
}

#[test]
fn a_bundle_with_another_byte_is_not_deployed() {
    let world = bundled(&World::new(Some("ENABLED"), &idle()));
    world.write("target/packages/arm64/load.zip", "checkeD");
    let refused = world.deploy(&["dev", "--yes"]);
    assert_eq!((refused.code, world.read("calls").as_str()), (Some(1), ""), "{refused:?}");
    assert!(refused.told.contains("load.zip: FAILED"), "{refused:?}");
}

#[test]
fn an_apply_that_fails_leaves_the_schedule_running() {
    let world = World::new(Some("ENABLED"), &idle());
    world.write("apply", "exit 3");
    let failed = world.deploy(&["dev", "--yes"]);
    assert_eq!((failed.code, world.schedule()), (Some(3), schedule("ENABLED")), "{failed:?}");
    assert!(world.read("calls").contains("terraform apply\n"));
}

#[test]
fn a_deployment_that_is_interrupted_leaves_the_schedule_running() {
    let world = World::new(Some("ENABLED"), &idle());
    world.write("apply", "touch \"$WORLD/applying\"; sleep 600");
    let mut deployment = world.command(&world.path("scripts/deploy"), &["dev", "--yes"]);
    // In a group of its own, which a terminal would interrupt as a whole.
    let deployment = deployment.process_group(0).stderr(Stdio::piped()).spawn().expect("it starts");
    until(&deployment, || world.path("applying").exists());
    assert_eq!(world.schedule(), schedule("DISABLED"));
    let group = format!("-{}", deployment.id());
    let killed = Command::new("kill").args(["-TERM", "--", &group]).status().expect("kill starts");
    assert!(killed.success());
    let ended: Called = deployment.wait_with_output().expect("it ends").into();
    assert_eq!((ended.code, world.schedule()), (Some(1), schedule("ENABLED")), "{ended:?}");
}

#[test]
fn a_deployment_that_is_interrupted_while_it_waits_applies_nothing() {
    let world = World::new(Some("ENABLED"), &json!([["a"]]));
    world.write("pipeline.toml", &CATALOGUE.replacen("name = 'shop'\n", "name = 'shop'\ntimeout = '1 hour'\n", 1));
    let mut deployment = world.command(&world.path("scripts/deploy"), &["dev", "--yes"]);
    let deployment = deployment.process_group(0).stderr(Stdio::piped()).spawn().expect("it starts");
    // At the second look it has told what it saw at the first.
    until(&deployment, || world.read("calls").matches("list-executions").count() > 1);
    let group = format!("-{}", deployment.id());
    assert!(Command::new("kill").args(["-TERM", "--", &group]).status().expect("kill starts").success());
    let ended: Called = deployment.wait_with_output().expect("it ends").into();
    assert_eq!((ended.code, world.schedule()), (Some(1), schedule("ENABLED")), "{ended:?}");
    assert!(ended.told.contains("run a is at work: waiting for the end, 1h at most\n"), "{ended:?}");
    assert!(!world.read("calls").contains("terraform apply"));
}

#[test]
fn a_schedule_that_cannot_be_resumed_is_told_with_what_resumes_it() {
    let world = World::new(Some("ENABLED"), &idle());
    world.write("denied", "");
    let deployed = world.deploy(&["dev", "--yes"]);
    assert_eq!((deployed.code, world.schedule()), (Some(1), schedule("DISABLED")), "{deployed:?}");
    expect![[r"
        the schedule shop-dev-schedule is paused; to resume it: cargo xtask resume dev
        no run is at work
        error: aws scheduler update-schedule: An error occurred (AccessDeniedException) when calling the operation: You may not.
        error: the schedule of dev may still be paused, and then starts no run: cargo xtask resume dev
    "]].assert_eq(&deployed.told);
}

#[test]
fn a_schedule_that_somebody_paused_stays_paused() {
    let world = World::new(Some("DISABLED"), &json!([["a"], [], []]));
    let deployed = world.deploy(&["dev", "--yes"]);
    assert_eq!((deployed.code, world.schedule()), (Some(0), schedule("DISABLED")), "{deployed:?}");
    assert!(!world.read("calls").contains("update-schedule"));
    expect![[r"
        the schedule shop-dev-schedule was paused before
        run a is at work: waiting for the end, 6h at most
        no run is at work
        the schedule of dev stays paused, as it was; to resume it: cargo xtask resume dev
    "]]
    .assert_eq(&deployed.told);
}

/// Waits until something is so, while a deployment goes on.
fn until(deployment: &Child, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "deployment {} does not come so far", deployment.id());
        std::thread::sleep(Duration::from_millis(10));
    }
}
