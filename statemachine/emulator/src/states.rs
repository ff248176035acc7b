//! The service: its machines, and executions driven by the interpreter.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use asl::{Execution, MAX_NESTING, Order, Signal, Status, nests_too_deep};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::entry::Entry;
use crate::journal::{self, Journal};
use crate::machine::StateMachine;
use crate::name;
use crate::refusal::Refusal;
use crate::service::Service;

/// Executions kept; AWS keeps them for 90 days.
const KEEP: usize = 1_000;

/// By start and ARN: in the order of time.
type Executions = BTreeMap<(DateTime<Utc>, String), Arc<Entry>>;

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
    executions: Mutex<Executions>,
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
        let states = Arc::new(Self { settings, machines, executions: Mutex::default(), starting: Mutex::default() });
        for recorded in journal::all(&states.settings.folder, KEEP)? {
            if !states.settings.goes_on {
                states.drive(recorded.execution, recorded.journal, Vec::new());
                continue;
            }
            let waiting = recorded.waiting();
            let entry = states.drive(recorded.execution, recorded.journal, recorded.rearm);
            // Nobody knows what became of a call that was out when the service ended. What is called here bears being
            // called twice, so the call failed as Lambda fails when it is down, and the definition retries it.
            for token in waiting {
                entry.send(Signal::TaskFailed {
                    token,
                    error: "Lambda.ServiceException".to_owned(),
                    cause: "the local stack ended while the function worked".to_owned(),
                });
            }
        }
        Ok(states)
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
        self.list().values().rev().cloned().collect()
    }

    /// The execution with that ARN.
    #[must_use]
    pub fn find(&self, arn: &str) -> Option<Arc<Entry>> {
        self.list().iter().rev().find(|((_, known), _)| known == arn).map(|(_, entry)| Arc::clone(entry))
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
            let same = {
                let execution = entry.read();
                execution.input == input && execution.status == Status::Running
            };
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

    fn list(&self) -> MutexGuard<'_, Executions> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drive(self: &Arc<Self>, execution: Execution, journal: Journal, orders: Vec<Order>) -> Arc<Entry> {
        let key = (execution.started, execution.identity.arn.clone());
        let (entry, receiver) = Entry::new(execution);
        let entry = Arc::new(entry);
        self.list().insert(key, Arc::clone(&entry));
        let (states, driven) = (Arc::clone(self), Arc::clone(&entry));
        tokio::spawn(async move { states.run(driven, journal, receiver, orders).await });
        entry
    }

    async fn run(
        &self,
        entry: Arc<Entry>,
        mut journal: Journal,
        mut signals: mpsc::UnboundedReceiver<Signal>,
        mut orders: Vec<Order>,
    ) {
        loop {
            for order in orders.drain(..) {
                self.carry_out(&entry, order);
            }
            entry.changed();
            let Some(signal) = signals.recv().await else { return };
            let (now, random) = self.write(&mut journal, &signal).await;
            let mut execution = entry.read();
            let was = (execution.status, execution.redrives);
            orders = execution.handle(&signal, now, random);
            // A redrive may end at once as the execution had ended before: that is an end of its own.
            if (execution.status, execution.redrives) != was {
                self.tell(&execution);
            }
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
