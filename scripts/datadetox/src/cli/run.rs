//! `run`: the pipeline once.

use anyhow::Result;
use clap::Args;
use local::{Home, Running};
use tokio::time::Instant;

use super::serve::fill;
use super::{Outcome, Reading, SampleOptions};
use crate::catalogue::Project;
use crate::interruption::until_interrupted;
use crate::place::Where;
use crate::stack::{LOOK, StackOptions};
use crate::{run, say, stack};
use runs::Orchestrator;

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
    #[command(flatten)]
    reading: Reading,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        let deployment = project.on_laptop()?;
        self.stack.named()?;
        let deadline = Instant::now() + deployment.catalog.pipeline.timeout;
        let mut looks = tokio::time::interval(LOOK);
        let mut is_told = false;
        let home = loop {
            looks.tick().await;
            if Running::find(&project.home).is_some_and(|running| running.serves)
                && let Some(orchestrator) = Where::Here.find(project).await?
            {
                if self.stack.source.is_some() || self.stack.warehouse.is_some() {
                    say::warning("a stack runs here already: its databases are those that it was started with");
                }
                return self.once(&orchestrator, &deployment).await;
            }
            // A stack that is there for one run ends with it: it cannot be relied on.
            if let Some(home) = Home::try_take(&project.home)? {
                break home;
            }
            if Instant::now() >= deadline {
                say::line("it is still at work: this run changed nothing");
                return Ok(Outcome::NotDone);
            }
            if !std::mem::replace(&mut is_told, true) {
                say::line(&format!("waiting for the command that is at work in {}", project.home.display()));
            }
        };
        stack::refuse_silent_change(project, &self.stack)?;
        let stack = stack::open(project, home, &self.stack, false).await?;
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
        Ok(run::start(orchestrator, deployment, self.reading.input(), self.json, patience).await?.into())
    }
}
