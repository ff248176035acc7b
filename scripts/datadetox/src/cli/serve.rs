//! `datadetox` without a command: the pipeline on this machine, on its schedule.

use std::time::Duration;

use anyhow::{Context as _, Result};
use catalog::deployment::quoted;
use catalog::message::RunInput;
use clap::Args;
use host::postgres::Address;
use local::{APPLICATION, Home, Running, Schedule, Stack};
use sqlx::ConnectOptions as _;
use totesys::{SeedSource, Trader, is_empty, seed};
use web_console::{Console, Settings};

use super::{Outcome, SampleOptions};
use crate::catalogue::Project;
use crate::interruption::until_interrupted;
use crate::place::Where;
use crate::stack::{PATIENCE, StackOptions};
use crate::{run, say, stack};
use runs::Orchestrator;

/// Starts the stack, loads the warehouse, and keeps running until it is interrupted.
#[derive(Args, Debug)]
pub(super) struct Serve {
    #[command(flatten)]
    stack: StackOptions,
    #[command(flatten)]
    sample: SampleOptions,
    /// Let a simulated application go on trading in the private source.
    #[arg(long)]
    trade: bool,
    /// The console's port on loopback; without one any that is free.
    #[arg(long, default_value_t = 0, value_name = "N", hide_default_value = true)]
    port: u16,
    /// Start, stop and redrive nothing from the console.
    #[arg(long)]
    read_only: bool,
}

impl Serve {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        // Read before there is a home: of mistakes nothing is left.
        project.on_laptop()?;
        self.stack.named()?;
        // A command that looks into the home is gone in a moment; a stack that serves is not.
        let serves = Running::find(&project.home).is_some_and(|running| running.serves);
        let patience = if serves { Duration::ZERO } else { PATIENCE };
        let home = Home::take_within(&project.home, patience).await?;
        stack::refuse_silent_change(project, &self.stack)?;
        let stack = stack::open(project, home, &self.stack, true).await?;
        let serving = async {
            fill(&stack, &self.stack, &self.sample).await?;
            introduce(&stack);
            let console = Console::open(Settings {
                orchestrator: Orchestrator::of(&stack),
                deployment: stack.deployment.clone(),
                place: Where::Here.told(),
                is_read_only: self.read_only,
                port: self.port,
            });
            let console = console.await?;
            say::line(&format!("console: {}\n", console.url()));
            // An older run that goes on is not waited for: the schedule comes back to what this one left.
            let orchestrator = Orchestrator::of(&stack);
            let ending =
                run::start(&orchestrator, &stack.deployment, RunInput::default(), false, Duration::ZERO).await?;
            if Outcome::from(ending) != Outcome::Good {
                say::line("the schedule goes on; a later run heals what it can");
            }
            let every = stack.deployment.catalog.pipeline.schedule;
            let _schedule = Schedule::start(&stack, every);
            let _alerts = watch_inbox(&stack);
            let _trading = if self.trade { Some(start_trading(&stack).await?) } else { None };
            say::line(&format!("\nrunning every {}; Ctrl-C stops", humantime::format_duration(every)));
            std::future::pending::<()>().await;
            Ok(Outcome::Good)
        };
        let outcome = until_interrupted(Box::pin(serving), Outcome::Good).await;
        stack.stop().await?;
        outcome
    }
}

/// Fills the private source when it is empty and the catalogue is that of totesys.
pub(super) async fn fill(stack: &Stack, options: &StackOptions, sample: &SampleOptions) -> Result<()> {
    let Some(postgres) = stack.postgres.as_ref().filter(|_| options.source.is_none()) else { return Ok(()) };
    if stack.deployment.catalog.table("sales_order").is_none() {
        return Ok(());
    }
    let mut source = postgres.options(APPLICATION).connect().await?;
    if is_empty(&mut source).await? {
        let orders = sample.orders;
        say::line(&format!("the private source is empty: filling it with {orders} orders"));
        seed(&mut source, &SeedSource::Generated { orders, seed: sample.seed }).await?;
    }
    Ok(())
}

fn introduce(stack: &Stack) {
    let home = stack.home.path();
    let shown = |name: &str| quoted(&home.join(name).to_string_lossy());
    if stack.postgres.is_some() {
        say::line(&format!(
            "databases: PGSERVICEFILE={} psql service=warehouse   (or service=source)",
            shown("pg_service.conf")
        ));
    }
    say::line(&format!("AWS tools: AWS_CONFIG_FILE={} aws s3 ls", shown("aws_config")));
}

/// Says every alert on the terminal; it ends when dropped.
fn watch_inbox(stack: &Stack) -> Guard {
    let mut arrivals = stack.inbox.watch();
    Guard(tokio::spawn(async move {
        while let Ok(message) = arrivals.recv().await {
            say::warning(&format!("alert: {} ({})", message.subject, message.file.display()));
        }
    }))
}

async fn start_trading(stack: &Stack) -> Result<Guard> {
    let postgres = stack.postgres.as_ref().context("--trade needs the private source")?;
    let source = Address::private(postgres.options(APPLICATION));
    let mut trader = Trader::new(source.connect().await?, source.connect().await?, 1);
    Ok(Guard(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(2));
        loop {
            ticks.tick().await;
            if let Err(error) = trader.step().await {
                say::warning(&format!("trading ended: {error:#}"));
                return;
            }
        }
    })))
}

/// A task that ends when this is dropped.
struct Guard(tokio::task::JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}
