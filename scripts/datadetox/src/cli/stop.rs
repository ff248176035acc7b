//! `stop`: a run ends.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_sfn::types::ExecutionStatus;
use clap::Args;

use super::Outcome;
use crate::catalogue::Project;
use crate::place::Where;
use crate::say;
use crate::stack::with_runs;
use runs::Orchestrator;

/// How long a run may take to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks.
const PACE: Duration = Duration::from_millis(200);

/// Stop a run.
///
/// One that has ended is left as it is, which is no failure.
#[derive(Args, Debug)]
pub(super) struct Stop {
    #[command(flatten)]
    pub(super) at: Where,
    /// Name or ARN of the run.
    pub(super) run: String,
    /// Why, for its history.
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
}

impl Stop {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        with_runs(project, &self.at, async |orchestrator| self.stop(orchestrator).await).await
    }

    async fn stop(&self, orchestrator: &Orchestrator) -> Result<Outcome> {
        let arn = orchestrator.arn(&self.run);
        let status = orchestrator.describe(&arn).await?.status;
        if status != ExecutionStatus::Running {
            say::line(&format!("{arn} had ended already: {}", status.as_str()));
            return Ok(Outcome::Good);
        }
        orchestrator.stop(&arn, self.cause.clone()).await?;
        let mut looks = tokio::time::interval(PACE);
        let stopped = async {
            loop {
                looks.tick().await;
                let status = orchestrator.describe(&arn).await?.status;
                if status != ExecutionStatus::Running {
                    return anyhow::Ok(status);
                }
            }
        };
        let status = tokio::time::timeout(PATIENCE, stopped).await.context("the run does not stop")??;
        if status == ExecutionStatus::Aborted {
            say::line(&format!("stopped {arn}"));
        } else {
            say::line(&format!("{arn} ended before it could be stopped: {}", status.as_str()));
        }
        Ok(Outcome::Good)
    }
}
