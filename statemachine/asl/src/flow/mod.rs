//! One thread of an execution: the whole machine's, or a branch's. It enters states, waits, retries, catches, and may hold
//! branches of its own.
//!
//! Dear next person: the order of events and whom each follows is what was recorded on AWS, and the console, the progress
//! display and every tool read it. A rule that looks odd here (a Parallel's exit follows its last branch and not its own
//! success; a redriven task is scheduled from its old Entered event) is such a recording.

mod data;
mod failure;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use self::data::later;
use self::failure::{Failure, matches, retrier};
use crate::execution::{Order, Signal, Token};
use crate::history::{self, Event};
use crate::machine::{Kind, Machine, Next, Resource, State};

/// What Step Functions allows an input, output or result to have, in bytes.
const MAX_DATA: usize = 262_144;

/// What a flow works with while it runs.
pub(crate) struct Runtime<'r> {
    pub(crate) events: &'r mut Vec<Event>,
    pub(crate) orders: Vec<Order>,
    pub(crate) next_token: &'r mut Token,
    pub(crate) now: DateTime<Utc>,
    pub(crate) random: u32,
    pub(crate) execution: &'r Value,
    pub(crate) machine: &'r Value,
    /// The cause of `States.Runtime` and the event it follows, once there is one.
    pub(crate) broken: Option<(String, u64)>,
}

impl Runtime<'_> {
    fn record(&mut self, previous: u64, kind: impl Into<String>, details: Option<(&'static str, Value)>) -> u64 {
        let id = self.events.len() as u64 + 1;
        self.events.push(Event { id, previous, kind: kind.into(), at: self.now, details });
        id
    }

    fn token(&mut self) -> Token {
        *self.next_token += 1;
        *self.next_token
    }

    fn wake_at(&mut self, at: DateTime<Utc>) -> Token {
        let token = self.token();
        self.orders.push(Order::Wake { token, at });
        token
    }
}

/// How a flow ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Succeeded(Value),
    Failed { error: Option<String>, cause: Option<String> },
    Aborted,
}

#[derive(Debug)]
enum At {
    /// A task is out.
    Task {
        token: Token,
        timer: Option<Token>,
        resource: Resource,
    },
    /// A retry is due then.
    Backoff(Token),
    /// A Wait state is left then.
    Wait(Token),
    /// Branches run.
    Branches,
    Ended(Ended),
}

#[derive(Debug)]
pub(crate) struct Flow {
    machine: Arc<Machine>,
    state: String,
    /// Of the present state, before its InputPath.
    input: Value,
    entered: u64,
    entered_at: DateTime<Utc>,
    /// The event that the next one follows.
    last: u64,
    /// How often each retrier of the present state was used.
    retries: Vec<u64>,
    branches: Vec<Flow>,
    at: At,
}

/// A failure that nothing handles: the cause of `States.Runtime`.
struct Broken(String);

/// What became of performing a state.
enum Outcome {
    /// It waits for something.
    Waiting,
    /// On to the next state with this input.
    Go(String, Value),
    /// The flow ended.
    Ended(Ended),
}

type Performed = Result<Outcome, Broken>;

impl Flow {
    pub(crate) fn new(machine: Arc<Machine>, input: Value) -> Self {
        let state = machine.start_at.clone();
        Self {
            machine,
            state,
            input,
            entered: 0,
            entered_at: DateTime::UNIX_EPOCH,
            last: 0,
            retries: Vec::new(),
            branches: Vec::new(),
            at: At::Ended(Ended::Aborted),
        }
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        match &self.at {
            At::Ended(ended) => Some(ended),
            At::Task { .. } | At::Backoff(_) | At::Wait(_) | At::Branches => None,
        }
    }

    fn succeeded(&self) -> bool {
        matches!(self.at, At::Ended(Ended::Succeeded(_)))
    }

    pub(crate) fn last_event(&self) -> u64 {
        self.last
    }

    /// Enters the first state.
    pub(crate) fn begin(&mut self, runtime: &mut Runtime<'_>, after: u64) {
        self.last = after;
        self.go(runtime, Outcome::Go(self.machine.start_at.clone(), self.input.clone()));
    }

    /// Stops whatever still runs.
    pub(crate) fn abort_all(&mut self) {
        self.branches.iter_mut().for_each(Self::abort_all);
        if self.ended().is_none() {
            self.at = At::Ended(Ended::Aborted);
        }
    }

