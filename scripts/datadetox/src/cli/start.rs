//! `start`: a run of the stack that runs here, or in AWS.

use anyhow::{Context as _, Result};
use clap::Args;

use super::{Follow, Outcome, Reading};
use crate::catalogue::Project;
use crate::place::Where;
use crate::{run, say};

/// Start a run of the stack that runs here, or in AWS.
///
/// Exits as `run` does; with --detach as soon as the run is started.
#[derive(Args, Debug)]
pub(super) struct Start {
    #[command(flatten)]
    pub(super) at: Where,
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    follow: Follow,
}

impl Start {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        let orchestrator = self.at.find(project).await?.with_context(|| {
            let home = project.home.display();
            format!("no stack runs in {home}; start one with `datadetox`, run once with `datadetox run`, or name AWS with --aws")
        })?;
        if self.follow.detach {
            say::data(&orchestrator.start(self.reading.input()).await?);
            return Ok(Outcome::Good);
        }
        let deployment = self.at.deployment(project)?;
        let patience = deployment.catalog.pipeline.timeout;
        Ok(run::start(&orchestrator, &deployment, self.reading.input(), self.follow.json, patience).await?.into())
    }
}
