//! `cost`: what a month in AWS comes to, from what one run did.

use anyhow::{Context as _, Result};
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::{HistoryEvent, HistoryEventType as Kind};
use catalog::Deployment;
use catalog::key::Format;
use clap::Args;
use serde_json::json;

use super::Outcome;
use crate::catalogue::Project;
use crate::place::Where;
use crate::run::{count, table};
use crate::say;
use crate::stack::with_runs;
use runs::Orchestrator;

/// Estimate what a month in AWS costs, from what a run did.
#[derive(Args, Debug)]
pub(super) struct Cost {
    #[command(flatten)]
    at: Where,
    /// Name or ARN of a run that found changes; without one the newest that loaded something.
    run: Option<String>,
    /// Runs in a hundred that find changes; the others end after their plan.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    busy: u8,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
}

/// US dollars times 10⁻¹⁰, so that a GB-second needs no fraction.
type Price = u128;
const DOLLAR: Price = 10_000_000_000;

/// On-demand prices of most regions, without free tiers. Sources: the price pages of Step Functions, Lambda (arm64) and
/// S3; yours may differ a little.
const TRANSITION: Price = 250_000; // $0.025 a thousand
const INVOCATION: Price = 2_000; // $0.20 a million
const GB_MILLISECOND: Price = 133; // $0.0000133334 a GB-second
const S3_WRITE: Price = 50_000; // $0.005 a thousand PUT and LIST
const S3_READ: Price = 4_000; // $0.0004 a thousand GET
const DAYS: u128 = 30;

/// What one run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    transitions: u128,
    invocations: u128,
    /// Megabytes of the functions times milliseconds of their calls.
    megabyte_millis: u128,
    writes: u128,
    reads: u128,
}

impl Usage {
    fn of(events: &[HistoryEvent], deployment: &Deployment) -> Self {
        let mut usage = Self::default();
        let mut scheduled = std::collections::HashMap::new();
        for event in events {
            if event.state_entered_event_details().is_some() {
                usage.transitions += 1;
            }
            match event.r#type {
                Kind::TaskScheduled => {
                    let parameters = event.task_scheduled_event_details().map(|details| details.parameters());
                    let parameters: serde_json::Value =
                        parameters.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
                    let Some(name) = parameters["FunctionName"].as_str() else { continue };
                    let name = name.rsplit(':').next().unwrap_or_default();
                    // One that is deployed no longer: what most functions have.
                    let memory = deployment
                        .function_named(name)
                        .map_or(512, |function| deployment.catalog.sizing(function).memory_mb);
                    usage.invocations += 1;
                    scheduled.insert(event.id, (event.timestamp, memory));
                }
                // A call that failed and is tried again is another transition.
                Kind::TaskFailed | Kind::TaskTimedOut => usage.transitions += 1,
                _ => {}
            }
            if let Some((from, memory)) = scheduled.get(&event.previous_event_id).copied() {
                if matches!(event.r#type, Kind::TaskSucceeded | Kind::TaskFailed | Kind::TaskTimedOut) {
                    let millis = event.timestamp.to_millis().unwrap_or_default() - from.to_millis().unwrap_or_default();
                    usage.megabyte_millis += u128::try_from(millis).unwrap_or_default() * u128::from(memory);
                } else {
                    scheduled.insert(event.id, (from, memory));
                }
            }
        }
        usage
    }

    fn price(self) -> Price {
        self.transitions * TRANSITION
            + self.invocations * INVOCATION
            + self.megabyte_millis * GB_MILLISECOND / 1_024
            + self.writes * S3_WRITE
            + self.reads * S3_READ
    }
}

/// Requests to S3, from what the plan had to be done: a table that is read asks for its manifest, writes parts and a
/// manifest; a target reads and writes the same; the loader reads every part.
fn requests(usage: &mut Usage, output: &serde_json::Value) {
    usage.reads += 1; // plan reads the state
    for (phase, format) in [("extract", Format::Csv), ("transform", Format::Parquet)] {
        for result in output[phase]["results"].as_array().into_iter().flatten() {
            if result["status"] == "skipped" {
                continue;
            }
            let bytes = u128::from(result["bytes"].as_u64().unwrap_or_default());
            let parts = bytes.div_ceil(format.part_bytes() as u128);
            usage.writes += parts + 1;
            // Its manifest, which is not there yet; and what comes after it reads manifest and parts.
            usage.reads += 1 + 1 + parts;
        }
    }
    if output["load"]["status"] == "loaded" {
        usage.writes += 1;
    }
}

