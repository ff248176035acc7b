//! The pipeline on this machine: `datadetox` and `datadetox run`.

use std::time::Duration;

use ::local::{
    APPLICATION, Config, Home, Postgres, Running, Schedule, Stack, application_of, build_when_run_by_cargo, run_name,
};
use anyhow::{Context as _, Result};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::signal::unix::{SignalKind, signal};
use totesys::{SeedSource, Trader, is_empty, seed};

use super::orchestrator::{Orchestrator, Where};
use super::{Common, Follow, LocalOptions, Outcome, data, orchestrator, report, watch};
use crate::{catalogue, say};

/// Starts the stack, loads the warehouse, and keeps running until it is interrupted.
pub(super) async fn serve(common: &Common, options: LocalOptions, trade: bool) -> Result<Outcome> {
    let stack = start(common, &options).await?;
    let serving = async {
        fill(&stack, &options).await?;
        introduce(&stack);
        let outcome = run_once(&stack, false, false).await?;
        if outcome == Outcome::Bad {
            say::line("the schedule goes on; a later run heals what it can");
        }
        let every = stack.deployment.catalog.pipeline.schedule;
        let _schedule = Schedule::start(&stack, every);
        let _alerts = watch_inbox(&stack);
        let _trading = if trade { Some(start_trading(&stack).await?) } else { None };
        say::line(&format!("\nrunning every {}; Ctrl-C stops", humantime::format_duration(every)));
        std::future::pending::<()>().await;
        Ok(Outcome::Good)
    };
    let outcome = until_interrupted(serving, Outcome::Good).await;
    stack.stop().await?;
    outcome
}

/// Runs once and exits with the result: in the stack that runs here already, or in one of its own.
pub(super) async fn run(common: &Common, options: LocalOptions, full: bool, json: bool) -> Result<Outcome> {
    if Running::find(&common.home).is_some() {
        let follow = Follow { detach: false, json };
        return orchestrator::start(common, &Where::here(), full, follow).await;
    }
    let stack = start(common, &options).await?;
    let running = async {
        fill(&stack, &options).await?;
        run_once(&stack, full, json).await
    };
    // A run that was interrupted is not done; it goes on with the next start.
    let outcome = until_interrupted(running, Outcome::Bad).await;
    stack.stop().await?;
    outcome
}

async fn start(common: &Common, options: &LocalOptions) -> Result<Stack> {
    let programs = match &options.functions {
        Some(folder) => folder.canonicalize().with_context(|| format!("cannot open {}", folder.display()))?,
        None => build_when_run_by_cargo().await?,
    };
    let deployment = catalogue::on_laptop(catalogue::read(&common.catalog)?, &common.home);
    let url = |url: &Option<String>| url.as_deref().map(data::secret_of).transpose();
    Stack::start(Config {
        home: common.home.clone(),
        definition: catalogue::local_definition(&deployment),
        deployment,
        catalog_file: common.catalog.clone(),
        programs: Some(programs),
        source: url(&options.source)?,
        warehouse: url(&options.warehouse)?,
        record_calls: options.record_calls.clone(),
    })
    .await
}

/// Fills the private source when it is empty and the catalogue is that of totesys.
async fn fill(stack: &Stack, options: &LocalOptions) -> Result<()> {
    let Some(postgres) = stack.postgres.as_ref().filter(|_| options.source.is_none()) else { return Ok(()) };
    if stack.deployment.catalog.table("sales_order").is_none() {
        return Ok(());
    }
    let mut source = postgres.options(APPLICATION).connect().await?;
    if is_empty(&mut source).await? {
        let orders = options.sample.orders;
        say::line(&format!("the private source is empty: filling it with {orders} orders"));
        seed(&mut source, &SeedSource::Generated { orders, seed: options.sample.seed }).await?;
    }
    Ok(())
}

fn introduce(stack: &Stack) {
    let home = stack.home.path().display();
    if stack.postgres.is_some() {
        say::line(&format!(
            "databases: PGSERVICEFILE={home}/pg_service.conf psql service=warehouse   (or service=source)"
        ));
    }
    say::line(&format!("AWS tools: AWS_CONFIG_FILE={home}/aws_config aws s3 ls\n"));
}

async fn run_once(stack: &Stack, full: bool, json: bool) -> Result<Outcome> {
    let client = aws_sdk_sfn::Client::new(stack.aws());
    let input = if full { "{\"full\": true}" } else { "{}" };
    let request = client.start_execution().state_machine_arn(&stack.engine.machine_arn).name(run_name()).input(input);
    let started = request.send().await.map_err(orchestrator::explain)?;
    let orchestrator = Orchestrator { client, machine: stack.engine.machine_arn.clone(), remote: false };
    watch::follow(&orchestrator, &started.execution_arn).await?;
    let run = orchestrator.describe(&started.execution_arn).await?;
    report::print(&run, &orchestrator.history(&started.execution_arn).await?, json)
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
    let mut trader = Trader::connect(postgres.options(APPLICATION), 1).await?;
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

/// What `work` comes to, or `interrupted` when somebody asks the program to end.
async fn until_interrupted(work: impl Future<Output = Result<Outcome>>, interrupted: Outcome) -> Result<Outcome> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        outcome = work => outcome,
        _ = terminate.recv() => Ok(interrupted),
        _ = hang_up.recv() => Ok(interrupted),
        _ = interrupt.recv() => {
            say::line("\nstopping");
            Ok(interrupted)
        }
    }
}

/// Connection options of the private source: of the stack that runs, or of one that runs for as long as `work`.
pub(super) async fn with_private_source<T>(
    common: &Common,
    work: impl AsyncFnOnce(PgConnectOptions) -> Result<T>,
) -> Result<T> {
    if let Some(running) = Running::find(&common.home) {
        return work(application_of(&common.home, &running)?).await;
    }
    let pipeline = &catalogue::read(&common.catalog)?.pipeline.name.clone();
    let home = Home::take(&common.home)?;
    let postgres = Postgres::start(&home, pipeline).await?;
    let done = work(postgres.options(APPLICATION)).await;
    postgres.stop().await?;
    done
}
