//! The service: its machines, and executions driven by the interpreter.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use asl::{Execution, MAX_NESTING, Order, Signal, Status, nests_too_deep};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::entry::{Entry, Signals};
use crate::executions::{Executions, Place};
use crate::index::{Index, Line};
use crate::journal::{self, Journal};
use crate::machine::StateMachine;
use crate::name;
use crate::recent::Recent;
use crate::refusal::Refusal;
use crate::service::Service;
use crate::summary::Summary;

/// Executions kept. AWS keeps them for 90 days, which are that many at one every five minutes. Here the number counts, not
/// the time: room on disk and in memory has a bound whatever the schedule, and a stack that rested for a season still
/// knows what it did.
const KEEP: usize = 90 * 24 * 12;

/// Who is told of an execution that has ended. It is called while the execution is locked.
pub type Ended = Arc<dyn Fn(&Execution) + Send + Sync>;

/// The time between two tries to write a journal.
const AGAIN: Duration = Duration::from_secs(1);

/// Where the service stands.
pub struct Settings {
    /// For ARNs.
    pub region: String,
    /// For ARNs.
    pub account: String,
    /// Holds the journals of all executions; it exists.
    pub folder: PathBuf,
    /// Whether the executions that were running go on. Otherwise they rest: they can be looked at and stopped.
    pub goes_on: bool,
    /// What tasks call.
    pub service: Arc<dyn Service>,
    /// Who is told of every execution that has ended, once a time that it ends. Nobody sees the end before.
    pub ended: Ended,
    /// The time, to the millisecond.
    pub clock: fn() -> DateTime<Utc>,
}

/// Step Functions: state machines and their executions.
pub struct StepFunctions {
    settings: Settings,
    /// By ARN.
    machines: BTreeMap<String, Arc<StateMachine>>,
    /// Locked after an execution, never before one.
    executions: Mutex<Executions>,
    /// The same.
    recent: Mutex<Recent>,
    index: Index,
    /// Held from the look for a name to its execution: of two that start one at once, the second sees the first.
    starting: Mutex<()>,
}

impl StepFunctions {
    /// Deploys machines, each a name and its definition, and reads the executions of earlier runs; those that were running
    /// go on, if the settings say so. To be called inside of a Tokio runtime.
    ///
    /// # Errors
    /// When a definition uses what the interpreter does not do, or the folder cannot be read. A journal that is damaged is
    /// put aside and told of; the others are read.
    pub fn open(settings: Settings, machines: impl IntoIterator<Item = (String, Value)>) -> Result<Arc<Self>> {
        let deploy = |(name, definition)| {
            let machine = StateMachine::new(&settings.region, &settings.account, name, definition)?;
            Ok((machine.arn.clone(), Arc::new(machine)))
        };
        let machines = machines.into_iter().map(deploy).collect::<Result<_>>()?;
        let (index, mut known) = Index::open(&settings.folder);
        let (executions, recent, starting) = Default::default();
        let states = Arc::new(Self { settings, machines, executions, recent, index, starting });
        let mut lines = Vec::new();
        let mut read_again = 0;
        for path in journal::all(&states.settings.folder, KEEP)? {
            if let Some(line) = known.take(&path) {
                states.insert(Entry::ended_before(&path, line.summary.clone()));
                lines.push(line);
            } else if let Some(line) = states.resume(&path) {
                read_again += 1;
                lines.push(line);
            }
        }
        let is_stale = read_again > 0 || lines.len() != known.written();
        if is_stale && let Err(error) = states.index.write(&lines) {
            tracing::warn!("the next start reads all journals, which takes longer: {error:#}");
        }
        Ok(states)
    }

