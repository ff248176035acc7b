//! What the scripts compute, so that a test can cover it: shell calls `cargo xtask …` and reads what it prints.
//!
//! Every path is from the root of the repository, where the scripts stand. No part of the product depends on this.

mod account;
mod contents;
mod names;
mod pack;
mod schedule;
mod stacks;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use account::Verdict;
use anyhow::{Context as _, Result};
use catalog::deployment::PROGRAMS;
use catalog::{Catalog, EnvironmentName};
use clap::Parser;
use schedule::Schedule;

/// What the scripts ask.
#[derive(Parser, Debug)]
#[command(name = "xtask")]
enum Command {
    /// Print the programs that functions run, a line each.
    Programs,
    /// Print every name of a deployment as JSON: that of an environment, or that of a laptop.
    Names { environment: Option<EnvironmentName> },
    /// Print the folder of an environment's stack.
    Stack { environment: EnvironmentName },
    /// Print every environment and the folder of its stack, a line each.
    Stacks {
        /// The environments that were synthesized.
        #[arg(long, default_value = stacks::ENVIRONMENTS, value_name = "FILE")]
        environments: PathBuf,
        /// Where they were synthesized to.
        #[arg(long, default_value = stacks::ASSEMBLY, value_name = "FOLDER")]
        assembly: PathBuf,
    },
    /// Print the processors that an environment's functions run on.
    Architecture { environment: EnvironmentName },
    /// Print whether an environment's schedule starts runs: ENABLED, DISABLED, or MISSING where nothing is deployed yet.
    Schedule { environment: EnvironmentName },
    /// Pause the schedule of an environment, and wait until no run is at work.
    Pause {
        environment: EnvironmentName,
        /// How often to look.
        #[arg(long, default_value = "5s", value_parser = humantime::parse_duration, value_name = "TIME")]
        every: Duration,
        /// How long to wait; the catalogue's `timeout` where it is not said.
        #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
        at_most: Option<Duration>,
    },
    /// Resume the schedule of an environment.
    Resume { environment: EnvironmentName },
    /// Pack every program with the catalogue for AWS Lambda: the same bytes every time.
    Pack {
        /// Where the programs were built.
        #[arg(long, value_name = "FOLDER")]
        programs: PathBuf,
        /// Where the packages go.
        #[arg(long, value_name = "FOLDER")]
        packages: PathBuf,
    },
    /// Add to a program's CycloneDX document what the console's pages have of npm packages.
    Contents {
        /// What cargo-cyclonedx wrote of the program.
        document: PathBuf,
    },
    /// Read the JSON of a full run on stdin, and see whether every row of it is accounted for. Exits 3 when another run
    /// was at work and this one did nothing.
    Account,
}

/// The exit code that asks a script to try again.
const AGAIN: u8 = 3;

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Programs => PROGRAMS.iter().for_each(|program| say(program)),
        Command::Names { environment } => {
            let names = names::of(shipped_catalog()?, environment)?;
            say(&serde_json::to_string_pretty(&names)?);
        }
        Command::Stack { environment } => {
            let found = stacks::stack(&shipped_catalog()?, &environment)?;
            say(&found.display().to_string());
        }
        Command::Stacks { environments, assembly } => {
            for (environment, folder) in stacks::stacks(&shipped_catalog()?, &environments, &assembly)? {
                say(&format!("{environment} {}", folder.display()));
            }
        }
        Command::Architecture { environment } => say(stacks::environment(&environment)?.architecture.name()),
        Command::Schedule { environment } => say(&schedule_of(&environment)?.state()?.to_string()),
        Command::Pause { environment, every, at_most } => {
            let schedule = schedule_of(&environment)?;
            schedule.pause(every, at_most.unwrap_or(schedule.deployment.catalog.pipeline.timeout))?;
        }
        Command::Resume { environment } => schedule_of(&environment)?.resume()?,
        Command::Pack { programs, packages } => {
            for package in pack::pack(&PROGRAMS, Path::new(CATALOG), &programs, &packages)? {
                say(&package.to_string());
            }
        }
        Command::Contents { document } => {
            contents::add(
                &document,
                contents::components(Path::new(contents::ASSETS), Path::new(contents::PACKAGES))?,
            )?;
        }
        Command::Account => {
            let text = std::io::read_to_string(std::io::stdin()).context("cannot read the run")?;
            match account::account(&*shipped_catalog()?, &text)? {
                Verdict::Whole(report) => say(&report),
                Verdict::AnotherAtWork => {
                    complain("another run is at work, and this one did nothing");
                    return Ok(ExitCode::from(AGAIN));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The schedule of an environment of this repository's catalogue.
fn schedule_of(name: &EnvironmentName) -> Result<Schedule> {
    let environment = stacks::environment(name)?;
    let deployment = environment.deploy(shipped_catalog()?, name);
    Ok(Schedule { deployment, region: environment.region, remedy: format!("cargo xtask resume {name}"), tell })
}

/// The catalogue of this repository.
const CATALOG: &str = "pipeline.toml";

fn shipped_catalog() -> Result<Arc<Catalog>> {
    Ok(Arc::new(Catalog::parse(CATALOG, &read(Path::new(CATALOG))?)?))
}

/// The text of a file.
fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[expect(clippy::print_stdout, reason = "what a script asked for")]
fn say(text: &str) {
    println!("{text}");
}

fn complain(text: &str) {
    tell(&format!("error: {text}"));
}

#[expect(clippy::print_stderr, reason = "what a person has to know")]
fn tell(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Command as clap::CommandFactory>::command().debug_assert();
    }
}
