//! One execution: what happened goes in, what is to be done comes out.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::flow::{Ended, Flow};
use crate::history::{Event, EventKind, MAX_EVENTS, iso};
use crate::machine::Machine;
use crate::runtime::Runtime;
use crate::signal::{Order, Signal, Token};

/// Names of an execution and its machine; they never change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Identity {
    /// ARN of the execution.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// ARN of the state machine.
    pub machine_arn: String,
    /// Its name.
    pub machine_name: String,
    /// The role it runs under.
    pub role_arn: String,
}

/// How an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It goes on.
    Running,
    /// It reached its end.
    Succeeded,
    /// It failed.
    Failed,
    /// It took longer than the definition allows.
    TimedOut,
    /// Somebody stopped it.
    Aborted,
}

impl Status {
    /// As AWS spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// Why an execution cannot be redriven, in AWS' words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct NotRedrivable(pub String);

/// An execution.
#[derive(Debug)]
pub struct Execution {
    machine: Arc<Machine>,
    /// Its names.
    pub identity: Identity,
    /// What it was started with.
    pub input: Value,
    /// When it was started.
    pub started: DateTime<Utc>,
    /// How it stands.
    pub status: Status,
    /// What it answered, once succeeded.
    pub output: Option<Value>,
    /// What it failed with or was aborted for; blank in every other status.
    pub failure: Failure,
    /// When it ended, unless it runs.
    pub stopped: Option<DateTime<Utc>>,
    /// How often it was redriven.
    pub redrives: u64,
    /// When it was redriven last.
    pub redriven: Option<DateTime<Utc>>,
    /// Its history.
    pub events: Vec<Event>,
    flow: Flow,
    next_token: Token,
    deadline: Option<Token>,
}

impl Execution {
    /// Starts an execution.
    #[must_use]
    pub fn start(machine: Arc<Machine>, identity: Identity, input: Value, now: DateTime<Utc>) -> (Self, Vec<Order>) {
        let flow = Flow::new(Arc::clone(&machine), input.clone());
        let started = EventKind::ExecutionStarted { input: input.to_string(), role_arn: identity.role_arn.clone() };
        let mut execution = Self {
            machine,
            identity,
            input,
            started: now,
            status: Status::Running,
            output: None,
            failure: Failure::default(),
            stopped: None,
            redrives: 0,
            redriven: None,
            events: Vec::new(),
            flow,
            next_token: 0,
            deadline: None,
        };
        execution.record(0, started, now);
        let mut orders = execution.arm_deadline(now);
        // The first state is entered from nothing, not from ExecutionStarted: so AWS records it.
        orders.extend(execution.step(now, 0, |flow, runtime| flow.begin(runtime, 0)));
        (execution, orders)
    }

    /// Takes note of what happened. `random` (0 to 1,000,000) spreads retries. A signal that nothing waits for any more
    /// changes nothing.
    pub fn handle(&mut self, signal: &Signal, now: DateTime<Utc>, random: u32) -> Vec<Order> {
        match signal {
            Signal::Redrive => return self.redrive(now),
            _ if self.status != Status::Running => return Vec::new(),
            Signal::Stop(failure) => {
                let aborted = EventKind::ExecutionAborted(failure.clone());
                return self.end_at_once(Status::Aborted, aborted, failure.clone(), now);
            }
            Signal::Woken { token } if Some(*token) == self.deadline => {
                let late = EventKind::ExecutionTimedOut;
                return self.end_at_once(Status::TimedOut, late, Failure::default(), now);
            }
            Signal::TaskSucceeded { .. } | Signal::TaskFailed { .. } | Signal::Woken { .. } => {}
        }
        self.step(now, random, |flow, runtime| flow.handle(runtime, signal))
    }

    /// Whether it may be redriven now.
    ///
    /// # Errors
    /// Why not.
    pub fn check_redrivable(&self) -> Result<(), NotRedrivable> {
        match self.status {
            Status::Running | Status::Succeeded => {
                Err(NotRedrivable(format!("Execution is {} and cannot be redriven", self.status.name())))
            }
            _ if self.events.len() as u64 >= MAX_EVENTS - 1 => {
                Err(NotRedrivable("Execution history event limit exceeded".to_owned()))
            }
            Status::Failed | Status::TimedOut | Status::Aborted => Ok(()),
        }
    }

