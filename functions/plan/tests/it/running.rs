//! Of two executions the younger one steps back.

use catalog::Batch;
use catalog::message::{Checkpoint, PlanStatus};
use chrono::TimeDelta;
use testbed::{Testbed, batch};

use crate::bed;

/// A batch that started so many minutes from now.
fn at(name: &str, minutes: i64) -> Batch {
    Batch { started: host::now() + TimeDelta::minutes(minutes), ..batch(name, 0) }
}

/// Starts an execution that runs until the stack stops.
async fn start(bed: &Testbed, name: &str) {
    let client = aws_sdk_sfn::Client::new(bed.stack.aws());
    let request = client.start_execution().state_machine_arn(&bed.stack.machine.arn).name(name).input("{}");
    request.send().await.expect("an execution starts");
}

#[tokio::test]
async fn a_run_beside_an_older_one_that_still_runs_does_nothing() {
    let bed = bed().await;
    start(&bed, "running").await;
    let plan = async |bed: &Testbed, batch| crate::plan(bed, batch, &Checkpoint::default()).await;
    let younger = plan(&bed, at("younger", 5)).await.expect("it is planned");
    assert_eq!((younger.status, younger.reason.as_str()), (PlanStatus::AlreadyRunning, "running is still running"));
    assert!(younger.tables.is_empty() && younger.next.is_none());
    let older = plan(&bed, at("older", -5)).await.expect("it is planned");
    assert_eq!(older.status, PlanStatus::Changed, "what started later is not waited for");
    let itself = plan(&bed, at("running", 5)).await.expect("it is planned");
    assert_eq!(itself.status, PlanStatus::Changed, "nor is itself");
    bed.end().await;
}
