//! Runs seeds of the model test: `cargo run -p model -- --seeds 1000..1200`.

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use model::{Circumstance, Course, Length, Tally};

/// Tries to break the promise that no run is ever green over a wrong warehouse.
#[derive(Parser)]
struct Cli {
    /// One seed, or all from the first up to the last.
    #[arg(long, default_value = "1000..1022", value_parser = seeds)]
    seeds: Range<u64>,
    /// These circumstances, one after the other in each seed, instead of the one that the seed has.
    #[arg(long, value_name = "CIRCUMSTANCE")]
    only: Vec<Circumstance>,
    /// Seeds at once.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// As short as in the test run.
    #[arg(long)]
    short: bool,
    /// Where the seeds have their folders; that of a red seed is kept.
    #[arg(long, default_value_os_t = std::env::temp_dir().join("model"))]
    folder: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// The stack of a seed: what the model starts, kills and starts again.
    #[command(hide = true)]
    Stack {
        /// The seed's folder.
        folder: PathBuf,
    },
}

fn seeds(text: &str) -> Result<Range<u64>> {
    let number = |text: &str| text.parse().with_context(|| format!("{text:?} is no seed"));
    match text.split_once("..") {
        Some((first, last)) => Ok(number(first)?..number(last)?),
        None => number(text).map(|seed: u64| seed..seed + 1),
    }
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    if let Some(Command::Stack { folder }) = cli.command {
        return runtime()?.block_on(model::serve(&folder)).map(|()| ExitCode::SUCCESS);
    }
    let functions = runtime()?.block_on(local::build_when_run_by_cargo())?.join("functions");
    let model = std::env::current_exe()?;
    let course = |seed: u64| {
        let place = usize::try_from(seed).unwrap_or_default() % Circumstance::ALL.len();
        Course {
            seed,
            circumstances: if cli.only.is_empty() { vec![Circumstance::ALL[place]] } else { cli.only.clone() },
            length: if cli.short { Length::Short } else { Length::Long },
            model: model.clone(),
            functions: functions.clone(),
            folder: cli.folder.join(seed.to_string()),
        }
    };
    let (tally, red, began) = (Tally::default(), Mutex::new(Vec::new()), Instant::now());
    let next = AtomicU64::new(cli.seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..cli.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= cli.seeds.end {
                        return;
                    }
                    let course = course(seed);
                    let kinds: Vec<String> = course.circumstances.iter().map(ToString::to_string).collect();
                    let began = Instant::now();
                    let ran = course.run(&tally);
                    let word = if ran.is_ok() { "green" } else { "red" };
                    say(&format!("seed {seed} {word} in {:.0?}: {}", began.elapsed(), kinds.join(", ")));
                    if let Err(failed) = ran {
                        say(&format!("{failed}"));
                        red.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(seed);
                    }
                }
            });
        }
    });
    say("");
    for (what, number) in tally.counts() {
        say(&format!("{number:>9}  {what}"));
    }
    say(&format!("{:>9.0?}  in all", began.elapsed()));
    let red = red.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    if red.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("red: {red:?}"));
    Ok(ExitCode::FAILURE)
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn say(line: &str) {
    println!("{line}");
}