    /// Gives the signal to whom it is for.
    pub(crate) fn handle(&mut self, runtime: &mut Runtime<'_>, signal: &Signal) {
        let machine = Arc::clone(&self.machine);
        let Some(state) = machine.states.get(&self.state) else { return };
        let performed = match (&self.at, signal) {
            (At::Branches, _) => {
                for branch in self.branches.iter_mut().filter(|branch| branch.ended().is_none()) {
                    branch.handle(runtime, signal);
                }
                self.after_branches(runtime, state)
            }
            (At::Backoff(timer), Signal::Woken { token }) if token == timer => self.perform(runtime, state),
            (At::Wait(timer), Signal::Woken { token }) if token == timer => {
                self.effective_input(runtime, state).and_then(|input| self.leave(runtime, state, input))
            }
            (At::Task { timer, resource, .. }, Signal::Woken { token }) if Some(*token) == *timer => {
                let mut details = integration(*resource);
                details["error"] = json!("States.Timeout");
                self.last = runtime.record(self.last, "TaskTimedOut", Some(("taskTimedOutEventDetails", details)));
                self.fail(runtime, state, Failure { error: Some("States.Timeout".to_owned()), cause: None })
            }
            (At::Task { token, resource, .. }, Signal::TaskSucceeded { token: answered, output })
                if token == answered =>
            {
                let resource = *resource;
                self.task_succeeded(runtime, state, resource, output.clone())
            }
            (At::Task { token, resource, .. }, Signal::TaskFailed { token: answered, error, cause })
                if token == answered =>
            {
                let resource = *resource;
                self.task_failed(runtime, state, resource, error, cause)
            }
            _ => return,
        };
        self.settle(runtime, performed);
    }

    /// After a redrive: what failed or was aborted runs again, what succeeded stays.
    pub(crate) fn revive(&mut self, runtime: &mut Runtime<'_>, redriven: u64) {
        let machine = Arc::clone(&self.machine);
        let Some(state) = machine.states.get(&self.state) else { return };
        self.retries = vec![0; state.retry.len()];
        let performed = match &state.kind {
            Kind::Parallel { .. } if self.branches.iter().any(|branch| !branch.succeeded()) => {
                self.at = At::Branches;
                for branch in self.branches.iter_mut().filter(|branch| !branch.succeeded()) {
                    branch.revive(runtime, redriven);
                }
                self.after_branches(runtime, state)
            }
            kind => {
                // A task is scheduled from its old Entered event; a Fail state fails from the redrive.
                self.last = if matches!(kind, Kind::Fail { .. }) { redriven } else { self.entered };
                self.perform(runtime, state)
            }
        };
        self.settle(runtime, performed);
    }

    /// Takes note of what a state became, and goes on until the flow waits or ends.
    fn settle(&mut self, runtime: &mut Runtime<'_>, performed: Performed) {
        match performed {
            Ok(outcome) => self.go(runtime, outcome),
            Err(Broken(cause)) => self.break_down(runtime, &cause),
        }
    }

    fn break_down(&mut self, runtime: &mut Runtime<'_>, cause: &str) {
        let (state, entered) = (&self.state, self.entered);
        let cause = format!(
            "An error occurred while executing the state '{state}' (entered at the event id #{entered}). {cause}"
        );
        runtime.broken.get_or_insert((cause, self.last));
        self.at = At::Ended(Ended::Aborted);
    }

    fn go(&mut self, runtime: &mut Runtime<'_>, mut outcome: Outcome) {
        loop {
            let (name, input) = match outcome {
                Outcome::Waiting => return,
                Outcome::Ended(ended) => {
                    self.at = At::Ended(ended);
                    return;
                }
                Outcome::Go(name, input) => (name, input),
            };
            let machine = Arc::clone(&self.machine);
            let Some(state) = machine.states.get(&name) else { return };
            let kind = format!("{}StateEntered", state.kind.name());
            self.entered = runtime.record(self.last, kind, history::entered(&name, &input));
            self.last = self.entered;
            self.entered_at = runtime.now;
            self.state = name;
            self.input = input;
            self.retries = vec![0; state.retry.len()];
            self.branches.clear();
            outcome = match self.perform(runtime, state) {
                Ok(outcome) => outcome,
                Err(Broken(cause)) => return self.break_down(runtime, &cause),
            };
        }
    }

