//! The command line: what was said, and which module does it. A command is a file: its arguments, its help, its work.

mod check;
mod console;
mod cost;
mod redrive;
mod run;
mod runs;
mod seed;
mod serve;
mod show;
mod start;
mod stop;
mod synth;
mod trade;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use catalog::message::RunInput;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::catalogue::Project;
use crate::run::Ending;
use crate::say;

/// Keeps a star schema in a Postgres warehouse up to date with a Postgres application database.
///
/// Without a command: starts the whole pipeline on this machine, loads the warehouse, and keeps running on the schedule.
#[derive(Parser, Debug)]
#[command(name = "datadetox", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    project: Project,
    #[command(flatten)]
    serve: serve::Serve,
}

/// What scripts may rely on.
const EXIT_CODES: &str = "Exit codes: 0 what was asked is done; 1 it failed, or a check found something; 2 the command \
                          line is wrong; 3 the run changed nothing, as another run was at work or had overtaken it.";

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Run),
    Check(check::Check),
    Synth(synth::Synth),
    Seed(seed::Seed),
    Trade(trade::Trade),
    Start(start::Start),
    Runs(runs::Runs),
    Show(show::Show),
    Cost(cost::Cost),
    Console(console::ConsoleCommand),
    Redrive(redrive::Redrive),
    Stop(stop::Stop),
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

/// What a run reads beside what changed.
#[derive(Args, Clone, Copy, Debug)]
struct Reading {
    /// Read every table in full, whatever changed.
    #[arg(long)]
    full: bool,
    /// This source is meant, though it is another server or database than the one that the warehouse's rows came from:
    /// everything is read from it.
    #[arg(long)]
    adopt_source: bool,
}

impl Reading {
    fn input(self) -> RunInput {
        RunInput { full: self.full, adopt_source: self.adopt_source }
    }
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
pub(crate) enum Outcome {
    /// What was asked is done: exit code 0.
    Good,
    /// The run failed, or the check found something: exit code 1.
    Bad,
    /// The run did nothing, as another one was at work or had overtaken it: exit code 3.
    NotDone,
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Loaded | Ending::UpToDate => Self::Good,
            Ending::Failed => Self::Bad,
            Ending::AlreadyRunning | Ending::Superseded => Self::NotDone,
        }
    }
}

