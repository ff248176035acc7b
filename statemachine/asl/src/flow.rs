//! One thread of an execution: the whole machine's, or a branch's. It goes from state to state, waits, and may hold
//! branches of its own. What a state does is its kind's own affair.
//!
//! Dear next person: the order of events and whom each follows is what was recorded on AWS, and the console, the progress
//! display and every tool read it. A rule that looks odd here (a Parallel's exit follows its last branch and not its own
//! success; a redriven task is scheduled from its old Entered event) is such a recording.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::history::{EventKind, iso};
use crate::machine::Machine;
use crate::runtime::Runtime;
use crate::signal::{Signal, Token};
use crate::state::State;
use crate::state_type::StateType;

/// How a flow ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    Succeeded(Value),
    Failed(Failure),
    Aborted,
}

/// What a flow waits for.
#[derive(Debug)]
pub(crate) enum At {
    /// A call is out; the timer is the state's own timeout.
    Task {
        token: Token,
        timer: Option<Token>,
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
    /// The present state's name.
    pub(crate) state: String,
    /// Of the present state, before its InputPath.
    pub(crate) input: Value,
    /// The event with which the present state was entered.
    pub(crate) entered: u64,
    entered_at: DateTime<Utc>,
    /// The event that the next one follows.
    pub(crate) last: u64,
    /// How often each retrier of the present state was used.
    retries: BTreeMap<usize, u64>,
    pub(crate) branches: Vec<Flow>,
    pub(crate) at: At,
}

/// What became of performing a state.
pub(crate) enum Outcome {
    /// It waits for something.
    Waiting,
    /// On to the next state with this input.
    Go(String, Value),
    /// The flow ended well.
    Succeeded(Value),
}

/// Why a state was not performed.
pub(crate) enum Trouble {
    /// It failed; a retrier or catcher may handle it.
    Failed(Failure),
    /// Nothing handles it: the cause of `States.Runtime`.
    Broken(String),
}

pub(crate) type Performed = Result<Outcome, Trouble>;

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
            retries: BTreeMap::new(),
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

    pub(crate) fn succeeded(&self) -> bool {
        matches!(self.at, At::Ended(Ended::Succeeded(_)))
    }

    /// What the present state is.
    pub(crate) fn state_type(&self) -> Option<StateType> {
        self.machine.states.get(&self.state).map(State::state_type)
    }

    /// How often a retrier of the present state was used.
    pub(crate) fn used(&self, retrier: usize) -> u64 {
        self.retries.get(&retrier).copied().unwrap_or(0)
    }

    pub(crate) fn use_retrier(&mut self, retrier: usize) {
        *self.retries.entry(retrier).or_default() += 1;
    }

    /// Enters the first state.
    pub(crate) fn begin(&mut self, runtime: &mut Runtime<'_>, after: u64) {
        self.last = after;
        self.go(runtime, self.machine.start_at.clone(), self.input.clone());
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
            (At::Backoff(timer), Signal::Woken { token }) if token == timer => {
                Some(state.kind().perform(self, runtime))
            }
            _ => state.kind().signalled(self, runtime, signal),
        };
        if let Some(performed) = performed {
            self.settle(runtime, performed);
        }
    }

    /// After a redrive: what failed or was aborted runs again, what succeeded stays.
    pub(crate) fn revive(&mut self, runtime: &mut Runtime<'_>, redriven: u64) {
        let machine = Arc::clone(&self.machine);
        let Some(state) = machine.states.get(&self.state) else { return };
        self.retries.clear();
        let performed = state.kind().revive(self, runtime, redriven);
        self.settle(runtime, performed);
    }

    /// Takes note of what a state became, and goes on until the flow waits or ends.
    fn settle(&mut self, runtime: &mut Runtime<'_>, performed: Performed) {
        match performed {
            Ok(Outcome::Waiting) => {}
            Ok(Outcome::Go(name, input)) => self.go(runtime, name, input),
            Ok(Outcome::Succeeded(output)) => self.at = At::Ended(Ended::Succeeded(output)),
            Err(Trouble::Failed(failure)) => self.at = At::Ended(Ended::Failed(failure)),
            Err(Trouble::Broken(cause)) => self.break_down(runtime, &cause),
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

    fn go(&mut self, runtime: &mut Runtime<'_>, mut name: String, mut input: Value) {
        loop {
            let machine = Arc::clone(&self.machine);
            let Some(state) = machine.states.get(&name) else { return };
            let (state_type, text) = (state.state_type(), input.to_string());
            self.entered =
                self.follow(runtime, EventKind::StateEntered { state_type, name: name.clone(), input: text });
            self.entered_at = runtime.now;
            self.state = name;
            self.input = input;
            self.retries.clear();
            self.branches.clear();
            match state.kind().perform(self, runtime) {
                // A loop and not a call: a machine may go round for as long as its history has room.
                Ok(Outcome::Go(..)) if runtime.broken.is_some() => return self.at = At::Ended(Ended::Aborted),
                Ok(Outcome::Go(next, output)) => (name, input) = (next, output),
                performed => return self.settle(runtime, performed),
            }
        }
    }

    /// Records an event that the next one follows.
    pub(crate) fn follow(&mut self, runtime: &mut Runtime<'_>, kind: EventKind) -> u64 {
        self.last = runtime.record(self.last, kind);
        self.last
    }

    /// Records that the present state is left.
    pub(crate) fn record_exit(&mut self, runtime: &mut Runtime<'_>, output: &Value) {
        let Some(state_type) = self.state_type() else { return };
        let (name, output) = (self.state.clone(), output.to_string());
        self.follow(runtime, EventKind::StateExited { state_type, name, output });
    }

    /// The context object: what `$$` stands for.
    pub(crate) fn context(&self, runtime: &Runtime<'_>) -> Value {
        let mut state = json!({ "Name": self.state, "EnteredTime": iso(self.entered_at) });
        if self.state_type() == Some(StateType::Task) {
            state["RetryCount"] = json!(self.retries.values().sum::<u64>());
        }
        json!({ "Execution": runtime.execution, "StateMachine": runtime.machine, "State": state })
    }
}
