//! One execution, and the way to whoever drives it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use asl::{Execution, Order, Signal, Status};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, watch};

use crate::executions::Place;
use crate::summary::Summary;

/// What AWS remembers of redrives: tokens of the last ten, for a quarter of an hour.
const TOKENS: usize = 10;
const TOKEN_AGE: TimeDelta = TimeDelta::minutes(15);

/// What its driver listens to.
pub(crate) type Signals = mpsc::UnboundedReceiver<Signal>;

/// One execution: its summary always, all of it while somebody drives it. Once it has ended its journal tells the rest;
/// see [`crate::StepFunctions::read`].
pub struct Entry {
    journal: PathBuf,
    held: Mutex<Held>,
    changes: watch::Sender<()>,
    tokens: Mutex<VecDeque<(String, DateTime<Utc>)>>,
}

/// What is in memory of it.
pub(crate) struct Held {
    pub(crate) summary: Summary,
    /// Boxed: of an ended one nothing is left, not even the room.
    live: Option<Box<Live>>,
}

struct Live {
    execution: Execution,
    signals: mpsc::UnboundedSender<Signal>,
}

impl Entry {
    /// One that is driven, and what its driver is to listen to.
    pub(crate) fn live(journal: &Path, execution: Execution) -> (Self, Signals) {
        let mut held = Held { summary: Summary::of(&execution), live: None };
        let signals = held.revive(execution);
        (Self::new(journal, held), signals)
    }

    /// One that has ended.
    pub(crate) fn ended_before(journal: &Path, summary: Summary) -> Self {
        Self::new(journal, Held { summary, live: None })
    }

    fn new(journal: &Path, held: Held) -> Self {
        let (held, tokens) = (Mutex::new(held), Mutex::default());
        Self { journal: journal.to_owned(), held, changes: watch::channel(()).0, tokens }
    }

    /// The execution as it stands, without input, output and history.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.held().summary.clone()
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.held().summary.status
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
            let status = self.status();
            if status != Status::Running || changes.changed().await.is_err() {
                return status;
            }
        }
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn journal(&self) -> &Path {
        &self.journal
    }

    pub(crate) fn place(&self) -> Place {
        let held = self.held();
        (held.summary.started, Arc::clone(&held.summary.arn))
    }

    pub(crate) fn changed(&self) {
        self.changes.send_replace(());
    }

    pub(crate) fn send(&self, signal: Signal) {
        self.held().send(signal);
    }

    /// Lets it take note of a signal; `then` sees, while it is locked, what it was before and what it is now.
    pub(crate) fn handle(
        &self,
        signal: &Signal,
        now: DateTime<Utc>,
        random: u32,
        then: impl FnOnce(&Summary, &Execution),
    ) -> Vec<Order> {
        let mut held = self.held();
        let Held { summary, live: Some(live) } = &mut *held else { return Vec::new() };
        let orders = live.execution.handle(signal, now, random);
        then(summary, &live.execution);
        summary.follow(&live.execution);
        orders
    }

    /// The next signal of one that has ended and is told something still. Otherwise its summary alone is held from now on,
    /// and `None` is answered: no signal can come in between.
    pub(crate) fn put_away(&self, signals: &mut Signals) -> Option<Signal> {
        let mut held = self.held();
        let told = signals.try_recv().ok();
        if told.is_none() {
            held.live = None;
        }
        told
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

impl Held {
    /// All of it, while somebody drives it.
    pub(crate) fn execution(&self) -> Option<&Execution> {
        self.live.as_deref().map(|live| &live.execution)
    }

    /// Holds all of it again, for a driver that is to listen to what is answered.
    pub(crate) fn revive(&mut self, execution: Execution) -> Signals {
        let (signals, receiver) = mpsc::unbounded_channel();
        self.live = Some(Box::new(Live { execution, signals }));
        receiver
    }

    /// To one that has ended nothing can happen, unless it is revived first.
    pub(crate) fn send(&self, signal: Signal) {
        if let Some(live) = &self.live {
            // The driver lives as long as the service; after that there is nobody to tell.
            let _ = live.signals.send(signal);
        }
    }
}
