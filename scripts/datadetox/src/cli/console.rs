//! `console`: the runs in a browser.

use anyhow::{Context as _, Result};
use clap::Args;
use web_console::{Console, Settings};

use super::Outcome;
use crate::catalogue::Project;
use crate::interruption::until_interrupted;
use crate::place::Where;
use crate::say;

/// Show the runs in a browser: of the stack that runs here, or of AWS.
///
/// Prints the address, which this machine alone can reach, and our user's programs alone. Ctrl-C ends it.
#[derive(Args, Debug)]
pub(super) struct ConsoleCommand {
    #[command(flatten)]
    at: Where,
    /// The port on loopback; without one any that is free.
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    port: u16,
    /// Start, stop and redrive nothing from it.
    #[arg(long)]
    read_only: bool,
}

impl ConsoleCommand {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        let orchestrator = self.at.find(project).await?.with_context(|| {
            let home = project.home.display();
            format!("no stack runs in {home}; `datadetox` starts one and prints its console's address, or name AWS with --aws")
        })?;
        let settings = Settings {
            orchestrator,
            deployment: self.at.deployment(project)?,
            place: self.at.told(),
            is_read_only: self.read_only,
            port: self.port,
        };
        let console = Console::open(settings).await?;
        say::data(&console.url());
        say::line("Ctrl-C ends it");
        until_interrupted(std::future::pending(), Outcome::Good).await
    }
}
