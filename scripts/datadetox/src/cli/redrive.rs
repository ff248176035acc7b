//! `redrive`: a failed run goes on.

use anyhow::{Result, bail};
use clap::Args;

use super::{Follow, Outcome};
use crate::catalogue::Project;
use crate::interruption::until_interrupted;
use crate::place::Where;
use crate::stack::{Held, PATIENCE, StackOptions};
use crate::{run, say, stack};
use runs::Orchestrator;

/// Let a failed run go on where it failed; what is finished is not done again.
///
/// Where no stack runs here, one is started for as long as it takes, with the databases that the last one had. A password
/// that it was given comes from PGPASSWORD, ~/.pgpass or the URL named again.
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
        let home = match stack::hold(project, &self.at, PATIENCE).await? {
            Held::Elsewhere(orchestrator) => return self.redrive(&orchestrator, &deployment).await,
            Held::Here(home) => home,
        };
        if self.follow.detach {
            bail!("no stack runs in {}, and --detach needs one that goes on running", project.home.display());
        }
        let options = stack::as_before(project, self.stack.clone())?;
        let stack = stack::open(project, home, &options, false).await?;
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
