//! What an execution is told and what it asks for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;
use crate::resource::Resource;

/// Names an order to its answer.
pub type Token = u64;

/// What happened. As JSON it is a line of a journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "signal", rename_all = "snake_case")]
pub enum Signal {
    /// A task answered.
    TaskSucceeded {
        /// Of the order.
        token: Token,
        /// Its answer.
        output: Value,
    },
    /// A task failed.
    TaskFailed {
        /// Of the order.
        token: Token,
        /// The error's name.
        error: String,
        /// What it said.
        cause: String,
    },
    /// The time of a [`Order::Wake`] came.
    Woken {
        /// Of the order.
        token: Token,
    },
    /// Somebody stops the execution, with a name and a reason if any were given.
    Stop(Failure),
    /// Somebody redrives it; see [`crate::Execution::check_redrivable`].
    Redrive,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Call a service; tell of it with this token.
    Call {
        /// For the answer.
        token: Token,
        /// Which service.
        resource: Resource,
        /// What it is given.
        parameters: Value,
    },
    /// Wake the execution then.
    Wake {
        /// For the answer.
        token: Token,
        /// When.
        at: DateTime<Utc>,
    },
    /// The execution ended.
    End,
}