    /// Does what the present state is for; also at a retry and a redrive, which do not enter it again.
    fn perform(&mut self, runtime: &mut Runtime<'_>, state: &State) -> Performed {
        let input = self.effective_input(runtime, state)?;
        match &state.kind {
            Kind::Pass { result } => {
                let parameters = self.parameters(runtime, state, &input)?;
                self.leave(runtime, state, result.clone().unwrap_or(parameters))
            }
            Kind::Succeed => self.leave(runtime, state, input),
            Kind::Fail { error, cause } => {
                Ok(Outcome::Ended(Ended::Failed { error: error.clone(), cause: cause.clone() }))
            }
            Kind::Choice { rules, default } => {
                let context = self.context(runtime);
                let mut chosen = default.as_ref();
                for rule in rules {
                    if rule.holds(&input, &context).map_err(Broken)? {
                        chosen = Some(&rule.next);
                        break;
                    }
                }
                let nowhere = "Failed to transition out of the state. The state does not point to a next state.";
                let next = chosen.ok_or_else(|| Broken(nowhere.to_owned()))?.clone();
                let output = self.output(runtime, state, input)?;
                self.record_exit(runtime, state, &output);
                Ok(Outcome::Go(next, output))
            }
            Kind::Wait(wait) => {
                let until = self.wait_until(runtime, wait, &input)?;
                self.at = At::Wait(runtime.wake_at(until));
                Ok(Outcome::Waiting)
            }
            Kind::Task { resource, timeout_seconds } => {
                let parameters = self.parameters(runtime, state, &input)?;
                self.schedule(runtime, *resource, *timeout_seconds, parameters);
                Ok(Outcome::Waiting)
            }
            Kind::Parallel { branches } => {
                let input = self.parameters(runtime, state, &input)?;
                let started = runtime.record(self.last, "ParallelStateStarted", None);
                self.last = started;
                self.branches = branches.iter().map(|branch| Self::new(Arc::clone(branch), input.clone())).collect();
                self.at = At::Branches;
                for branch in &mut self.branches {
                    branch.begin(runtime, started);
                }
                self.after_branches(runtime, state)
            }
        }
    }

    fn schedule(&mut self, runtime: &mut Runtime<'_>, resource: Resource, timeout: Option<u64>, parameters: Value) {
        let mut details = integration(resource);
        details["region"] = json!(region(runtime.machine));
        details["parameters"] = json!(parameters.to_string());
        if let Some(seconds) = timeout {
            details["timeoutInSeconds"] = json!(seconds);
        }
        self.last = runtime.record(self.last, "TaskScheduled", Some(("taskScheduledEventDetails", details)));
        self.last = runtime.record(self.last, "TaskStarted", Some(("taskStartedEventDetails", integration(resource))));
        let token = runtime.token();
        runtime.orders.push(Order::Call { token, resource, parameters });
        let timer = timeout.map(|seconds| runtime.wake_at(later(runtime.now, seconds)));
        self.at = At::Task { token, timer, resource };
    }

    fn task_succeeded(
        &mut self,
        runtime: &mut Runtime<'_>,
        state: &State,
        resource: Resource,
        output: Value,
    ) -> Performed {
        let text = output.to_string();
        if text.len() > MAX_DATA {
            let service = resource.words().0;
            let cause = format!(
                "The state/task '{service}' returned a result with a size exceeding the maximum number of bytes service limit."
            );
            return self.task_failed(runtime, state, resource, "States.DataLimitExceeded", &cause);
        }
        let mut details = integration(resource);
        details["output"] = json!(text);
        details["outputDetails"] = json!({ "truncated": false });
        self.last = runtime.record(self.last, "TaskSucceeded", Some(("taskSucceededEventDetails", details)));
        self.leave(runtime, state, output)
    }

    fn task_failed(
        &mut self,
        runtime: &mut Runtime<'_>,
        state: &State,
        resource: Resource,
        error: &str,
        cause: &str,
    ) -> Performed {
        let mut details = integration(resource);
        details["error"] = json!(error);
        details["cause"] = json!(cause);
        self.last = runtime.record(self.last, "TaskFailed", Some(("taskFailedEventDetails", details)));
        self.fail(runtime, state, Failure { error: Some(error.to_owned()), cause: Some(cause.to_owned()) })
    }

    /// Looks at the branches: goes on when all succeeded, fails when one failed.
    fn after_branches(&mut self, runtime: &mut Runtime<'_>, state: &State) -> Performed {
        if runtime.broken.is_some() {
            return Ok(Outcome::Waiting); // The whole execution is about to end.
        }
        if let Some(failed) =
            self.branches.iter().position(|branch| matches!(branch.at, At::Ended(Ended::Failed { .. })))
        {
            return self.branch_failed(runtime, state, failed);
        }
        let outputs = self.branches.iter().map(|branch| match &branch.at {
            At::Ended(Ended::Succeeded(output)) => Some(output.clone()),
            _ => None,
        });
        let Some(outputs) = outputs.collect::<Option<Vec<Value>>>() else {
            self.at = At::Branches;
            return Ok(Outcome::Waiting);
        };
        self.last = self.branches.iter().map(|branch| branch.last).max().unwrap_or(self.last);
        runtime.record(self.last, "ParallelStateSucceeded", None);
        self.leave(runtime, state, Value::Array(outputs))
    }

