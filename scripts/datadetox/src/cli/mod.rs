//! The command line: what was said, and which module does it.

mod check;
mod cost;
mod data;
mod local;
mod orchestrator;
mod report;
mod synth;
mod view;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::say;
use orchestrator::Where;

/// Keeps a star schema in a Postgres warehouse up to date with a Postgres application database.
///
/// Without a command: starts the whole pipeline on this machine, loads the warehouse, and keeps running on the schedule.
#[derive(Parser, Debug)]
#[command(name = "datadetox", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    local: LocalOptions,
    /// Let a simulated application go on trading in the private source.
    #[arg(long)]
    trade: bool,
}

/// What every command knows.
#[derive(Args, Clone, Debug)]
struct Common {
    /// The catalogue.
    #[arg(long, global = true, default_value = "pipeline.toml", value_name = "FILE")]
    catalog: PathBuf,
    /// The folder of the local stack.
    #[arg(long, global = true, default_value = ".datadetox", value_name = "FOLDER")]
    home: PathBuf,
}

/// What a stack on this machine is made of.
#[derive(Args, Clone, Debug)]
struct LocalOptions {
    /// Read this Postgres instead of a private one: postgres://reader@host/database. The password may come from
    /// PGPASSWORD or ~/.pgpass.
    #[arg(long, env = "DATADETOX_SOURCE", hide_env_values = true, value_name = "URL")]
    source: Option<String>,
    /// Load this Postgres instead of a private one.
    #[arg(long, env = "DATADETOX_WAREHOUSE", hide_env_values = true, value_name = "URL")]
    warehouse: Option<String>,
    /// Record the AWS calls that functions and state machine make, one JSON line each.
    #[arg(long, value_name = "FILE")]
    record_calls: Option<PathBuf>,
    /// Run the functions' programs of this folder instead of those that were built with this one.
    #[arg(long, value_name = "FOLDER")]
    functions: Option<PathBuf>,
    #[command(flatten)]
    sample: SampleOptions,
}

/// How much sample data.
#[derive(Args, Clone, Debug)]
struct SampleOptions {
    /// Orders to generate when the private source is empty.
    #[arg(long, default_value_t = 15_836, value_name = "N")]
    orders: u64,
    /// The same seed gives the same data.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the pipeline once, here, and exit with its result.
    Run {
        #[command(flatten)]
        local: LocalOptions,
        /// Read every table in full, whatever changed.
        #[arg(long)]
        full: bool,
        /// Print the result as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check the catalogue; with a database also that both agree.
    Check {
        /// Compare the source tables with this database.
        #[arg(long, env = "DATADETOX_SOURCE", hide_env_values = true, value_name = "URL")]
        source: Option<String>,
        /// Compare the star schema with this database.
        #[arg(long, env = "DATADETOX_WAREHOUSE", hide_env_values = true, value_name = "URL")]
        warehouse: Option<String>,
        /// Print the mistakes as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Generate what follows from the catalogue: the state machine.
    Synth {
        /// Write nothing; fail when a generated file is stale.
        #[arg(long)]
        check: bool,
        /// Where the state machine goes.
        #[arg(long, default_value = "statemachine/etl.asl.json", value_name = "FILE")]
        definition: PathBuf,
        /// The page of the documentation whose generated parts are renewed, where it is there.
        #[arg(long, default_value = "docs/catalogue.md", value_name = "FILE")]
        page: PathBuf,
    },
    /// Fill an empty source with totesys: generated, or from a dump.
    Seed {
        #[command(flatten)]
        sample: SampleOptions,
        /// A folder with <table>.csv or <table>.csv.gz for every table, instead of generated data.
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
        /// Fill this database instead of the private source.
        #[arg(long, env = "DATADETOX_SOURCE", hide_env_values = true, value_name = "URL")]
        source: Option<String>,
    },
    /// Trade in the source as its application would: orders, payments, silent updates, late commits.
    Trade {
        /// Time between two things that happen.
        #[arg(long, default_value = "2s", value_parser = humantime::parse_duration, value_name = "TIME")]
        every: Duration,
        /// Stop after this many.
        #[arg(long, value_name = "N")]
        times: Option<u64>,
        /// The same seed does the same things.
        #[arg(long, default_value_t = 1, value_name = "N")]
        seed: u64,
        /// Trade in this database instead of the private source.
        #[arg(long, env = "DATADETOX_SOURCE", hide_env_values = true, value_name = "URL")]
        source: Option<String>,
    },
    /// Start a run of the stack that runs here, or in AWS.
    Start {
        #[command(flatten)]
        at: Where,
        /// Read every table in full, whatever changed.
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        follow: Follow,
    },
    /// List the runs, the newest first.
    Runs {
        #[command(flatten)]
        at: Where,
        /// How many.
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: i32,
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a run, state by state.
    Show {
        #[command(flatten)]
        at: Where,
        /// Name or ARN of the run; the newest without one.
        run: Option<String>,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Estimate what a month in AWS costs, from what a run did.
    Cost {
        #[command(flatten)]
        at: Where,
        /// Name or ARN of a run that found changes; the newest without one.
        run: Option<String>,
        /// Runs in a hundred that find changes; the others end after their plan.
        #[arg(long, default_value_t = 100, value_name = "N")]
        busy: u8,
        /// Print it as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a failed run go on where it failed; what is finished is not done again.
    Redrive {
        #[command(flatten)]
        at: Where,
        /// Name or ARN of the run.
        run: String,
        #[command(flatten)]
        follow: Follow,
    },
    /// Stop a run.
    Stop {
        #[command(flatten)]
        at: Where,
        /// Name or ARN of the run.
        run: String,
        /// Why, for its history.
        #[arg(long, value_name = "TEXT")]
        cause: Option<String>,
    },
}

/// Whether to stay until a run ends.
#[derive(Args, Clone, Copy, Debug)]
struct Follow {
    /// Return at once instead of following the run to its end.
    #[arg(long)]
    detach: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// How a command ended, when nothing went wrong with the command itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    /// The run failed, or the check found something: exit code 1.
    Bad,
}

/// Reads the command line, does what it says, answers the exit code: 0, 1 for a failure, 2 for a wrong command line.
pub async fn main() -> ExitCode {
    match dispatch(Cli::parse()).await {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Err(error) => {
            say::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> Result<Outcome> {
    let common = cli.common;
    match cli.command {
        None => local::serve(&common, cli.local, cli.trade).await,
        Some(Command::Run { local, full, json }) => local::run(&common, local, full, json).await,
        Some(Command::Check { source, warehouse, json }) => check::check(&common, source, warehouse, json).await,
        Some(Command::Synth { check, definition, page }) => synth::synth(&common, &definition, &page, check),
        Some(Command::Seed { sample, from, source }) => data::seed(&common, &sample, from, source).await,
        Some(Command::Trade { every, times, seed, source }) => data::trade(&common, every, times, seed, source).await,
        Some(Command::Start { at, full, follow }) => orchestrator::start(&common, &at, full, follow).await,
        Some(Command::Runs { at, limit, json }) => orchestrator::runs(&common, &at, limit, json).await,
        Some(Command::Show { at, run, json }) => orchestrator::show(&common, &at, run, json).await,
        Some(Command::Cost { at, run, busy, json }) => cost::cost(&common, &at, run, busy, json).await,
        Some(Command::Redrive { at, run, follow }) => orchestrator::redrive(&common, &at, &run, follow).await,
        Some(Command::Stop { at, run, cause }) => orchestrator::stop(&common, &at, &run, cause).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
