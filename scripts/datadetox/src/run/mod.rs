//! A run: as its history tells it, as it happens, and what came of it.

mod follow;
mod report;
mod table;
mod tree;

use std::time::Duration;

use anyhow::Result;
use aws_sdk_sfn::primitives::DateTime;
use catalog::Deployment;
use catalog::message::RunInput;
use tokio::time::Instant;

pub(crate) use report::Report;
pub(crate) use runs::Ending;
pub(crate) use runs::figures::{count, duration, instant};
pub(crate) use table::table;

use crate::say;
use runs::Orchestrator;

/// Follows a run to its end, and prints on stdout what it did.
pub(crate) async fn finish(
    orchestrator: &Orchestrator,
    arn: &str,
    deployment: &Deployment,
    as_json: bool,
) -> Result<Ending> {
    let report = follow(orchestrator, arn, deployment).await?;
    report.print(as_json)
}

/// Starts a run, follows it to its end, and prints on stdout what it did. Where it ends because an older run is at work,
/// it waits for that one up to `patience` and starts again.
pub(crate) async fn start(
    orchestrator: &Orchestrator,
    deployment: &Deployment,
    input: RunInput,
    as_json: bool,
    patience: Duration,
) -> Result<Ending> {
    let deadline = Instant::now() + patience;
    loop {
        let arn = orchestrator.start(input).await?;
        let report = follow(orchestrator, &arn, deployment).await?;
        let came_second = report.ending() == Ending::AlreadyRunning;
        if !came_second || !until_alone(orchestrator, report.started(), deadline).await? {
            return report.print(as_json);
        }
    }
}

async fn follow<'d>(orchestrator: &Orchestrator, arn: &str, deployment: &'d Deployment) -> Result<Report<'d>> {
    follow::follow(orchestrator, arn).await?;
    Report::of(orchestrator, arn, deployment).await
}

/// Waits until no run that was started before `started` is at work. Answers `false` when one still is at `deadline`.
async fn until_alone(orchestrator: &Orchestrator, started: DateTime, deadline: Instant) -> Result<bool> {
    let mut ticks = tokio::time::interval(orchestrator.pace());
    let mut told = None;
    loop {
        let at_work = orchestrator.at_work().await?;
        let Some(older) = at_work.into_iter().find(|run| run.start_date < started) else { return Ok(true) };
        if Instant::now() >= deadline {
            return Ok(false);
        }
        if told.as_ref() != Some(&older.name) {
            say::line(&format!("waiting for the older run {}, which is still at work", older.name));
            told = Some(older.name);
        }
        ticks.tick().await;
    }
}
