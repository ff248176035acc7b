//! What can break, breaks with a clear message, loads nothing by half, and is healed by the next good run.

use std::path::PathBuf;

use asl::Status;
use catalog::deployment::Verb;
use sqlx::ConnectOptions as _;

use crate::world::{Run, World, execute};

impl World {
    /// Insists that a run failed in that phase with such a cause, told of it and changed nothing in the warehouse.
    async fn assert_failed(&mut self, run: &Run, error: &str, causes: &[&str]) {
        assert_eq!((run.status, run.failure.0.as_str()), (Status::Failed, error), "{run:?}");
        let alert = self.alerts().pop().expect("an alert");
        for cause in causes {
            assert!(run.failure.1.contains(cause), "{cause:?} is not in {}", run.failure.1);
            assert!(alert.contains(cause), "{cause:?} is not in {alert}");
        }
        assert!(run.failure.1.contains("to do: "), "{}", run.failure.1);
        let half = format!("SELECT count(*) FROM etl.batch WHERE batch = '{}'", run.name);
        assert_eq!(self.warehouse(&half).await, "0");
    }

    /// The only part that was read of a table in a batch.
    fn part(&self, table: &str, batch: &str) -> PathBuf {
        let folder = self.path(&format!("home/lake/totesys-ingestion/{table}/{batch}"));
        let files = std::fs::read_dir(&folder).expect("the table has objects");
        let mut parts = files.map(|file| file.expect("it can be read").path());
        parts.find(|path| path.to_string_lossy().contains("part-")).expect("the table has a part")
    }
}

/// Insists that an alert says what happened and one thing to type, without a trace of JSON.
fn assert_is_for_people(alert: &str) {
    assert!(!alert.contains(['{', '}', '\\']), "{alert}");
    let subject = alert.lines().next().and_then(|line| line.strip_prefix("Subject: ")).expect("a subject");
    assert!(subject.is_ascii() && subject.len() <= 100, "{subject}");
    let commands = alert.lines().filter(|line| line.starts_with("    datadetox ")).count();
    assert_eq!(commands, 1, "one command: {alert}");
}

/// A change that every run has something to do with.
const CHANGE: &str = "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = 1";

async fn changed() -> World {
    let mut world = World::new().await;
    world.load().await;
    world.application(CHANGE).await;
    world
}

