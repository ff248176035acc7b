//! Step Functions on one machine: executions driven by the interpreter, kept in journals across restarts.

mod journal;
mod services;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use asl::{Execution, Identity, Machine, Order, Signal, Status, Token};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::sync::{mpsc, watch};

use self::journal::Journal;
pub(crate) use self::services::Services;
use crate::clock;
use crate::credentials::{ACCOUNT, REGION};

/// Executions kept; AWS keeps them for 90 days.
const KEEP: usize = 1_000;
/// What AWS remembers of redrives: tokens of the last ten, for a quarter of an hour.
const TOKENS: usize = 10;
const TOKEN_AGE: TimeDelta = TimeDelta::minutes(15);

/// By start and name: in the order of time.
type Executions = BTreeMap<(DateTime<Utc>, String), Arc<Entry>>;

/// The state machine and its executions.
pub struct Engine {
    /// ARN of the state machine.
    pub machine_arn: String,
    /// Its name.
    pub machine_name: String,
    /// Its definition.
    pub definition: Value,
    machine: Arc<Machine>,
    folder: PathBuf,
    services: Services,
    executions: Mutex<Executions>,
}

/// One execution and who drives it.
pub struct Entry {
    execution: Mutex<Execution>,
    signals: mpsc::UnboundedSender<Signal>,
    changes: watch::Sender<()>,
    tokens: Mutex<VecDeque<(String, DateTime<Utc>)>>,
}

impl Entry {
    /// The execution as it stands.
    pub fn read(&self) -> MutexGuard<'_, Execution> {
        self.execution.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of every change from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Waits until the execution no longer runs.
    pub async fn ended(&self) -> Status {
        let mut changes = self.watch();
        loop {
            let status = self.read().status;
            if status != Status::Running || changes.changed().await.is_err() {
                return status;
            }
        }
    }

    pub(crate) fn send(&self, signal: Signal) {
        // The driver lives as long as the engine; after that there is nobody to tell.
        let _ = self.signals.send(signal);
    }

    /// The time of the redrive that this client token asked for before, if it is remembered.
    pub(crate) fn redriven_by(&self, token: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.iter().find(|(known, at)| known == token && now - *at <= TOKEN_AGE).map(|(_, at)| *at)
    }

    pub(crate) fn remember(&self, token: String, at: DateTime<Utc>) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.push_back((token, at));
        while tokens.len() > TOKENS {
            tokens.pop_front();
        }
    }
}

/// Why an execution was not started.
pub(crate) enum NotStarted {
    /// One of that name was started with another input, or has ended.
    Exists(String),
    Other(anyhow::Error),
}

impl Engine {
    /// Loads the definition and the executions of earlier runs; those that were running go on, or rest unless
    /// `goes_on`: then they can be looked at and stopped.
    ///
    /// # Errors
    /// When the definition uses what the interpreter does not do, or a journal cannot be read.
    pub(crate) fn open(
        machine_name: String,
        definition: Value,
        folder: PathBuf,
        services: Services,
        goes_on: bool,
    ) -> Result<Arc<Self>> {
        let engine = Arc::new(Self {
            machine_arn: format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{machine_name}"),
            machine: Machine::parse(&definition)?,
            machine_name,
            definition,
            folder,
            services,
            executions: Mutex::default(),
        });
        for recorded in journal::all(&engine.folder, KEEP)? {
            if !goes_on {
                engine.drive(recorded.execution, recorded.journal, Vec::new());
                continue;
            }
            let waiting = recorded.waiting();
            let entry = engine.drive(recorded.execution, recorded.journal, recorded.rearm);
            // Nobody knows what became of a call that was out when the stack ended. The functions bear being called
            // twice, so the call failed as Lambda fails when it is down, and the definition retries it.
            for token in waiting {
                entry.send(Signal::TaskFailed {
                    token,
                    error: "Lambda.ServiceException".to_owned(),
                    cause: "the local stack ended while the function worked".to_owned(),
                });
            }
        }
        Ok(engine)
    }

    fn list(&self) -> MutexGuard<'_, Executions> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every execution, the newest first.
    #[must_use]
    pub fn executions(&self) -> Vec<Arc<Entry>> {
        self.list().values().rev().cloned().collect()
    }

