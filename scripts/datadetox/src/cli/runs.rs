//! `runs`: what was run.

use anyhow::Result;
use aws_sdk_sfn::types::ExecutionListItem;
use clap::Args;
use serde_json::json;

use super::Outcome;
use crate::catalogue::Project;
use crate::place::Where;
use crate::run::{duration, instant, table};
use crate::say;
use crate::stack::with_runs;

/// List the runs, the newest first.
#[derive(Args, Debug)]
pub(super) struct Runs {
    #[command(flatten)]
    pub(super) at: Where,
    /// How many.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: i32,
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

impl Runs {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        let runs = with_runs(project, &self.at, async |orchestrator| orchestrator.newest(self.limit).await).await?;
        if self.json {
            for run in &runs {
                let line = json!({
                    "name": run.name, "arn": run.execution_arn, "status": run.status.as_str(),
                    "started": instant(&run.start_date), "stopped": run.stop_date.as_ref().map(instant),
                    "redrives": run.redrive_count.unwrap_or_default(),
                });
                say::data(&line.to_string());
            }
        } else {
            say::data(&listed(&runs));
        }
        Ok(Outcome::Good)
    }
}

fn listed(runs: &[ExecutionListItem]) -> String {
    let mut table = table(4, ["RUN", "STATUS", "STARTED", "TOOK"]);
    for run in runs {
        let redrives = run.redrive_count.unwrap_or_default();
        let redriven = if redrives == 0 { String::new() } else { format!(" {redrives}×") };
        let status = format!("{}{redriven}", run.status.as_str());
        // To the minute: the names are long, and say more.
        let started = instant(&run.start_date);
        let minute = started.rsplit_once(':').map_or(started.as_str(), |(minute, _)| minute);
        let took = duration(&run.start_date, run.stop_date.as_ref()).unwrap_or_else(|| "…".to_owned());
        table.add_row([run.name.as_str(), &status, minute, &took]);
    }
    table.trim_fmt()
}
