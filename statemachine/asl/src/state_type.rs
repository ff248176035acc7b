//! The kinds of states by name: what a definition's `Type` and a history event say.

use serde::Deserialize;
use serde::de::IntoDeserializer;

/// What a state is, as its `Type` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum StateType {
    /// Passes its input on, or a value of its own.
    Pass,
    /// Calls a service.
    Task,
    /// Goes one way or another.
    Choice,
    /// Runs branches side by side.
    Parallel,
    /// Waits.
    Wait,
    /// Ends well.
    Succeed,
    /// Ends in an error.
    Fail,
}

impl StateType {
    /// What a definition names so, if it is known here.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        // Derived, so that no kind can be forgotten.
        Self::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(text)).ok()
    }

    /// As a definition spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Task => "Task",
            Self::Choice => "Choice",
            Self::Parallel => "Parallel",
            Self::Wait => "Wait",
            Self::Succeed => "Succeed",
            Self::Fail => "Fail",
        }
    }
}
