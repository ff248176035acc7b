//! A batch: one execution's worth of change.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The name of an execution, which is the name of its batch. What else a name may not hold is Step Functions' own rule:
/// this takes what it is given, and holds it to what keys and logs bear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BatchName(String);

/// Why a text is no name of a batch.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no name of a batch: 1 to 80 characters without control characters")]
pub struct BatchNameError(String);

impl BatchName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// When it is empty, longer than 80 characters, or holds a control character.
    pub fn new(name: impl Into<String>) -> Result<Self, BatchNameError> {
        let name = name.into();
        if name.is_empty() || name.chars().count() > 80 || name.chars().any(char::is_control) {
            return Err(BatchNameError(name));
        }
        Ok(Self(name))
    }

    /// The bare name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for BatchName {
    type Error = BatchNameError;
    fn try_from(name: String) -> Result<Self, BatchNameError> {
        Self::new(name)
    }
}

impl From<BatchName> for String {
    fn from(name: BatchName) -> String {
        name.0
    }
}

/// A batch and its place in time. Batches are ordered by the start of their execution, which a redrive never changes;
/// the name (the scheduler's own id on AWS) only breaks ties.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Batch {
    /// When its execution started, to the millisecond.
    pub started: DateTime<Utc>,
    /// The execution's name.
    pub name: BatchName,
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_step_functions_gave() {
        for name in ["2026-11-23T13-05-00.123Z", "d1f0-scheduled", "Ünïcode!", "a b", "a/b%", &"n".repeat(80)] {
            assert!(BatchName::new(name).is_ok(), "{name}");
        }
        for name in ["", &"n".repeat(81), "tab\t", "nul\0"] {
            assert!(BatchName::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn batches_are_ordered_by_their_start() {
        let batch = |started: &str, name: &str| Batch {
            started: started.parse().unwrap(),
            name: BatchName::new(name).unwrap(),
        };
        assert!(batch("2026-01-01T00:00:00Z", "z") < batch("2026-01-01T00:00:00.001Z", "a"));
        assert!(batch("2026-01-01T00:00:00Z", "a") < batch("2026-01-01T00:00:00Z", "b"));
    }
}