impl Cost {
    pub(super) async fn run(self, project: &Project) -> Result<Outcome> {
        let deployment = self.at.deployment(project)?;
        let asked = with_runs(project, &self.at, async |orchestrator| {
            let run = match &self.run {
                Some(run) => orchestrator.describe(&orchestrator.arn(run)).await?,
                None => telling(orchestrator).await?,
            };
            let events = orchestrator.history(&run.execution_arn).await?;
            Ok((run, events))
        });
        let (run, events) = asked.await?;
        let name = run.name.clone().unwrap_or_default();
        if self.run.is_none() {
            say::line(&format!("from the run {name}"));
        }
        let output = output_of(&run);
        if output["load"].is_null() {
            say::warning(&format!("the run {name} loaded nothing, and tells little: name one that did"));
        }
        let mut full = Usage::of(&events, &deployment);
        requests(&mut full, &output);
        let month = Month::of(full, &deployment, self.busy);
        if self.json {
            say::data(&month.json(&name).to_string());
        } else {
            say::data(&month.table());
            say::data(&format!("\n${} a month, without alarms, logs and what is stored", dollars(month.price())));
        }
        Ok(Outcome::Good)
    }
}

/// Runs that are looked through for one that loaded something: most of a schedule's find nothing.
const LOOKED_THROUGH: i32 = 100;

/// The newest run that loaded something; where none of the newer ones did, the newest that succeeded.
async fn telling(orchestrator: &Orchestrator) -> Result<DescribeExecutionOutput> {
    let mut newest = None;
    for run in orchestrator.newest_that_succeeded(LOOKED_THROUGH).await? {
        let run = orchestrator.describe(&run.execution_arn).await?;
        if !output_of(&run)["load"].is_null() {
            return Ok(run);
        }
        newest = newest.or(Some(run));
    }
    newest.context("no run has succeeded yet: name the run that is to be looked at")
}

