//! A run as it happens: one line for every state that works, one for every state that is done.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_sfn::types::ExecutionStatus;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::tree::line;
use crate::say;
use runs::Orchestrator;
use runs::{View, Visit};

/// Follows a run to its end.
pub(super) async fn follow(orchestrator: &Orchestrator, arn: &str) -> Result<()> {
    let mut display = Display::new();
    let mut ticks = tokio::time::interval(orchestrator.pace());
    loop {
        ticks.tick().await;
        let status = orchestrator.describe(arn).await?.status;
        let view = View::of(&orchestrator.history(arn).await?);
        display.show(&view);
        if status != ExecutionStatus::Running {
            display.finish();
            return Ok(());
        }
    }
}

/// What is on the screen: spinners on a terminal, plain lines elsewhere.
struct Display {
    bars: MultiProgress,
    is_terminal: bool,
    spinners: HashMap<usize, ProgressBar>,
    /// Visits whose line is printed, by index, with how often their task was scheduled then.
    printed: HashMap<usize, u32>,
}

impl Display {
    fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { bars, is_terminal, spinners: HashMap::new(), printed: HashMap::new() }
    }

    fn show(&mut self, view: &View) {
        for (index, visit) in view.visits.iter().enumerate().filter(|(_, visit)| visit.tries > 0) {
            if visit.left.is_none() {
                self.spin(index, visit);
            } else if self.printed.insert(index, visit.tries) != Some(visit.tries) {
                if let Some(spinner) = self.spinners.remove(&index) {
                    spinner.finish_and_clear();
                }
                self.print(visit);
            }
        }
    }

    fn spin(&mut self, index: usize, visit: &Visit) {
        if !self.is_terminal {
            return;
        }
        let bars = &self.bars;
        let spinner = self.spinners.entry(index).or_insert_with(|| {
            let spinner = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:>8}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(80));
            spinner
        });
        let again = if visit.tries > 1 { format!(" (try {})", visit.tries) } else { String::new() };
        spinner.set_message(say::shown(&format!("{:<34}{again}", visit.state)));
    }

    fn print(&self, visit: &Visit) {
        let line = line(visit);
        let line = if visit.has_failed() { say::on_stderr(&line).red().to_string() } else { line };
        if self.is_terminal {
            // A terminal that cannot be drawn on is gone; the run is not.
            let _ = self.bars.println(say::shown(&line));
        } else {
            say::line(&line);
        }
    }

    fn finish(&mut self) {
        for (_, spinner) in self.spinners.drain() {
            spinner.finish_and_clear();
        }
    }
}