    fn redrive(&mut self, now: DateTime<Utc>) -> Vec<Order> {
        if self.check_redrivable().is_err() {
            return Vec::new();
        }
        self.redrives += 1;
        self.redriven = Some(now);
        self.status = Status::Running;
        self.failure = Failure::default();
        self.stopped = None;
        let last = self.events.len() as u64;
        let redriven = self.record(last, EventKind::ExecutionRedriven { redrive_count: self.redrives }, now);
        let mut orders = self.arm_deadline(now);
        orders.extend(self.step(now, 0, |flow, runtime| flow.revive(runtime, redriven)));
        orders
    }

    fn arm_deadline(&mut self, now: DateTime<Utc>) -> Vec<Order> {
        let seconds = self.machine.timeout_seconds.and_then(|seconds| i64::try_from(seconds).ok());
        let Some(at) = seconds.and_then(TimeDelta::try_seconds).and_then(|limit| now.checked_add_signed(limit)) else {
            return Vec::new();
        };
        self.next_token += 1;
        self.deadline = Some(self.next_token);
        vec![Order::Wake { token: self.next_token, at }]
    }

    /// Lets the flow run until it waits for something, and ends the execution when it ended.
    fn step(&mut self, now: DateTime<Utc>, random: u32, run: impl FnOnce(&mut Flow, &mut Runtime<'_>)) -> Vec<Order> {
        let execution = self.context_of_execution();
        let machine = json!({ "Id": self.identity.machine_arn, "Name": self.identity.machine_name });
        let mut runtime = Runtime {
            events: &mut self.events,
            orders: Vec::new(),
            next_token: &mut self.next_token,
            now,
            random,
            execution: &execution,
            machine: &machine,
            broken: None,
        };
        run(&mut self.flow, &mut runtime);
        let (mut orders, broken) = (runtime.orders, runtime.broken);
        if let Some((cause, last)) = broken {
            // States.Runtime passes every Catch and ends everything at once.
            orders.clear();
            self.flow.abort_all();
            orders.extend(self.fail(last, Failure::new("States.Runtime", cause), now));
            return orders;
        }
        match self.flow.ended() {
            None => {}
            Some(Ended::Succeeded(output)) => {
                let output = output.clone();
                let succeeded = EventKind::ExecutionSucceeded { output: output.to_string() };
                self.record(self.flow.last, succeeded, now);
                self.status = Status::Succeeded;
                self.output = Some(output);
                self.stopped = Some(now);
                orders.push(Order::End);
            }
            Some(Ended::Failed(failure)) => {
                let failure = failure.clone();
                orders.extend(self.fail(self.flow.last, failure, now));
            }
            Some(Ended::Aborted) => {}
        }
        orders
    }

    fn fail(&mut self, after: u64, failure: Failure, now: DateTime<Utc>) -> Vec<Order> {
        self.end(after, Status::Failed, EventKind::ExecutionFailed(failure.clone()), failure, now)
    }

    /// Ends whatever its flow does.
    fn end_at_once(&mut self, status: Status, kind: EventKind, failure: Failure, now: DateTime<Utc>) -> Vec<Order> {
        self.flow.abort_all();
        self.end(self.events.len() as u64, status, kind, failure, now)
    }

    fn end(&mut self, after: u64, status: Status, kind: EventKind, failure: Failure, now: DateTime<Utc>) -> Vec<Order> {
        self.record(after, kind, now);
        self.status = status;
        self.failure = failure;
        self.stopped = Some(now);
        vec![Order::End]
    }

    fn record(&mut self, previous: u64, kind: EventKind, at: DateTime<Utc>) -> u64 {
        let id = self.events.len() as u64 + 1;
        self.events.push(Event { id, previous, at, kind });
        id
    }

    fn context_of_execution(&self) -> Value {
        let mut context = json!({
            "Id": self.identity.arn,
            "Input": self.input,
            "StartTime": iso(self.started),
            "Name": self.identity.name,
            "RoleArn": self.identity.role_arn,
            "RedriveCount": self.redrives,
        });
        if let Some(redriven) = self.redriven {
            context["RedriveTime"] = json!(iso(redriven));
        }
        context
    }
}
