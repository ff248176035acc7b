//! One execution, and the way to whoever drives it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use asl::{Execution, Signal, Status};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, watch};

/// What AWS remembers of redrives: tokens of the last ten, for a quarter of an hour.
const TOKENS: usize = 10;
const TOKEN_AGE: TimeDelta = TimeDelta::minutes(15);

/// One execution and who drives it.
pub struct Entry {
    execution: Mutex<Execution>,
    signals: mpsc::UnboundedSender<Signal>,
    changes: watch::Sender<()>,
    tokens: Mutex<VecDeque<(String, DateTime<Utc>)>>,
}

impl Entry {
    /// The execution, and what its driver is to listen to.
    pub(crate) fn new(execution: Execution) -> (Self, mpsc::UnboundedReceiver<Signal>) {
        let (signals, receiver) = mpsc::unbounded_channel();
        let entry =
            Self { execution: Mutex::new(execution), signals, changes: watch::channel(()).0, tokens: Mutex::default() };
        (entry, receiver)
    }

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

    pub(crate) fn changed(&self) {
        self.changes.send_replace(());
    }

    pub(crate) fn send(&self, signal: Signal) {
        // The driver lives as long as the service; after that there is nobody to tell.
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
