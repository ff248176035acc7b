//! The schedule of a deployed pipeline, paused while its functions are exchanged: no run meets one half of them.
//!
//! Speaks to AWS through its own command line program: whoever deploys has it and its credentials, and another client of
//! AWS would be compiled for two calls a deployment.

use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use catalog::Deployment;
use catalog::deployment::Verb;
use humantime::format_duration;
use serde::Deserialize;
use serde_json::Value;

/// What the scheduler tells of a schedule and does not take back.
const TOLD_ALONE: [&str; 3] = ["Arn", "CreationDate", "LastModificationDate"];

/// Whether a schedule starts runs, in the scheduler's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Enabled,
    Disabled,
    /// There is none: nothing is deployed yet.
    Missing,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::Missing => "MISSING",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The schedule of a deployment, and the runs that it started.
pub(crate) struct Schedule {
    pub(crate) deployment: Deployment,
    pub(crate) region: String,
    /// Resumes it: what a person is told to type.
    pub(crate) remedy: String,
    /// Hears what is done and waited for, a line each.
    pub(crate) tell: fn(&str),
}

impl Schedule {
    /// Whether it starts runs.
    ///
    /// # Errors
    /// What AWS answers.
    pub(crate) fn state(&self) -> Result<State> {
        let Some(schedule) = self.get()? else { return Ok(State::Missing) };
        match schedule["State"].as_str() {
            Some("ENABLED") => Ok(State::Enabled),
            Some("DISABLED") => Ok(State::Disabled),
            other => bail!("the schedule {} is {other:?}, neither ENABLED nor DISABLED", self.name()),
        }
    }

    /// Lets it start no more runs, and waits until none is at work: looks every so often, `at_most` so long. One that is
    /// not deployed has nothing to wait for.
    ///
    /// # Errors
    /// What AWS answers; when a run is still at work after that time.
    pub(crate) fn pause(&self, every: Duration, at_most: Duration) -> Result<()> {
        match self.state()? {
            State::Enabled => {
                self.put(State::Disabled)?;
                (self.tell)(&format!("the schedule {} is paused; to resume it: {}", self.name(), self.remedy));
            }
            State::Disabled => (self.tell)(&format!("the schedule {} was paused before", self.name())),
            State::Missing => {}
        }
        self.wait(every, at_most)
    }

    /// Lets it start runs again.
    ///
    /// # Errors
    /// What AWS answers.
    pub(crate) fn resume(&self) -> Result<()> {
        match self.state()? {
            State::Enabled => (self.tell)(&format!("the schedule {} is not paused", self.name())),
            State::Disabled => {
                self.put(State::Enabled)?;
                (self.tell)(&format!("the schedule {} is resumed", self.name()));
            }
            State::Missing => (self.tell)(&format!("there is no schedule {}", self.name())),
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.deployment.schedule()
    }

    fn get(&self) -> Result<Option<Value>> {
        self.aws(&["scheduler", "get-schedule", "--name", &self.name()], "ResourceNotFoundException")
    }

    /// Puts it back whole: what is not said again is gone.
    fn put(&self, state: State) -> Result<()> {
        let schedule = self.get()?.with_context(|| format!("the schedule {} is gone", self.name()))?;
        let whole = changed(schedule, state)?.to_string();
        self.aws(&["scheduler", "update-schedule", "--cli-input-json", &whole], "")?;
        Ok(())
    }

    fn wait(&self, every: Duration, at_most: Duration) -> Result<()> {
        let until = Instant::now() + at_most;
        let mut told = Vec::new();
        let mut quiet = 0;
        let machine = self.machine()?;
        // A run that was just started may not be listed yet: none is at work when none is seen twice.
        loop {
            let Some(runs) = self.at_work(&machine)? else { return Ok(()) };
            quiet = if runs.is_empty() { quiet + 1 } else { 0 };
            if quiet == 2 {
                (self.tell)("no run is at work");
                return Ok(());
            }
            if !runs.is_empty() && Instant::now() >= until {
                let stops: Vec<String> = runs.iter().map(|run| self.deployment.command(Verb::Stop, run)).collect();
                bail!(
                    "{} still at work after {}: try again later, or stop what works: {}",
                    listed(&runs),
                    format_duration(at_most),
                    stops.join("; ")
                );
            }
            if !runs.is_empty() && runs != told {
                (self.tell)(&format!(
                    "{} at work: waiting for the end, {} at most",
                    listed(&runs),
                    format_duration(at_most)
                ));
                told = runs;
            }
            std::thread::sleep(every);
        }
    }

    /// The names of the runs that are at work; `None` where there is no state machine.
    fn at_work(&self, machine: &str) -> Result<Option<Vec<String>>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Listed {
            executions: Vec<Run>,
        }
        #[derive(Deserialize)]
        struct Run {
            name: String,
        }
        let machine = self.machine()?;
        let listing =
            ["stepfunctions", "list-executions", "--state-machine-arn", &machine, "--status-filter", "RUNNING"];
        let Some(answer) = self.aws(&listing, "StateMachineDoesNotExist")? else { return Ok(None) };
        let listed: Listed = serde_json::from_value(answer).context("cannot understand the list of runs")?;
        Ok(Some(listed.executions.into_iter().map(|run| run.name).collect()))
    }

    /// The ARN of the state machine, in the account of whoever asks.
    fn machine(&self) -> Result<String> {
        let caller = self.aws(&["sts", "get-caller-identity"], "")?.unwrap_or_default();
        let text =
            |member: &str| caller[member].as_str().with_context(|| format!("AWS does not tell the caller's {member}"));
        let partition = text("Arn")?.split(':').nth(1).context("AWS tells no ARN of the caller")?;
        let (account, name) = (text("Account")?, self.deployment.state_machine());
        Ok(format!("arn:{partition}:states:{}:{account}:stateMachine:{name}", self.region))
    }

    /// What the AWS CLI answers; `None` where its error is the one named `missing`.
    fn aws(&self, words: &[&str], missing: &str) -> Result<Option<Value>> {
        let doing = words.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        let output = Command::new("aws")
            .args(words)
            .args(["--region", &self.region, "--output", "json"])
            .output()
            .context("cannot start the AWS CLI: install aws, version 2")?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if !missing.is_empty() && told.contains(&format!("({missing})")) {
                return Ok(None);
            }
            bail!("aws {doing}: {told}");
        }
        let answer = serde_json::from_slice(&output.stdout);
        answer.map(Some).with_context(|| format!("cannot understand what aws {doing} answers"))
    }
}

/// A schedule as the scheduler told it, as it takes it: in another state and all else the same.
fn changed(told: Value, state: State) -> Result<Value> {
    let Value::Object(mut members) = told else { bail!("a schedule is told as an object") };
    members.retain(|name, _| !TOLD_ALONE.contains(&name.as_str()));
    members.insert("State".to_owned(), state.word().into());
    Ok(Value::Object(members))
}

/// `run a is`, `runs a, b are`.
fn listed(runs: &[String]) -> String {
    match runs {
        [run] => format!("run {run} is"),
        runs => format!("runs {} are", runs.join(", ")),
    }
}