    fn branch_failed(&mut self, runtime: &mut Runtime<'_>, state: &State, failed: usize) -> Performed {
        let (error, cause) = match &self.branches[failed].at {
            At::Ended(Ended::Failed { error, cause }) => (error.clone(), cause.clone()),
            _ => (None, None),
        };
        self.last = self.branches[failed].last;
        let failure = Failure { error, cause };
        if !self.has_retry(state, &failure) {
            for branch in self.branches.iter().filter(|branch| !branch.succeeded()) {
                let is_task = branch
                    .machine
                    .states
                    .get(&branch.state)
                    .is_some_and(|state| matches!(state.kind, Kind::Task { .. }));
                if is_task {
                    runtime.record(self.last, "TaskStateAborted", None);
                }
            }
            self.last = runtime.record(self.last, "ParallelStateFailed", None);
        }
        for branch in &mut self.branches {
            branch.abort_all();
        }
        self.fail(runtime, state, failure)
    }

    /// Retries, catches, or ends the flow.
    fn fail(&mut self, runtime: &mut Runtime<'_>, state: &State, failure: Failure) -> Performed {
        if let Some(index) = retrier(state, &self.retries, &failure) {
            let delay = state.retry[index].delay_millis(self.retries[index], runtime.random);
            self.retries[index] += 1;
            let at = runtime.now.checked_add_signed(TimeDelta::milliseconds(delay)).unwrap_or(runtime.now);
            self.at = At::Backoff(runtime.wake_at(at));
            return Ok(Outcome::Waiting);
        }
        let Some(catcher) = state.catch.iter().find(|catcher| matches(&catcher.errors, &failure)) else {
            return Ok(Outcome::Ended(Ended::Failed { error: failure.error, cause: failure.cause }));
        };
        let caught = json!({ "Error": failure.error.unwrap_or_default(), "Cause": failure.cause.unwrap_or_default() });
        let input = self.effective_input(runtime, state)?;
        let output = match &catcher.result_path {
            None => input,
            Some(place) => place.put(input, caught).ok_or_else(|| Broken(NO_PLACE.to_owned()))?,
        };
        self.record_exit(runtime, state, &output);
        Ok(Outcome::Go(catcher.next.clone(), output))
    }

    fn has_retry(&self, state: &State, failure: &Failure) -> bool {
        retrier(state, &self.retries, failure).is_some()
    }

    /// ResultSelector, ResultPath, OutputPath; then out of the state.
    fn leave(&mut self, runtime: &mut Runtime<'_>, state: &State, result: Value) -> Performed {
        let result = match &state.result_selector {
            Some(selector) => selector.render(&result, &self.context(runtime)).map_err(|missing| Broken(missing.0))?,
            None => result,
        };
        let merged = match (&state.kind, &state.result_path) {
            (Kind::Pass { .. } | Kind::Task { .. } | Kind::Parallel { .. }, Some(place)) => {
                let input = self.effective_input(runtime, state)?;
                place.put(input, result).ok_or_else(|| Broken(NO_PLACE.to_owned()))?
            }
            (Kind::Pass { .. } | Kind::Task { .. } | Kind::Parallel { .. }, None) => {
                self.effective_input(runtime, state)?
            }
            _ => result,
        };
        let output = self.output(runtime, state, merged)?;
        if output.to_string().len() > MAX_DATA {
            let what = format!(
                "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service limit.",
                self.state
            );
            return self.fail(
                runtime,
                state,
                Failure { error: Some("States.DataLimitExceeded".to_owned()), cause: Some(what) },
            );
        }
        self.record_exit(runtime, state, &output);
        Ok(match &state.next {
            Next::State(next) => Outcome::Go(next.clone(), output),
            Next::End => Outcome::Ended(Ended::Succeeded(output)),
        })
    }

    fn record_exit(&mut self, runtime: &mut Runtime<'_>, state: &State, output: &Value) {
        let kind = format!("{}StateExited", state.kind.name());
        self.last = runtime.record(self.last, kind, history::exited(&self.state, output));
    }
}

const NO_PLACE: &str = "Unable to apply ReferencePath: the path leads through something that is no object.";

fn integration(resource: Resource) -> Value {
    let (service, action) = resource.words();
    json!({ "resourceType": service, "resource": action })
}

fn region(machine: &Value) -> &str {
    machine["Id"].as_str().and_then(|arn| arn.split(':').nth(3)).unwrap_or_default()
}