    /// The execution of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.list().iter().rev().find(|((_, known), _)| known == name).map(|(_, entry)| Arc::clone(entry))
    }

    /// The ARN of an execution.
    #[must_use]
    pub fn execution_arn(&self, name: &str) -> String {
        format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{}:{name}", self.machine_name)
    }

    pub(crate) fn role_arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role/{}", self.machine_name)
    }

    /// Starts an execution; the same name with the same input while it runs is the same execution.
    pub(crate) fn start(self: &Arc<Self>, name: &str, input: Value) -> Result<Arc<Entry>, NotStarted> {
        if let Some(entry) = self.find(name) {
            let same = {
                let execution = entry.read();
                execution.input == input && execution.status == Status::Running
            };
            return if same { Ok(entry) } else { Err(NotStarted::Exists(self.execution_arn(name))) };
        }
        let identity = Identity {
            arn: self.execution_arn(name),
            name: name.to_owned(),
            machine_arn: self.machine_arn.clone(),
            machine_name: self.machine_name.clone(),
            role_arn: self.role_arn(),
        };
        let now = clock::now();
        let journal =
            Journal::create(&self.folder, &identity, &input, &self.definition, now).map_err(NotStarted::Other)?;
        let (execution, orders) = Execution::start(Arc::clone(&self.machine), identity, input, now);
        Ok(self.drive(execution, journal, orders))
    }

    fn drive(self: &Arc<Self>, execution: Execution, journal: Journal, orders: Vec<Order>) -> Arc<Entry> {
        let (signals, receiver) = mpsc::unbounded_channel();
        let key = (execution.started, execution.identity.name.clone());
        let entry = Arc::new(Entry {
            execution: Mutex::new(execution),
            signals,
            changes: watch::channel(()).0,
            tokens: Mutex::default(),
        });
        self.list().insert(key, Arc::clone(&entry));
        let engine = Arc::clone(self);
        let driven = Arc::clone(&entry);
        tokio::spawn(async move { engine.run(driven, journal, receiver, orders).await });
        entry
    }

    async fn run(
        &self,
        entry: Arc<Entry>,
        mut journal: Journal,
        mut signals: mpsc::UnboundedReceiver<Signal>,
        orders: Vec<Order>,
    ) {
        let mut orders = orders;
        loop {
            for order in orders.drain(..) {
                self.carry_out(&entry, order);
            }
            entry.changes.send_replace(());
            let Some(signal) = signals.recv().await else { return };
            let (now, random) = (clock::now(), fastrand::u32(0..=1_000_000));
            // What happened is written before it has an effect, so that a restart sees no less than anybody saw.
            if let Err(error) = journal.append(&signal, now, random) {
                journal_failed(&error);
            }
            orders = entry.read().handle(&signal, now, random);
        }
    }

    fn carry_out(&self, entry: &Arc<Entry>, order: Order) {
        match order {
            Order::End => {}
            Order::Call { token, resource, parameters } => {
                let call = self.services.call(resource, parameters);
                let entry = Arc::clone(entry);
                tokio::spawn(async move {
                    entry.send(match call.await {
                        Ok(output) => Signal::TaskSucceeded { token, output },
                        Err(failed) => Signal::TaskFailed { token, error: failed.error, cause: failed.cause },
                    });
                });
            }
            Order::Wake { token, at } => {
                let wait = (at - clock::now()).to_std().unwrap_or(Duration::ZERO);
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

/// A journal that cannot be written costs the memory of this run, not the run.
fn journal_failed(error: &anyhow::Error) {
    tracing::warn!("the journal of an execution cannot be written: {error:#}");
}

/// An execution as a journal tells it.
struct Recorded {
    execution: Execution,
    journal: Journal,
    /// Timers to set again.
    rearm: Vec<Order>,
    /// Orders whose answer never came.
    open: HashMap<Token, Order>,
}

impl Recorded {
    /// Tokens of the calls that were out.
    fn waiting(&self) -> Vec<Token> {
        let calls = self.open.iter().filter(|(_, order)| matches!(order, Order::Call { .. }));
        let running = self.execution.status == Status::Running;
        calls.filter(|_| running).map(|(token, _)| *token).collect()
    }
}
