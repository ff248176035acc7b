//! `redrive`: a failed run goes on.

use anyhow::{Result, bail};
use clap::Args;

use super::{Follow, Outcome};
use crate::catalogue::Project;
use crate::interruption::until_interrupted;
use crate::orchestrator::{Orchestrator, Where};
use crate::stack::StackOptions;
use crate::{run, say, stack};

/// Let a failed run go on where it failed; what is finished is not done again.
///
/// Where no stack runs here, one is started for as long as it takes: with its private databases, or with those that are
/// named as they were for the run.
#[derive(Args, Debug)]
pub(super) struct Redrive {
    #[command(flatten)]
    pub(super) at: Where,
    /// Name or ARN of the run.
    pub(super) run: String,
    #[command(flatten)]
    follow: Follow,
    #[command(flatten)]
    stack: StackOptions,
}

impl Redrive {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        let deployment = self.at.deployment(project)?;
        if let Some(orchestrator) = Orchestrator::find(project, &self.at).await? {
            return self.redrive(&orchestrator, &deployment).await;
        }
        if self.follow.detach {
            bail!("no stack runs in {}, and --detach needs one that goes on running", project.home.display());
        }
        stack::must_have_run(project)?;
        let stack = stack::open(project, &self.stack).await?;
        let orchestrator = Orchestrator::of(&stack);
        let outcome = until_interrupted(Box::pin(self.redrive(&orchestrator, &deployment)), Outcome::Bad).await;
        stack.stop().await?;
        outcome
    }

    async fn redrive(&self, orchestrator: &Orchestrator, deployment: &catalog::Deployment) -> Result<Outcome> {
        let arn = orchestrator.arn(&self.run);
        orchestrator.redrive(&arn).await?;
        if self.follow.detach {
            say::data(&arn);
            return Ok(Outcome::Good);
        }
        Ok(run::finish(orchestrator, &arn, deployment, self.follow.json).await?.into())
    }
}
