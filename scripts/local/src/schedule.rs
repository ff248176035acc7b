//! The schedule: an execution every so often, as EventBridge Scheduler starts one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{Stack, clock};

/// A running schedule; it ends when dropped.
pub struct Schedule {
    task: JoinHandle<()>,
}

impl Schedule {
    /// Starts an execution now and then, the first after one interval.
    #[must_use]
    pub fn start(stack: &Stack, every: Duration) -> Self {
        let (states, machine) = (Arc::clone(&stack.states), Arc::clone(&stack.machine));
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.tick().await; // The first tick is at once.
            loop {
                ticks.tick().await;
                let name = format!("{}-scheduled", run_name());
                if states.start(&machine, &name, json!({})).is_err() {
                    tracing::warn!("the scheduled run {name} could not be started");
                }
            }
        });
        Self { task }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A name for an execution that starts now; names sort as they were given, and this process gives none twice: of two that
/// are wanted in one millisecond the second is of the next.
#[must_use]
pub fn run_name() -> String {
    static LAST: Mutex<Option<DateTime<Utc>>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let at = last.map_or_else(clock::now, |last| clock::now().max(last + TimeDelta::milliseconds(1)));
    *last = Some(at);
    at.format("%Y-%m-%dT%H-%M-%S-%3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_wanted_at_once_differ_and_sort() {
        let names: Vec<String> = (0..1_000).map(|_| run_name()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }
}
