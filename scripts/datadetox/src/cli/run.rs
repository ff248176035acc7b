//! `run`: the pipeline once.

use anyhow::Result;
use clap::Args;
use local::Running;

use super::serve::fill;
use super::{Outcome, SampleOptions};
use crate::catalogue::Project;
use crate::interruption::until_interrupted;
use crate::orchestrator::{Orchestrator, Where};
use crate::stack::StackOptions;
use crate::{run, say, stack};

/// Run the pipeline once, here, and exit with its result.
///
/// Where a stack runs in the home already, it is a run of that one. Exits with 0 when the warehouse is up to date, 1 when
/// the run failed. Where an older run is at work, it waits for that one and runs again; 3 when the older one does not end
/// within the pipeline's timeout, or when a newer run overtook this one.
#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    stack: StackOptions,
    #[command(flatten)]
    sample: SampleOptions,
    /// Read every table in full, whatever changed.
    #[arg(long)]
    full: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        if Running::find(&project.home).is_some()
            && let Some(orchestrator) = Orchestrator::find(project, &Where::Here).await?
        {
            if self.stack.source.is_some() || self.stack.warehouse.is_some() {
                say::warning("a stack runs here already: its databases are those that it was started with");
            }
            return self.once(&orchestrator, &project.on_laptop()?).await;
        }
        let stack = stack::open(project, &self.stack).await?;
        let running = async {
            fill(&stack, &self.stack, &self.sample).await?;
            self.once(&Orchestrator::of(&stack), &stack.deployment).await
        };
        // A run that was interrupted is not done; it goes on with the next start.
        let outcome = until_interrupted(Box::pin(running), Outcome::Bad).await;
        stack.stop().await?;
        outcome
    }

    async fn once(&self, orchestrator: &Orchestrator, deployment: &catalog::Deployment) -> Result<Outcome> {
        let patience = deployment.catalog.pipeline.timeout;
        Ok(run::start(orchestrator, deployment, self.full, self.json, patience).await?.into())
    }
}
