//! How states and executions fail.

use serde::{Deserialize, Serialize};

/// An error's name and what it said, as far as somebody gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error's name, as Retry and Catch know it: `States.Timeout`.
    pub error: Option<String>,
    /// What it said.
    pub cause: Option<String>,
}

impl Failure {
    /// A failure with a name and a cause.
    #[must_use]
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: Some(error.into()), cause: Some(cause.into()) }
    }
}