    /// Reads a journal. An execution that runs is driven; of one that has ended the index is to be told.
    fn resume(self: &Arc<Self>, path: &Path) -> Option<Line> {
        let recorded = match journal::replay(path) {
            Ok(recorded) => recorded?,
            Err(error) => {
                journal::put_aside(path, &error);
                return None;
            }
        };
        if recorded.execution.status != Status::Running {
            let summary = Summary::of(&recorded.execution);
            self.insert(Entry::ended_before(path, summary.clone()));
            return Line::of(path, recorded.journal.length(), summary);
        }
        if !self.settings.goes_on {
            self.drive(recorded.execution, recorded.journal, Vec::new());
            return None;
        }
        let waiting = recorded.waiting();
        let entry = self.drive(recorded.execution, recorded.journal, recorded.rearm);
        // Nobody knows what became of a call that was out when the service ended. What is called here bears being
        // called twice, so the call failed as Lambda fails when it is down, and the definition retries it.
        for token in waiting {
            entry.send(Signal::TaskFailed {
                token,
                error: "Lambda.ServiceException".to_owned(),
                cause: "the local stack ended while the function worked".to_owned(),
            });
        }
        None
    }

    /// Every machine, by ARN.
    pub fn machines(&self) -> impl Iterator<Item = &Arc<StateMachine>> {
        self.machines.values()
    }

    /// The machine with that ARN.
    #[must_use]
    pub fn machine(&self, arn: &str) -> Option<&Arc<StateMachine>> {
        self.machines.get(arn)
    }

    /// Every execution of every machine, the newest first.
    #[must_use]
    pub fn executions(&self) -> Vec<Arc<Entry>> {
        self.before(None)
    }

    /// The execution with that ARN.
    #[must_use]
    pub fn find(&self, arn: &str) -> Option<Arc<Entry>> {
        self.list().find(arn)
    }

