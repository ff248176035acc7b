//! `show`: one run, state by state.

use anyhow::Result;
use clap::Args;

use super::Outcome;
use crate::catalogue::Project;
use crate::place::Where;
use crate::run::Report;
use crate::stack::with_runs;

/// Show a run, state by state.
#[derive(Args, Debug)]
pub(super) struct Show {
    #[command(flatten)]
    pub(super) at: Where,
    /// Name or ARN of the run; the newest without one.
    pub(super) run: Option<String>,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        let deployment = self.at.deployment(project)?;
        let report = with_runs(project, &self.at, async |orchestrator| {
            let arn = orchestrator.arn_or_newest(self.run.as_deref()).await?;
            Report::of(orchestrator, &arn, &deployment).await
        });
        let report = report.await?;
        if self.json {
            report.print(true)?;
        } else {
            report.print_states();
        }
        Ok(Outcome::Good)
    }
}