/// Reads the command line, does what it says, answers the exit code: see `datadetox --help`.
pub async fn main() -> ExitCode {
    let cli = parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match dispatch(cli).await {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Ok(Outcome::NotDone) => ExitCode::from(3),
        Err(error) => {
            say::error(&told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, each said once: the text of many an error ends with that of its cause.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |text, cause| match cause.to_string() {
        cause if text.is_empty() => cause,
        cause if text.ends_with(&cause) => text,
        cause => format!("{text}: {cause}"),
    })
}

fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    let matches = command.try_get_matches_from_mut(words)?;
    if let Some((name, _)) = matches.subcommand() {
        let is_said = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        // They would be those of the program without a command: nobody would look at them.
        let ignored = command.get_arguments().find(|arg| !arg.is_global_set() && is_said(arg.get_id().as_str()));
        if let Some(option) = ignored.and_then(clap::Arg::get_long) {
            let taken = command.find_subcommand(name).is_some_and(|it| takes(it, option));
            let hint =
                if taken { format!("write datadetox {name} --{option}") } else { format!("`{name}` takes none") };
            let refusal = format!("--{option} is of the program without a command: {hint}");
            return Err(command.error(ErrorKind::ArgumentConflict, refusal));
        }
    }
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn takes(command: &clap::Command, option: &str) -> bool {
    command.get_arguments().any(|arg| arg.get_long() == Some(option))
}

async fn dispatch(cli: Cli) -> Result<Outcome> {
    let project = cli.project;
    match cli.command {
        None => cli.serve.run(&project).await,
        Some(Command::Run(run)) => run.run(&project).await,
        Some(Command::Check(check)) => check.run(&project).await,
        Some(Command::Synth(synth)) => synth.run(&project),
        Some(Command::Seed(seed)) => seed.run(&project).await,
        Some(Command::Trade(trade)) => trade.run(&project).await,
        Some(Command::Start(start)) => start.run(&project).await,
        Some(Command::Runs(runs)) => runs.run(&project).await,
        Some(Command::Show(show)) => show.run(&project).await,
        Some(Command::Cost(cost)) => cost.run(&project).await,
        Some(Command::Console(console)) => console.run(&project).await,
        Some(Command::Redrive(redrive)) => redrive.run(&project).await,
        Some(Command::Stop(stop)) => stop.run(&project).await,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use catalog::deployment::Verb;
    use catalog::{Catalog, Deployment};

    use super::*;
    use crate::catalogue::Project;
    use crate::place::Where;

    fn said(words: &[&str]) -> Result<Cli, clap::Error> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Words as a shell splits them; of quotes only what a printed command uses.
    fn split(line: &str) -> Vec<OsString> {
        let (mut words, mut quoted) = (vec![String::new()], false);
        let mut letters = line.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\'' => quoted = !quoted,
                '\\' if !quoted => words.last_mut().unwrap().extend(letters.next()),
                ' ' if !quoted => words.push(String::new()),
                _ => words.last_mut().unwrap().push(letter),
            }
        }
        words.into_iter().map(OsString::from).collect()
    }

    #[test]
    fn a_printed_command_is_understood_and_means_the_deployment_that_printed_it() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipeline.toml");
        let catalog = Arc::new(Catalog::parse(file, &std::fs::read_to_string(file).unwrap()).unwrap());
        let aws = |region: Option<&str>| {
            Deployment::in_aws(Arc::clone(&catalog), "dev".parse().unwrap(), region.map(str::to_owned))
        };
        let laptop = |home: &str| Project { catalog: file.into(), home: home.into() }.on_laptop().unwrap();
        for deployment in
            [laptop(".datadetox"), laptop("/tmp/my home"), laptop("it's"), aws(None), aws(Some("eu-west-2"))]
        {
            for verb in Verb::ALL {
                let line = deployment.command(verb, "2026-11-23T13-05-00-123Z");
                if verb == Verb::Run && line.contains("--aws") {
                    continue; // Nobody is told it: what AWS runs is started.
                }
                let mut cli = parse(split(&line)).unwrap_or_else(|error| panic!("{line}: {error}"));
                cli.project.catalog = file.into();
                let (word, at, run) = match cli.command.unwrap() {
                    Command::Start(start) => ("start", start.at, None),
                    Command::Run(_) => ("run", Where::Here, None),
                    Command::Runs(runs) => ("runs", runs.at, None),
                    Command::Show(show) => ("show", show.at, show.run),
                    Command::Redrive(redrive) => ("redrive", redrive.at, Some(redrive.run)),
                    Command::Stop(stop) => ("stop", stop.at, Some(stop.run)),
                    other => panic!("{line}: {other:?}"),
                };
                assert_eq!(word, verb.word());
                assert_eq!(run.is_some(), verb.names_a_run(), "{line}");
                let meant = at.deployment(&cli.project).unwrap();
                assert_eq!(meant.command(verb, "2026-11-23T13-05-00-123Z"), line);
                assert_eq!(meant.state_machine(), deployment.state_machine(), "{line}");
            }
        }
    }

    #[test]
    fn an_option_before_the_command_is_refused_unless_every_command_has_it() {
        for (words, hint) in [
            (&["datadetox", "--source", "postgres://h/d", "run"][..], "write datadetox run --source"),
            (&["datadetox", "--trade", "run"], "`run` takes none"),
            (&["datadetox", "--orders", "5", "runs"], "`runs` takes none"),
        ] {
            let refused = said(words).unwrap_err();
            assert_eq!(refused.exit_code(), 2);
            assert!(refused.to_string().contains(hint), "{refused}");
        }
        let cli = said(&["datadetox", "--home", "h", "--catalog", "c", "runs"]).unwrap();
        assert_eq!((cli.project.home.as_path(), cli.project.catalog.as_path()), (Path::new("h"), Path::new("c")));
        assert!(said(&["datadetox", "--orders", "5", "--trade"]).unwrap().command.is_none());
    }

    #[test]
    fn a_cause_is_said_once() {
        let io = std::io::Error::other("the disk is full");
        let error = anyhow::Error::new(io).context("cannot write it: the disk is full").context("no load");
        assert_eq!(told(&error), "no load: cannot write it: the disk is full");
    }

    #[test]
    fn an_environment_and_aws_need_each_other() {
        let alone = said(&["datadetox", "runs", "--environment", "dev"]).unwrap_err();
        assert!(alone.to_string().contains("write --aws --environment dev"), "{alone}");
        let nowhere = said(&["datadetox", "runs", "--aws"]).unwrap_err();
        assert!(nowhere.to_string().contains("--aws needs --environment NAME"), "{nowhere}");
        assert_eq!((alone.exit_code(), nowhere.exit_code()), (2, 2));
    }
}