    /// Starts an execution; the same name with the same input while it runs is the same execution.
    ///
    /// # Errors
    /// `InvalidName`; `InvalidExecutionInput` for one that nests too deep; `ExecutionAlreadyExists` when one of that name was started with another input, or has ended;
    /// `ServiceException` when its journal cannot be written.
    pub fn start(self: &Arc<Self>, machine: &StateMachine, name: &str, input: Value) -> Result<Arc<Entry>, Refusal> {
        name::check(name)?;
        if nests_too_deep(&input) {
            let message = format!("Invalid State Machine Execution Input: it nests deeper than {MAX_NESTING} levels");
            return Err(Refusal::new("InvalidExecutionInput", message));
        }
        let identity = machine.identity(name);
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = self.find(&identity.arn) {
            let is_same = |execution: &Execution| execution.status == Status::Running && execution.input == input;
            // One that has ended is another, whatever its input: its journal is not asked.
            let same = entry.held().execution().is_some_and(is_same);
            let exists =
                || Refusal::new("ExecutionAlreadyExists", format!("Execution Already Exists: '{}'", identity.arn));
            return if same { Ok(entry) } else { Err(exists()) };
        }
        let now = self.now();
        let journal = Journal::create(&self.settings.folder, &identity, &input, &machine.definition, now)
            .map_err(|error| Refusal::new("ServiceException", format!("{error:#}")))?;
        let (execution, orders) = Execution::start(Arc::clone(&machine.machine), identity, input, now);
        self.tell(&execution);
        Ok(self.drive(execution, journal, orders))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.settings.clock)()
    }

    /// The executions that are older than a place, or all; the newest first.
    pub(crate) fn before(&self, place: Option<&Place>) -> Vec<Arc<Entry>> {
        self.list().before(place)
    }

    /// Redrives an execution. If it was put away it is read and driven again.
    ///
    /// # Errors
    /// Those of [`Self::read`]; `ExecutionNotRedrivable`.
    pub(crate) fn redrive(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<(), Refusal> {
        let check = |execution: &Execution| {
            execution.check_redrivable().map_err(|reason| {
                let message = format!("Execution {} invalid for redrive as: {reason}", execution.identity.arn);
                Refusal::new("ExecutionNotRedrivable", message)
            })
        };
        let mut held = entry.held();
        if let Some(execution) = held.execution() {
            check(execution)?;
        } else {
            let recorded = self.recall(entry, &held.summary)?;
            check(&recorded.execution)?;
            self.recent().remove(entry.journal());
            let signals = held.revive(recorded.execution);
            self.spawn(entry, recorded.journal, signals, Vec::new());
        }
        // While it is locked: its driver does not find it ended and told nothing.
        held.send(Signal::Redrive);
        Ok(())
    }

    pub(crate) fn list(&self) -> MutexGuard<'_, Executions> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, entry: Entry) -> Arc<Entry> {
        let (place, entry) = (entry.place(), Arc::new(entry));
        self.list().insert(place, &entry);
        entry
    }

    fn drive(self: &Arc<Self>, execution: Execution, journal: Journal, orders: Vec<Order>) -> Arc<Entry> {
        let (entry, signals) = Entry::live(journal.path(), execution);
        let entry = self.insert(entry);
        self.spawn(&entry, journal, signals, orders);
        entry
    }

    fn spawn(self: &Arc<Self>, entry: &Arc<Entry>, journal: Journal, signals: Signals, orders: Vec<Order>) {
        let (states, driven) = (Arc::clone(self), Arc::clone(entry));
        tokio::spawn(async move { states.run(driven, journal, signals, orders).await });
    }

    /// Drives an execution until it has ended.
    async fn run(&self, entry: Arc<Entry>, mut journal: Journal, mut signals: Signals, mut orders: Vec<Order>) {
        loop {
            for order in orders.drain(..) {
                self.carry_out(&entry, order);
            }
            entry.changed();
            let signal = match entry.status() {
                Status::Running => signals.recv().await,
                Status::Succeeded | Status::Failed | Status::TimedOut | Status::Aborted => entry.put_away(&mut signals),
            };
            let Some(signal) = signal else { break };
            let (now, random) = self.write(&mut journal, &signal).await;
            orders = entry.handle(&signal, now, random, |was, execution| {
                // A redrive may end at once as the execution had ended before: that is an end of its own.
                if (execution.status, execution.redrives) != (was.status, was.redrives) {
                    self.tell(execution);
                }
            });
        }
        if let Some(line) = Line::of(journal.path(), journal.length(), entry.summary()) {
            self.index.add(&line);
        }
    }

    /// Writes down what happened before it has an effect, so that a restart sees no less than anybody saw. While that is
    /// not possible (the disk is full) the execution waits: gone on without its journal, it would do after a restart a
    /// second time, and otherwise, what it had done already.
    async fn write(&self, journal: &mut Journal, signal: &Signal) -> (DateTime<Utc>, u32) {
        let random = fastrand::u32(0..=1_000_000);
        let mut failed = false;
        loop {
            let now = self.now();
            match journal.append(signal, now, random) {
                Ok(()) => {
                    if failed {
                        tracing::info!("an execution goes on: its journal is written again");
                    }
                    return (now, random);
                }
                Err(error) if !failed => {
                    tracing::warn!("an execution waits, because its journal cannot be written: {error:#}");
                    failed = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn tell(&self, execution: &Execution) {
        if execution.status != Status::Running {
            (self.settings.ended)(execution);
        }
    }

    fn carry_out(&self, entry: &Arc<Entry>, order: Order) {
        match order {
            Order::End => {}
            Order::Call { token, resource, parameters } => {
                let call = self.settings.service.call(resource, parameters);
                let entry = Arc::clone(entry);
                tokio::spawn(async move {
                    entry.send(match call.await {
                        // Refused before it is written down: a journal that no parser reads again is forgotten.
                        Ok(output) if nests_too_deep(&output) => Signal::TaskFailed {
                            token,
                            error: "States.DataLimitExceeded".to_owned(),
                            cause: format!("the result nests deeper than {MAX_NESTING} levels"),
                        },
                        Ok(output) => Signal::TaskSucceeded { token, output },
                        Err(failed) => Signal::TaskFailed { token, error: failed.error, cause: failed.cause },
                    });
                });
            }
            Order::Wake { token, at } => {
                let wait = (at - self.now()).to_std().unwrap_or(Duration::ZERO);
                let entry = Arc::downgrade(entry);
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    if let Some(entry) = entry.upgrade() {
                        entry.send(Signal::Woken { token });
                    }
                });
            }
        }
    }
}