/// What a run answered; nothing of one that failed.
fn output_of(run: &DescribeExecutionOutput) -> serde_json::Value {
    run.output.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// What a month of runs uses.
struct Month {
    /// Which runs, what one of them uses, how many there are.
    rows: [(&'static str, Usage, u128); 2],
}

impl Month {
    fn of(full: Usage, deployment: &Deployment, busy: u8) -> Self {
        // What a run costs that finds nothing: two calls, a Choice after each, Succeed; a read.
        let functions = &deployment.catalog.functions;
        let memory = u128::from(functions.checkpoint.memory_mb) + u128::from(functions.plan.memory_mb);
        let idle = Usage { transitions: 5, invocations: 2, megabyte_millis: memory * 300, writes: 0, reads: 1 };
        let minutes = u128::from((deployment.catalog.pipeline.schedule.as_secs() / 60).max(1));
        let month = DAYS * 24 * 60 / minutes;
        let busy_runs = month * u128::from(busy) / 100;
        Self { rows: [("this run", full, busy_runs), ("a run that finds nothing", idle, month - busy_runs)] }
    }

    fn price(&self) -> Price {
        self.rows.iter().map(|(_, usage, runs)| usage.price() * runs).sum()
    }

    fn json(&self, name: &str) -> serde_json::Value {
        let row = |(name, usage, runs): &(&str, Usage, u128)| {
            json!({
                "run": name, "runs_a_month": runs, "transitions": usage.transitions, "invocations": usage.invocations,
                "megabyte_milliseconds": usage.megabyte_millis, "s3_writes": usage.writes, "s3_reads": usage.reads,
                "dollars_a_month": dollars(usage.price() * runs),
            })
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        json!({ "run": name, "runs": rows, "dollars_a_month": dollars(self.price()) })
    }

    fn table(&self) -> String {
        let [this, idle] = self.rows.each_ref().map(|(name, ..)| *name);
        let mut table = table(1, ["A MONTH OF", this, idle]);
        let mut row = |name: &str, of: &dyn Fn(&Usage, u128) -> String| {
            let cells = self.rows.iter().map(|(_, usage, runs)| of(usage, *runs));
            table.add_row(std::iter::once(name.to_owned()).chain(cells));
        };
        let number = |number: u128| count(u64::try_from(number).unwrap_or(u64::MAX));
        row("runs", &|_, runs| number(runs));
        row("transitions", &|usage, runs| number(usage.transitions * runs));
        row("calls", &|usage, runs| number(usage.invocations * runs));
        row("GB-seconds", &|usage, runs| number(usage.megabyte_millis * runs / 1_024 / 1_000));
        row("S3 writes", &|usage, runs| number(usage.writes * runs));
        row("S3 reads", &|usage, runs| number(usage.reads * runs));
        row("dollars", &|usage, runs| dollars(usage.price() * runs));
        table.trim_fmt()
    }
}

/// `1.07`.
fn dollars(price: Price) -> String {
    let cents = price.div_ceil(DOLLAR / 100);
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[cfg(test)]
mod tests {
    use aws_sdk_sfn::types::TaskScheduledEventDetails;
    use catalog::Catalog;

    use super::*;

    #[test]
    fn prices_are_those_of_the_price_pages() {
        let thousand = Usage { transitions: 1_000, ..Usage::default() };
        assert_eq!(thousand.price(), DOLLAR * 25 / 1_000);
        let gigabyte_hour = Usage { megabyte_millis: 1_024 * 3_600_000, ..Usage::default() };
        assert_eq!(dollars(gigabyte_hour.price()), "0.05");
        assert_eq!([dollars(1), dollars(DOLLAR), dollars(DOLLAR * 3 / 2)], ["0.01", "1.00", "1.50"]);
    }

    #[test]
    fn a_call_costs_the_memory_of_its_function_whatever_the_environment_adds_to_its_name() {
        let text = "[pipeline]\nname = 'p'\n[functions.load]\nmemory_mb = 1024\n[source.tables.t]\nkey = 'id'\n\
                    capture = 'changes'\ncolumns = { id = 'integer' }\n[facts.load]\nfrom = 't'\nsurrogate_key = 'n'\n\
                    columns = { id = 'id' }\n";
        let catalog = std::sync::Arc::new(Catalog::parse("pipeline.toml", text).unwrap());
        let deployment = Deployment::in_aws(catalog, "prod".parse().unwrap(), None);
        let at = aws_sdk_sfn::primitives::DateTime::from_millis;
        let parameters = |name: &str| {
            let parameters =
                json!({ "FunctionName": format!("arn:aws:lambda:eu-west-2:1:function:{name}") }).to_string();
            let details = TaskScheduledEventDetails::builder().parameters(parameters);
            details.resource_type("lambda").resource("invoke").region("eu-west-2").build().unwrap()
        };
        let event = |id: i64, kind, millis| {
            HistoryEvent::builder().id(id).previous_event_id(id - 1).r#type(kind).timestamp(at(millis))
        };
        let load = event(1, Kind::TaskScheduled, 0).task_scheduled_event_details(parameters("p-prod-load"));
        let fact =
            event(3, Kind::TaskScheduled, 2_000).task_scheduled_event_details(parameters("p-prod-transform-load"));
        let events = [
            load.build().unwrap(),
            event(2, Kind::TaskSucceeded, 1_500).build().unwrap(),
            fact.build().unwrap(),
            event(4, Kind::TaskSucceeded, 2_001).build().unwrap(),
        ];
        let usage = Usage::of(&events, &deployment);
        let transform = u128::from(deployment.catalog.warehouse.targets[0].sizing.memory_mb);
        assert_ne!(transform, 1_024);
        assert_eq!((usage.invocations, usage.megabyte_millis), (2, 1_024 * 1_500 + transform));
    }

    #[test]
    fn requests_follow_from_what_a_run_wrote() {
        let output = json!({
            "extract": { "results": [{ "status": "done", "bytes": 9 << 20 }, { "status": "skipped", "bytes": 0 }] },
            "transform": { "results": [{ "status": "done", "bytes": 9 << 20 }] },
            "load": { "status": "loaded" },
        });
        let mut usage = Usage::default();
        requests(&mut usage, &output);
        // Extract 2 parts and a manifest, transform one of each, the state.
        assert_eq!((usage.writes, usage.reads), (3 + 2 + 1, 1 + 4 + 3));
    }
}
