//! The schedule: an execution every so often, as EventBridge Scheduler starts one.

use std::sync::Arc;
use std::time::Duration;

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

/// A name for an execution that starts now; names sort as they were given.
#[must_use]
pub fn run_name() -> String {
    clock::now().format("%Y-%m-%dT%H-%M-%S-%3fZ").to_string()
}
