//! What a run did, for a person or for a script.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use aws_sdk_sfn::operation::describe_execution::DescribeExecutionOutput;
use aws_sdk_sfn::primitives::DateTime;
use aws_sdk_sfn::types::ExecutionStatus;
use catalog::deployment::Verb;
use catalog::message::{Counts, Failure};
use catalog::{Deployment, Fault, ledger};
use serde_json::{Value, json};

use super::table::table;
use super::tree::tree;
use crate::say;
use runs::figures::{bytes, count, duration, span};
use runs::{Ending, Orchestrator, View, Visit};

/// A run and everything that is told of it.
pub(crate) struct Report<'d> {
    run: DescribeExecutionOutput,
    view: View,
    output: Value,
    deployment: &'d Deployment,
    /// How another run is started there.
    another_run: Verb,
}

impl<'d> Report<'d> {
    /// Asks for a run.
    pub(crate) async fn of(orchestrator: &Orchestrator, arn: &str, deployment: &'d Deployment) -> Result<Self> {
        let run = orchestrator.describe(arn).await?;
        let view = View::of(&orchestrator.history(arn).await?);
        let output = run.output.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        Ok(Self { run, view, output, deployment, another_run: orchestrator.another_run() })
    }

    pub(crate) fn started(&self) -> DateTime {
        self.run.start_date
    }

    pub(crate) fn ending(&self) -> Ending {
        Ending::of(&self.run.status, &self.output)
    }

    /// Prints what it did on stdout, and what to do about it on stderr.
    pub(crate) fn print(&self, as_json: bool) -> Result<Ending> {
        let ending = self.ending();
        if as_json {
            say::data(&serde_json::to_string_pretty(&self.json())?);
            return Ok(ending);
        }
        self.say_found();
        match ending {
            Ending::Loaded => self.loaded(),
            Ending::UpToDate => say::data("up to date"),
            Ending::AlreadyRunning => say::data("an older run is still at work: this one changed nothing"),
            Ending::Superseded => say::data("another run was faster: this one changed nothing, the next one goes on"),
            Ending::Failed => {
                let name = self.run.name.as_deref().unwrap_or_default();
                say::data(&format!("{} {name}\n{}", self.run.status.as_str(), self.failures_told()));
                self.say_remedy();
            }
        }
        self.say_waiting();
        Ok(ending)
    }

    /// Says what the run found in the warehouse that was not as the last batch left it.
    fn say_found(&self) {
        let rebuilt = self.output["checkpoint"]["rebuild"].as_object();
        for found in rebuilt.into_iter().flat_map(|lost| lost.values()).filter_map(Value::as_str) {
            say::line(&format!("{found}: it was made anew from a full read"));
        }
        for alert in self.alerts() {
            say::warning(alert);
        }
    }

    /// What the run noticed before it read and when it loaded, a sentence each.
    fn alerts(&self) -> Vec<&str> {
        let phases = ["checkpoint", "load"].into_iter().filter_map(|phase| self.output[phase]["alerts"].as_array());
        phases.flatten().filter_map(Value::as_str).collect()
    }

    /// Rows that wait in the reject table after it, as far as the run tells.
    fn waiting(&self) -> Option<u64> {
        let loaded = self.output["load"]["waiting"].as_u64();
        loaded.or_else(|| self.output["checkpoint"]["waiting"].as_u64())
    }

    /// Says, as long as it is so, that rows wait that the warehouse cannot take.
    fn say_waiting(&self) {
        if let Some(waiting) = self.waiting().filter(|waiting| *waiting > 0) {
            let query = ledger::rejects_of(&self.deployment.catalog);
            say::warning(&format!("{} waiting that the warehouse cannot take: {query}", rows(waiting)));
        }
    }

    /// Prints it state by state.
    pub(crate) fn print_states(&self) {
        say::data(&tree(&self.view, &self.run));
        if self.run.status != ExecutionStatus::Succeeded && self.run.status != ExecutionStatus::Running {
            say::data(&format!("\n{}", self.failures_told()));
            self.say_remedy();
        }
    }

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
        runs::failures(&self.run, &self.view)
    }

    fn failures_told(&self) -> String {
        let mut text = String::new();
        for failure in self.failures() {
            // A run that was stopped has a cause at most.
            let said = [failure.subject.clone(), failure.error.clone(), failure.message().to_string()];
            let said: Vec<String> = said.into_iter().filter(|said| !said.is_empty()).collect();
            let _ = writeln!(text, "  {}", said.join(": "));
        }
        text.trim_end().to_owned()
    }

    fn say_remedy(&self) {
        if self.run.status != ExecutionStatus::Running {
            let name = self.run.name.as_deref().unwrap_or_default();
            let failures = self.failures();
            let anew =
                failures.iter().filter_map(|failure| Fault::from_name(&failure.error)).any(Fault::needs_another_run);
            let (when, verb) = match self.run.status {
                ExecutionStatus::Aborted => ("to go on", Verb::Redrive),
                _ if anew => ("after the repair another run", self.another_run),
                _ => ("after the repair", Verb::Redrive),
            };
            say::line(&format!("{when}: {}", self.deployment.command(verb, name)));
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
            "found": self.output["checkpoint"]["rebuild"],
            "alerts": self.alerts(),
            "waiting": self.waiting(),
            "freshness_ms": self.output["load"]["freshness_ms"],
        });
        if self.run.status != ExecutionStatus::Succeeded && self.run.status != ExecutionStatus::Running {
            json["failures"] = json!(self.failures());
        }
        json
    }

    fn loaded(&self) {
        let mut tables = table(2, ["SOURCE TABLE", "READ", "ROWS", "BYTES", "TIME"]);
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
        let mut targets = table(1, ["TARGET", "ADDED", "UPDATED", "UNCHANGED", "DEFERRED", "REJECTED"]);
        for (name, counts) in self.targets() {
            let Counts { added, updated, unchanged, deferred, rejected, .. } = counts;
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
        for (name, Counts { gone, filled, .. }) in self.targets() {
            if gone > 0 {
                say::line(&format!("{name}: {} gone from the source, and waiting no longer", rows(gone)));
            }
            if filled > 0 {
                say::line(&format!(
                    "{name}: the values of new columns went into the newest versions of {}",
                    rows(filled)
                ));
            }
        }
    }
}

/// `1 row`, `1,234 rows`.
fn rows(number: u64) -> String {
    if number == 1 { "1 row".to_owned() } else { format!("{} rows", count(number)) }
}
