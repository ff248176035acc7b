//! What a run did, for a person or for a script.

use std::collections::BTreeMap;

use anyhow::Result;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::types::{ExecutionStatus, HistoryEvent};
use catalog::message::{Counts, Failure, HaltRequest};
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use super::Outcome;
use super::view::{View, Visit, bytes, count, duration, span};
use crate::say;

/// Prints the result on stdout.
pub(super) fn print(run: &DescribeExecutionOutput, events: &[HistoryEvent], as_json: bool) -> Result<Outcome> {
    let view = View::of(events);
    let report = Report { run, view: &view, output: parse(run.output.as_deref()) };
    if as_json {
        say::data(&serde_json::to_string_pretty(&report.json())?);
    } else {
        report.text();
    }
    Ok(if run.status == ExecutionStatus::Succeeded { Outcome::Good } else { Outcome::Bad })
}

struct Report<'r> {
    run: &'r DescribeExecutionOutput,
    view: &'r View,
    output: Value,
}

fn parse(text: Option<&str>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

impl Report<'_> {
    /// The last pass through a state.
    fn visit(&self, state: &str) -> Option<&Visit> {
        self.view.visits.iter().rfind(|visit| visit.state == state)
    }

    fn results(&self, phase: &str) -> Vec<&Value> {
        self.output[phase]["results"].as_array().into_iter().flatten().collect()
    }

    /// What was done to each target, by its name.
    fn targets(&self) -> BTreeMap<String, Counts> {
        serde_json::from_value(self.output["load"]["targets"].clone()).unwrap_or_default()
    }

    fn failures(&self) -> Vec<Failure> {
        // What halt was given is the one place where the failures of every phase stand.
        let halt = self.visit("Halt").map(|halt| halt.request.clone()).unwrap_or_default();
        match serde_json::from_value::<HaltRequest>(halt).ok() {
            Some(request) => request.failures,
            None => {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                vec![Failure { subject: "run".to_owned(), error: text(&self.run.error), cause: text(&self.run.cause) }]
            }
        }
    }

    fn json(&self) -> Value {
        let mut json = json!({
            "execution": self.run.execution_arn,
            "name": self.run.name,
            "status": self.run.status.as_str(),
            "plan": { "status": self.output["plan"]["status"], "reason": self.output["plan"]["reason"] },
            "tables": self.results("extract"),
            "targets": self.targets(),
            "load": self.output["load"]["status"],
            "rejected": self.output["load"]["rejected"],
            "freshness_ms": self.output["load"]["freshness_ms"],
        });
        if self.run.status != ExecutionStatus::Succeeded {
            json["failures"] = json!(self.failures());
        }
        json
    }

    fn text(&self) {
        let name = self.run.name.as_deref().unwrap_or_default();
        if self.run.status != ExecutionStatus::Succeeded {
            say::data(&format!("{} {name}", self.run.status.as_str()));
            for failure in self.failures() {
                say::data(&format!("  {}: {}: {}", failure.subject, failure.error, failure.message()));
            }
            if self.run.status != ExecutionStatus::Running {
                say::line(&format!("after the repair: datadetox redrive {name}"));
            }
            return;
        }
        match self.output["status"].as_str().or_else(|| self.output["plan"]["status"].as_str()) {
            Some("up_to_date") => say::data("up to date"),
            Some("already_running") => say::data("an older run is still at work"),
            _ => self.tables(),
        }
    }

    fn tables(&self) {
        let mut tables = table(["SOURCE TABLE", "READ", "ROWS", "BYTES", "TIME"]);
        for result in self.results("extract") {
            let name = result["table"].as_str().unwrap_or_default();
            let number = |member: &str| result[member].as_u64().unwrap_or_default();
            let time =
                self.visit(&format!("Extract {name}")).and_then(|visit| duration(&visit.entered, visit.left.as_ref()));
            let reason = self.output["plan"]["tables"][name]["reason"].as_str().unwrap_or_default();
            let row = [
                name.to_owned(),
                reason.to_owned(),
                count(number("rows")),
                bytes(number("bytes")),
                time.unwrap_or_default(),
            ];
            tables.add_row(row);
        }
        let mut targets = table(["TARGET", "ADDED", "UPDATED", "UNCHANGED", "DEFERRED", "REJECTED"]);
        for (name, counts) in self.targets() {
            let Counts { added, updated, unchanged, deferred, rejected } = counts;
            let mut row = vec![name];
            row.extend([added, updated, unchanged, deferred, rejected].map(count));
            targets.add_row(row);
        }
        say::data(&tables.trim_fmt());
        say::data("");
        say::data(&targets.trim_fmt());
        let load = &self.output["load"];
        let status = load["status"].as_str().unwrap_or_default().replace('_', " ");
        let fresh = span(load["freshness_ms"].as_u64().unwrap_or_default());
        let took = duration(&self.run.start_date, self.run.stop_date.as_ref()).unwrap_or_default();
        say::data(&format!("\n{status} in {took}; the warehouse shows the source as it was {fresh} before"));
        if let Some(rejected) = load["rejected"].as_u64().filter(|rejected| *rejected > 0) {
            let place = catalog::ledger::REJECT;
            say::warning(&format!("{} rows were rejected; see {place} in the warehouse", count(rejected)));
        }
    }
}

/// A table without lines; every column but the first two is of numbers.
fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    let first_number = if N == 5 { 2 } else { 1 };
    for column in table.column_iter_mut().skip(first_number) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