#[tokio::test]
async fn a_wrong_password_is_access_denied_at_once() {
    let mut world = changed().await;
    let options = world.stack.postgres.as_ref().expect("a private Postgres").superuser_options("postgres");
    let mut server = options.connect().await.expect("the server answers");
    let credentials = std::fs::read_to_string(world.path("home/credentials.json")).expect("the home has credentials");
    let credentials: serde_json::Value = serde_json::from_str(&credentials).expect("they are JSON");
    let right = credentials["reader"].as_str().expect("a password");
    execute(&mut server, "ALTER ROLE reader PASSWORD 'another'").await;
    let run = world.run().await;
    let causes = ["Source.AccessDenied", "password authentication failed for user"];
    world.assert_failed(&run, "PlanFailed", &causes).await;
    assert_eq!(world.visits(&run.name, "Plan"), 1);
    let seen = format!("{run:?}{}{}", world.alerts().join(""), world.everything_written());
    assert!(!seen.contains(right), "the password is written somewhere");
    execute(&mut server, &format!("ALTER ROLE reader PASSWORD '{right}'")).await;
    world.load().await;
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_source_that_is_down_is_retried_told_and_read_when_it_is_up_again() {
    let mut world = changed().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let url = format!("postgres://reader:hunter2@{address}/totesys?sslmode=disable");
    world = world.restart(Some(url)).await;
    let run = world.run().await;
    let place = format!("cannot connect to the source at {address}");
    world.assert_failed(&run, "PlanFailed", &["Source.Unavailable", &place]).await;
    let tries = world.events(&run.name, "TaskScheduled");
    assert_eq!(tries, 1 + 5 + 2 + 1, "what the warehouse holds, four retries, an alert written and sent, and Halt");
    assert!(!format!("{run:?}{}{}", world.alerts().join(""), world.everything_written()).contains("hunter2"));
    world = world.restart(None).await;
    world.load().await;
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_full_disk_under_the_lake_fails_the_run_and_leaves_nothing_half_written() {
    let mut world = changed().await;
    // Whatever is written next lands on a device that is always full.
    let incoming = world.path("home/lake/.incoming");
    for number in 0..1_000 {
        // A name that exists was used already.
        let _ = std::os::unix::fs::symlink("/dev/full", incoming.join(number.to_string()));
    }
    let run = world.run().await;
    let causes = ["sales_order: Lake.Unavailable", "no space is left in the folder of the lake"];
    world.assert_failed(&run, "ExtractFailed", &causes[1..]).await;
    assert!(run.failure.1.contains(causes[0]), "{}", run.failure.1);
    let folder = world.path(&format!("home/lake/totesys-ingestion/sales_order/{}", run.name));
    assert!(!folder.exists() || std::fs::read_dir(&folder).expect("it can be read").next().is_none());
    std::fs::remove_dir_all(&incoming).expect("it can be removed");
    std::fs::create_dir(&incoming).expect("it can be made");
    world.load().await;
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_csv_object_that_is_damaged_under_a_run_is_named_and_the_next_run_reads_past_it() {
    let mut world = World::new().await;
    let first = world.load().await;
    // The newest whole copy of department is the first batch's, and it is damaged when it was looked at already.
    let part = world.part("department", &first.name);
    world.application("UPDATE staff SET first_name = 'New' WHERE staff_id = 1").await;
    let holder = world.hold("LOCK TABLE staff").await;
    let name = world.start(serde_json::json!({ "full": false })).await;
    world.until_state(&name, "Plan", "TaskStateExited").await;
    let mut bad = std::fs::read(&part).expect("it can be read");
    bad[20] ^= 1;
    std::fs::write(&part, &bad).expect("it can be written");
    drop(holder);
    let run = world.wait(&name).await;
    let causes = ["dim_staff", "Lake.Corrupt", "department", "SHA-256 differs"];
    world.assert_failed(&run, "TransformFailed", &causes).await;
    let healed = world.load().await;
    assert_eq!(healed.changed(), [("dim_staff".to_owned(), [0, 1])]);
    assert_eq!(
        healed.output["plan"]["tables"]["department"]["reason"], "its last copy in the lake is damaged",
        "{healed:?}"
    );
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_ended_and_told() {
    let sized = "key = \"design_id\"\ncapture = \"changes\"\ntimeout_seconds = 1";
    let edit = |text: String| text.replace("key = \"design_id\"\ncapture = \"changes\"", sized);
    let mut world = World::with_catalog(edit).await;
    let holder = world.hold("LOCK TABLE design").await;
    let run = world.run().await;
    assert_eq!(run.failure.0, "ExtractFailed");
    assert!(run.failure.1.contains("design: Sandbox.Timedout: "), "{}", run.failure.1);
    assert!(run.failure.1.contains("Task timed out after 1.00 seconds"), "{}", run.failure.1);
    drop(holder);
    // With more time the next run, and with it the schedule, heals.
    let catalog = world.path("pipeline.toml");
    let text = std::fs::read_to_string(&catalog).expect("it is there");
    std::fs::write(&catalog, text.replace("\ntimeout_seconds = 1\n", "\n")).expect("it can be written");
    world = world.restart(None).await;
    world.load().await;
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn a_function_that_holds_too_much_memory_is_ended_and_told() {
    let sized = "key = \"department_id\"\ncapture = \"snapshot\"\nmemory_mb = 128";
    let edit = |text: String| text.replace("key = \"department_id\"\ncapture = \"snapshot\"", sized);
    let mut world = World::with_catalog(edit).await;
    // One value larger than all of the function's memory.
    world.application("UPDATE department SET location = repeat('x', 150000000) WHERE department_id = 1").await;
    let run = world.run().await;
    assert_eq!(run.failure.0, "ExtractFailed");
    assert!(run.failure.1.contains("department: Runtime.ExitError: "), "{}", run.failure.1);
    assert!(run.failure.1.contains("MB of 128 MB"), "{}", run.failure.1);
    world.application("UPDATE department SET location = 'Leeds' WHERE department_id = 1").await;
    world.load().await;
    world.assert_same_as_source().await;
    world.stop().await;
}

#[tokio::test]
async fn an_alert_is_written_for_a_person() {
    let mut world = changed().await;
    world.application("REVOKE SELECT ON sales_order FROM reader").await;
    let run = world.run().await;
    let [alert] = &world.alerts()[..] else { panic!("told once: {:?}", world.alerts()) };
    assert_is_for_people(alert);
    let (name, execution) = (&run.name, world.stack.machine.execution_arn(&run.name));
    let command = world.stack.deployment.command(Verb::Redrive, name);
    let expected = [
        "Subject: totesys: Extract failed: Source.AccessDenied (sales_order)\n\n",
        "totesys: Extract failed, and the run is held.\n\n",
        "sales_order: Source.AccessDenied\n    extract sales_order: ",
        "permission denied for table sales_order\n    To do: correct the secret with the source credentials, or grant ",
        &format!("let the run go on; what it finished is not done again:\n    {command}\n\n"),
        &format!("Run: {name}\nExecution: {execution}\n"),
    ];
    for part in expected {
        assert!(alert.contains(part), "{part:?} is not in {alert}");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_input_that_is_no_object_is_told_as_every_failure_is() {
    let mut world = World::new().await;
    let inputs = [
        (serde_json::json!("x"), "the run's input is no JSON object: a text"),
        (serde_json::json!([]), "the run's input is no JSON object: a list"),
        (serde_json::json!({ "full": "yes" }), "the run's input cannot be read: "),
    ];
    for (count, (input, sentence)) in inputs.into_iter().enumerate() {
        let run = world.run_with(input).await;
        assert_eq!((run.status, run.failure.0.as_str()), (Status::Failed, "CheckpointFailed"), "{run:?}");
        assert_eq!(world.visits(&run.name, "Checkpoint"), 1, "not retried");
        let alerts = world.alerts();
        assert_eq!(alerts.len(), count + 1, "told once: {alerts:?}");
        let start = world.stack.deployment.command(Verb::Start, "");
        for part in ["Checkpoint failed: Input.Refused\n", sentence, "To do: start a run with the input {}", &start] {
            assert!(alerts[count].contains(part), "{part:?} is not in {}", alerts[count]);
        }
    }
    world.load().await;
    world.stop().await;
}

#[tokio::test]
async fn a_stopped_run_is_told_once() {
    let world = World::new().await;
    let holder = world.hold("LOCK TABLE design").await;
    let run = world.start(serde_json::json!({})).await;
    let client = aws_sdk_sfn::Client::new(world.stack.aws());
    let arn = world.stack.machine.execution_arn(&run);
    client.stop_execution().execution_arn(arn).send().await.expect("it can be stopped");
    assert_eq!(world.wait(&run).await.status, Status::Aborted);
    let [alert] = &world.alerts()[..] else { panic!("told once: {:?}", world.alerts()) };
    let told = format!("Subject: totesys: a run was stopped\n\ntotesys: run {run} was stopped.");
    assert!(alert.starts_with(&told), "{alert}");
    drop(holder);
    world.stop().await;
}

#[tokio::test]
async fn a_second_run_beside_a_running_one_ends_as_already_running() {
    let mut world = changed().await;
    let mut holder = world.hold("LOCK TABLE sales_order").await;
    let older = world.start(serde_json::json!({})).await;
    let younger = world.run().await;
    assert_eq!(younger.status, Status::Succeeded);
    assert_eq!(younger.output["plan"]["status"], "already_running");
    execute(&mut holder, "ROLLBACK").await;
    assert_eq!(world.wait(&older).await.status, Status::Succeeded);
    world.assert_same_as_source().await;
    world.stop().await;
}
