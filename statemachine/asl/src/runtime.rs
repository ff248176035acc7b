//! What the flows of an execution work with while they run: its history, its orders, the time.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::history::{Event, EventKind, MAX_EVENTS};
use crate::signal::{Order, Token};

pub(crate) struct Runtime<'r> {
    pub(crate) events: &'r mut Vec<Event>,
    pub(crate) orders: Vec<Order>,
    pub(crate) next_token: &'r mut Token,
    pub(crate) now: DateTime<Utc>,
    /// 0 to 1,000,000.
    pub(crate) random: u32,
    /// `$$.Execution`
    pub(crate) execution: &'r Value,
    /// `$$.StateMachine`
    pub(crate) machine: &'r Value,
    /// The cause of `States.Runtime` and the event it follows, once there is one.
    pub(crate) broken: Option<(String, u64)>,
}

impl Runtime<'_> {
    /// Adds an event to the history, and answers its id. The last place is kept for the end of the execution: where
    /// there is no other, nothing is added and the execution breaks down.
    pub(crate) fn record(&mut self, previous: u64, kind: EventKind) -> u64 {
        let id = self.events.len() as u64 + 1;
        if id >= MAX_EVENTS {
            let cause = format!("The execution reached the maximum number of history events ({MAX_EVENTS}).");
            self.broken.get_or_insert((cause, id - 1));
            return id - 1;
        }
        self.events.push(Event { id, previous, at: self.now, kind });
        id
    }

    pub(crate) fn token(&mut self) -> Token {
        *self.next_token += 1;
        *self.next_token
    }

    pub(crate) fn wake_at(&mut self, at: DateTime<Utc>) -> Token {
        let token = self.token();
        self.orders.push(Order::Wake { token, at });
        token
    }

    /// Where the machine runs.
    pub(crate) fn region(&self) -> &str {
        self.machine["Id"].as_str().and_then(|arn| arn.split(':').nth(3)).unwrap_or_default()
    }
}

/// `seconds` from now, or the end of time.
pub(crate) fn later(now: DateTime<Utc>, seconds: u64) -> DateTime<Utc> {
    let delta = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
    delta.and_then(|delta| now.checked_add_signed(delta)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
